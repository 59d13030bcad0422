"""The plain pictures that stand beside the steered ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from muse.core.jobs import Job, safe_name
from muse.data.jobs import unique_name


@dataclass(frozen=True)
class Twins:
    """The plain pictures that stand beside the steered ones.

    Attributes:
        jobs: one plain job for each distinct prompt, seed and picture.
        of: job id -> the id of its plain twin.
    """

    jobs: list[Job]
    of: dict[str, str]


def plain_twins(jobs: Sequence[Job]) -> Twins:
    """The plain twin of every job: same x_T, no emotion, made once for jobs that share it."""
    made: dict[tuple[str, int, Path | None], Job] = {}
    names: set[str] = set()
    of: dict[str, str] = {}
    for job in jobs:
        key = (job.prompt, job.seed, job.image)
        if key not in made:
            name = unique_name(safe_name(f"plain-{job.prompt}"), names)
            names.add(name)
            made[key] = Job(name, job.prompt, None, job.seed, job.image)
        of[job.id] = made[key].id
    return Twins(list(made.values()), of)
