"""The jobs of a study, and what each arm makes of them."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from muse.core.emotions import target_text
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.data import Jobs
from muse.studies.file import Arm


def study_jobs(said: Mapping[str, Any], folder: Path, limit: int | None = None) -> list[Job]:
    """The jobs that a study's file tells of.

    Args:
        said: options of `muse.data.Jobs`; or ``make``, the import path of a function that writes
            pictures and a jobs file into a folder and returns that file's path, and its
            ``options``.
        folder: where such a function writes.
        limit: so many, spread over prompts and emotions (`spread`).

    Raises:
        MuseError: no jobs, or a function that isn't there.
    """
    given = dict(said)
    make, options = given.pop("make", None), given.pop("options", None) or {}
    if make is not None:
        given["jobs"] = str(_made(str(make), folder, options))
    jobs = Jobs(**given).jobs
    return jobs if limit is None else spread(jobs, limit)


def spread(jobs: Sequence[Job], count: int) -> list[Job]:
    """The first `count` of `spreading`, in the order of the jobs: what a smaller count takes a
    larger one takes too.
    """
    return [jobs[number] for number in sorted(islice(spreading(jobs), count))]


def spreading(jobs: Sequence[Job]) -> Iterator[int]:
    """The places of all jobs, in an order in which targets, then prompts, come equally often."""
    targets: Counter[str] = Counter()
    prompts: Counter[str] = Counter()
    left = {n: (target_text(dict(job.target or {})), job.prompt) for n, job in enumerate(jobs)}
    while left:
        number = min(left, key=lambda n: (targets[left[n][0]], prompts[left[n][1]], n))
        target, prompt = left.pop(number)
        targets[target] += 1
        prompts[prompt] += 1
        yield number


def arm_jobs(
    arm: Arm, jobs: Sequence[Job], every: Sequence[Job]
) -> tuple[list[Job], dict[str, str]]:
    """What an arm makes for the jobs of a study.

    Args:
        arm: the arm.
        jobs: of the study; the arm may take some of them.
        every: all jobs of the study's file, where `jobs` are some: of a plain model one picture
            stands for all jobs that differ by the emotion alone, always the first's.

    Returns:
        its jobs, and study's job id -> the id of the arm's.
    """
    chosen = jobs if arm.limit is None else spread(jobs, arm.limit)
    told = {job.id: _told(arm, job) for job in every}
    of = {name: name for name in told}
    if not arm.emotion:
        first: dict[Job, str] = {}
        for name, job in told.items():
            of[name] = first.setdefault(replace(job, id="", target=None), name)
    wanted = {job.id: of[job.id] for job in chosen}
    return [told[name] for name in dict.fromkeys(wanted.values())], wanted


def _told(arm: Arm, job: Job) -> Job:
    """A job as an arm makes it."""
    prompt = arm.prompt.format(prompt=job.prompt, emotion=_words(job)).strip()  # as jobs are read
    return replace(job, prompt=prompt, mask=job.mask if arm.mask else None)


def _words(job: Job) -> str:
    """The emotions that a job wants, for a prompt: "awe and fear"."""
    return " and ".join(job.target or {})


def _made(name: str, folder: Path, options: Mapping[str, Any]) -> Any:
    """What a function returns that is named by its import path."""
    module, _, attribute = name.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), attribute)
        signature = inspect.signature(function)
    except (ImportError, AttributeError, TypeError, ValueError):
        raise MuseError(
            f"jobs: make is {name!r}, and there is no such function. Give its import path."
        ) from None
    try:
        signature.bind(folder, **options)
    except TypeError as error:
        taken = ", ".join(list(signature.parameters)[1:])
        raise MuseError(f"jobs: options of {name!r}: {error}. It takes: {taken}.") from None
    return function(folder, **options)
