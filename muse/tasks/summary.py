"""The closing lines of a run: what was made, how well, and what to do about the rest."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from muse.runs.records import Layout, Record, on_target


def closing_lines(
    records: Sequence[Record], jobs: int, folder: Path, interrupted: bool, remedy: str
) -> list[str]:
    """Tell a person about a run, the place of its pictures last.

    Args:
        records: of the pictures that were made.
        jobs: how many the run has.
        folder: of the run.
        interrupted: whether Ctrl-C ended it.
        remedy: the timing's, for pictures that were never steered.
    """
    done = [record for record in records if record["status"] == "done"]
    failed = [record for record in records if record["status"] == "failed"]
    lines = []
    left = jobs - len(records)
    if interrupted:
        lines.append(f"Interrupted: {len(done)} of {jobs} pictures are finished and stay.")
    if left:
        lines.append(f"{left} of {jobs} pictures are left; the same command goes on with them.")
    lines += [f"Failed: {record['id']}: {record['reason']}" for record in failed]
    if done:
        lines += [*_accuracy(done), *_timing(done, remedy), *_notes(done)]
    sheet = Layout(folder).sheet
    where = f"{folder}, side by side in {sheet.name}" if sheet.exists() else str(folder)
    lines.append(f"The pictures are in {where}")
    return lines


def _accuracy(done: Sequence[Record]) -> list[str]:
    hits = [hit for record in done if (hit := on_target(record)) is not None]
    if not hits:  # plain pictures, which have none
        return []
    line = f"{sum(hits)} of {len(hits)} pictures ({sum(hits) / len(hits):.0%}) read as their target"
    plain = [on_target(record, "plain_probabilities") for record in done]
    known = [hit for hit in plain if hit is not None]
    if known:
        line += f"; their plain twins: {sum(known) / len(known):.0%}"
    return [f"{line} (by the guide itself)."]


def _timing(done: Sequence[Record], remedy: str) -> list[str]:
    lines = []
    starts = [record["start_step"] for record in done if record["start_step"] is not None]
    similarities = sorted(value for record in done for value in record["similarity"])
    if starts:
        lines.append(f"Steering started at step {statistics.median(starts):g} (median).")
    if len(similarities) > 1:
        cuts = statistics.quantiles(similarities, n=10, method="inclusive")
        lines.append(
            f"Similarity until then: {cuts[0]:.1f} (10 %), {cuts[4]:.1f} (50 %), "
            f"{cuts[8]:.1f} (90 %), {similarities[-1]:.1f} at most: the scale of eta."
        )
    never = len(done) - len(starts)
    if never:
        lines.append(
            f"{never} pictures came out plain, because steering never started: "
            f"{remedy.replace('--', '--model.')}."
        )
    return lines


def _notes(done: Sequence[Record]) -> list[str]:
    noted = [record["id"] for record in done if record["notes"]]
    if not noted:
        return []
    names = ", ".join(noted[:3]) + (", ..." if len(noted) > 3 else "")
    return [f"{len(noted)} searches met numbers that are not finite ({names}): see the records."]
