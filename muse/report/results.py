"""results.csv: one line a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from muse.core.emotions import strongest
from muse.core.intensity import emotion_text
from muse.runs.records import Record, is_plain, on_target, target_probability

COLUMNS = (
    "id",
    "prompt",
    "target",
    "seed",
    "status",
    "start_step",
    "inherent",
    "iterations",
    "predicted",
    "on_target",
    "p_target",
    "plain_p_target",
    "seconds",
    "reason",
)


def results_csv(records: Sequence[Record]) -> str:
    """The table of a run, as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        p, target, intensity = record["probabilities"], record["target"], record.get("intensity")
        writer.writerow(
            {
                **{name: record[name] for name in COLUMNS if name in record},
                "target": "plain" if is_plain(target) else emotion_text(target, intensity),
                "iterations": sum(record["iterations"]),
                "predicted": strongest(p) if p else None,
                "on_target": on_target(record),
                "p_target": _short(target_probability(record)),
                "plain_p_target": _short(target_probability(record, "plain_probabilities")),
            }
        )
    return text.getvalue()


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
