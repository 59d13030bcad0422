"""table.md, table.csv, table.json."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from muse.metrics import Estimate
from muse.metrics.bootstrap import RESAMPLES, SEED
from muse.report.confusion import arm_counts
from muse.runs.records import versions
from muse.studies.measuring import Found
from muse.studies.tables import Table, remarks, tables


def markdown(found: Found, pictures: Mapping[str, str]) -> str:
    """All tables; `pictures` are title -> file, relative to it."""
    lines = [f"# {found.study.title}", ""]
    lines += [found.study.about, ""] if found.study.about else []
    lines += [f"- {line}" for line in remarks(found)]
    for table in tables(found):
        lines += ["", f"## {table.title}", "", *_rows(table)]
    for title, name in pictures.items():
        lines += ["", f"## {title}", "", f"![{title}]({name})"]
    return "\n".join(lines) + "\n"


def _rows(table: Table) -> list[str]:
    heads = [column.name for column in table.columns]
    lines = [_line(["", *heads, "pictures"]), "|---" * (len(heads) + 2) + "|"]
    for arm in table.cells:
        cells = [table.text(arm, column) for column in range(len(heads))]
        lines.append(_line([arm, *cells, str(table.pictures[arm])]))
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


def as_csv(found: Found) -> str:
    """One line for each table and arm: means, and the ends of their intervals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for table in tables(found):
        heads = [
            head
            for column in table.columns
            for head in (column.name, f"{column.name}: low", f"{column.name}: high")
            if column.kind != "cost" or head == column.name
        ]
        writer.writerow(["jobs", "arm", "pictures", *heads])
        for arm, cells in table.cells.items():
            numbers: list[float] = []
            for column, estimate in zip(table.columns, cells, strict=True):
                found_three = estimate or Estimate(math.nan, math.nan, math.nan, 0)
                three = (found_three.mean, found_three.low, found_three.high)
                numbers += three[: 1 if column.kind == "cost" else 3]
            told = [f"{value:.6g}" if math.isfinite(value) else "" for value in numbers]
            writer.writerow([table.title, arm, table.pictures[arm], *told])
        writer.writerow([])
    return text.getvalue().rstrip("\n") + "\n"


def as_json(found: Found) -> str:
    """The means and intervals of everything, for programs (schema 1)."""
    evaluation = found.evaluation
    told = {
        "schema": 1,
        "title": found.study.title,
        "jobs": len(found.records),
        "compared_with": evaluation.base,
        "remarks": remarks(found),
        "bootstrap": {"over": "prompts", "resamples": RESAMPLES, "seed": SEED, "level": 0.95},
        "arms": [_arm(found, name) for name in found.arms],
        "tables": [_table(table) for table in tables(found)],
        "emotions": {
            measured.metric.name: {
                target: _estimates(evaluation.summary(measured, rows))
                for target, rows in evaluation.parts()["emotions"].items()
            }
            for measured in evaluation.measured
        },
        "confusion": {
            judge.metric.name: {arm: arm_counts(evaluation, judge, arm) for arm in judge.readings}
            for judge in evaluation.measured
            if judge.readings
        },
        "versions": versions(),
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _arm(found: Found, name: str) -> dict[str, Any]:
    pictures = found.arms[name]
    arm = pictures.arm
    return {
        "name": name,
        "folder": str(pictures.folder),
        "made": arm.folder is None,
        "words": arm.words if arm.folder is None else [],
        "prompt": arm.prompt,
        "pictures": len(pictures.files),
        "failed": dict(pictures.failed),
        "guided": sorted(found.guided[name]),
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "columns": [asdict(column) for column in table.columns],
        "rows": {
            arm: [None if estimate is None else _numbers(estimate) for estimate in cells]
            for arm, cells in table.cells.items()
        },
    }


def _estimates(summary: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: _numbers(estimate) for name, estimate in summary.items()}


def _numbers(estimate: Estimate) -> dict[str, float | int | None]:
    values = asdict(estimate).items()
    return {key: value if math.isfinite(value) else None for key, value in values}
