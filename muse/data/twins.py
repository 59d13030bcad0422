"""The plain pictures that stand beside the steered ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from muse.core.jobs import Job, safe_name
from muse.data.jobs import unique_name


@dataclass(frozen=True)
class Twins:
    """The plain pictures that stand beside the steered ones.

    Attributes:
        jobs: one plain job for each distinct prompt, seed and picture (of an edit with a mask, with
            that; of a generation a mask leaves the plain picture as it is).
        of: job id -> the id of its plain twin.
    """

    jobs: list[Job]
    of: dict[str, str]


def plain_twins(jobs: Sequence[Job]) -> Twins:
    """The plain twin of every job: same x_T, no emotion, made once for jobs that share it."""
    made: dict[Job, Job] = {}
    names: set[str] = set()
    of: dict[str, str] = {}
    for job in jobs:
        mask = None if job.image is None else job.mask
        key = replace(job, id="", target=None, intensity=None, mask=mask)
        if key not in made:
            name = unique_name(safe_name(f"plain-{job.prompt}"), names)
            names.add(name)
            made[key] = replace(key, id=name)
        of[job.id] = made[key].id
    return Twins(list(made.values()), of)
