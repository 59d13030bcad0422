"""How far a run is, read off its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from filelock import FileLock, Timeout

from muse.runs.records import Layout, Record

LATEST = 60
"""Pictures that the rate is taken from."""


@dataclass(frozen=True)
class RunProgress:
    """How far a run is.

    Attributes:
        jobs: how many it has.
        done, failed: how many of them are.
        reasons: why jobs failed -> how many, the most frequent first.
        rate: pictures an hour lately, None where that can't be told.
        active: whether a process writes to the folder.
    """

    jobs: int
    done: int
    failed: int
    reasons: dict[str, int]
    rate: float | None
    active: bool

    @property
    def left(self) -> int:
        """How many jobs are not made yet."""
        return self.jobs - self.done - self.failed

    def lines(self) -> list[str]:
        """In words, for a person."""
        told = f"{self.done} of {self.jobs} pictures are done, {self.left} left"
        lines = [f"{told}, {self.failed} failed." if self.failed else f"{told}."]
        lines += [f"Failed ({count}): {reason}" for reason, count in self.reasons.items()]
        if self.rate is not None and self.left:
            hours = self.left / self.rate
            to_go = f"{60 * hours:.0f} minutes" if hours < 2 else f"{hours:.1f} hours"
            lines.append(f"{self.rate:.0f} pictures an hour lately: {to_go} to go.")
        if self.left:
            now = (
                "A process is at work on it."
                if self.active
                else ("No process is at work on it; the run's command goes on with it.")
            )
            lines.append(now)
        return lines


def progress_of(folder: Path, ids: Sequence[str], records: Sequence[Record]) -> RunProgress:
    """How far a run is.

    Args:
        folder: of the run.
        ids: of its jobs.
        records: of those that have one.
    """
    layout = Layout(folder)
    failed = [record for record in records if record["status"] == "failed"]
    reasons = Counter(str(record["reason"]) for record in failed)
    latest = sorted((layout.record(r["id"]).stat().st_mtime, r["seconds"]) for r in records)
    return RunProgress(
        len(ids),
        len(records) - len(failed),
        len(failed),
        dict(reasons.most_common()),
        rate_of(latest[-LATEST:]),
        _active(folder),
    )


def rate_of(pictures: Sequence[tuple[float, float]]) -> float | None:
    """Pictures an hour of the time in which at least one was being made: pauses of the run are left
    out, and pictures that are done together count for as long as they took.

    Args:
        pictures: when each was done, in seconds and in that order, and how long it took.
    """
    busy, until = 0.0, -inf
    for begun, done in sorted((done - seconds, done) for done, seconds in pictures):
        busy += max(0.0, done - max(begun, until))
        until = max(until, done)
    return 3600.0 * len(pictures) / busy if busy > 0 else None


def _active(folder: Path) -> bool:
    file = folder / ".lock"
    if not file.exists():
        return False
    try:
        with FileLock(file, timeout=0):
            return False
    except (Timeout, OSError):
        return True
