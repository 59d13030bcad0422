"""`muse study`: jobs x arms x metrics, from one file to tables and a page."""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from jsonargparse import ActionYesNo, ArgumentParser, Namespace
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Shown

from muse.commands.errors import explain
from muse.commands.evaluate import check_device
from muse.commands.lightning import quiet
from muse.commands.study_metrics import enough, metrics_of
from muse.core.files import make_folder
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.presets.examples import here_or_example
from muse.studies import Arm, ArmPictures, Runner, Study, foreign_pictures, measure, tables
from muse.studies.file import MOST
from muse.studies.jobs import spread, study_jobs
from muse.studies.results import write
from muse.studies.runner import Run
from muse.studies.tables import Table, remarks

STUDIES = Path("outputs/studies")
QUICK = 8
"""Pictures an arm of ``--quick``."""
PASSED_ON = ("--model.", "--trainer.", "--retry_failed")
"""How the options begin that all arms get."""


def study(words: Sequence[str]) -> int:
    """Make what is left of a study, measure it, and write its tables and page; the exit code."""
    quiet()
    own, passed = _apart(words)
    given = _parser().parse_args(own)
    file = Path(here_or_example(given.file, "studies"))
    told = _changed(Study.read(file), given)
    limit = min(filter(None, (given.limit, QUICK if given.quick else None)), default=None)
    folder = Path(given.output_dir or _folder(file, given.quick))
    device = _device(given.device)
    make_folder(folder)
    every = study_jobs(told.jobs, folder / "jobs")
    jobs = every if limit is None else spread(every, limit)
    told, notes = _quick(told) if given.quick else (told, [])
    if limit is not None and limit < len(every):
        notes.append(f"{len(jobs)} of the {len(every)} jobs of {told.file.name}.")
    pool = folder / "arms" if given.output_dir else STUDIES / "arms"
    runner = Runner(Path(given.arms) if given.arms else pool, passed)
    planned = [(arm, _planned(arm, runner, jobs, every)) for arm in told.arms]
    notes += _shared(planned)
    metrics, judges, groups = metrics_of(told)
    metrics, few = enough(metrics, [plan for _, plan in planned])
    notes += few
    arms = [_made(arm, plan, runner, f"{i} of {len(planned)}")
            for i, (arm, plan) in enumerate(planned, start=1)]  # fmt: skip
    runner.release()
    found = measure(told, folder, jobs, arms, metrics, judges, groups, device, notes)
    written = write(found, folder, device, given.bundle)
    shown = _shown(tables(found)[0])
    console = Console(highlight=False)
    natural = Console(width=1_000).measure(shown).maximum  # a narrow terminal folds the lines
    Console(width=max(console.width, natural)).print(shown)
    for line in [*remarks(found), *written]:
        console.print(line, soft_wrap=True, markup=False)
    return int(bool(found.evaluation.unreadable) or any(arm.failed for arm in arms))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="muse study",
        usage="muse study FILE [options] [--model.OPTION VALUE ...]",
        description="Make, measure and compare arms on the same jobs. What is there stays; the "
        "same command goes on. Options of muse fit-free (--model., --trainer.) go to all arms.",
        exit_on_error=False,
    )
    add = parser.add_argument
    add("file", type=str, help="the study: a file, or the name of one of configs/studies")
    add("--output_dir", type=str | None, default=None, help="(default: outputs/studies/NAME)")
    add("--arms", type=str | None, default=None,
        help="where the arms' runs lie; studies share them (default: beside the other studies, or "
        "in --output_dir where that is given)")  # fmt: skip
    add("--quick", action=ActionYesNo, default=False,
        help=f"{QUICK} pictures an arm, no arms of over {MOST} evaluations a picture")  # fmt: skip
    add("--limit", type=int | None, default=None, help="so many jobs, spread over all")
    add("--jobs", type=str | None, default=None, help="another file of jobs, or of prompts (.txt)")
    add("--metrics", type=str | None, default=None, help="another list of metrics, a file")
    add("--bundle", action=ActionYesNo, default=False, help="end in one archive, to send")
    add("--device", type=str, default="auto", help="where the metrics compute, such as cuda or cpu")
    return parser


def _apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's own words, and those that go to all arms."""
    own: list[str] = []
    passed: list[str] = []
    into = own
    for word in words:
        if word.startswith("--"):
            into = passed if word.startswith(PASSED_ON) else own
        into.append(word)
        if into is passed and ("=" in word or word == PASSED_ON[-1] or not word.startswith("--")):
            into = own  # its value is there
    return own, passed


def _device(given: str) -> str:
    if given == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return check_device(given)


def _folder(file: Path, quick: bool) -> Path:
    """``configs/studies/sd15/table1.yaml`` -> ``outputs/studies/sd15-table1``."""
    above = file.resolve().parent.name
    name = file.stem if above == "studies" else f"{above}-{file.stem}"
    return STUDIES / (f"{name}-quick" if quick else name)


def _changed(told: Study, given: Namespace) -> Study:
    """The study with what the command line says instead."""
    if given.limit is not None and given.limit < 1:
        raise MuseError(f"--limit {given.limit} is not allowed. Use 1 or more, or leave it out.")
    if given.jobs is not None:
        kept = {k: v for k, v in told.jobs.items() if k in ("emotions", "seed", "count")}
        kept = kept if given.jobs.endswith(".txt") else {**kept, "emotions": None}
        told = replace(told, jobs={**kept, "jobs": given.jobs})
    return told if given.metrics is None else replace(told, metrics=(Path(given.metrics),))


def _quick(told: Study) -> tuple[Study, list[str]]:
    """The study without what takes long, and what to tell about that."""
    long = [arm for arm in told.arms if (arm.evaluations or 0) > MOST]
    lines = [
        f"Left out by --quick: {arm.name!r}, about {arm.evaluations:,} evaluations a picture."
        for arm in long
    ]
    arms = tuple(arm for arm in told.arms if arm not in long)
    if not arms:
        raise MuseError(f"--quick leaves out every arm of {told.file.name}. Run it without.")
    return replace(told, arms=arms), lines


@contextmanager
def _about(arm: Arm) -> Iterator[None]:
    """Tell whose mistake it is."""
    try:
        yield
    except (MuseError, ArgumentError) as error:
        text = explain(error) or str(error)
        named = text.startswith("Arm ")
        raise MuseError(text if named else f"Arm {arm.name!r}: {text}") from error


def _planned(
    arm: Arm, runner: Runner, jobs: Sequence[Job], every: Sequence[Job]
) -> Run | ArmPictures:
    with _about(arm):
        if arm.folder is not None:
            return foreign_pictures(arm, jobs, every)
        return runner.plan(arm, jobs, every)


def _shared(planned: Sequence[tuple[Arm, Run | ArmPictures]]) -> list[str]:
    first: dict[Path, str] = {}
    lines = []
    for arm, plan in planned:
        if isinstance(plan, Run):
            same = first.setdefault(plan.folder, arm.name)
            lines += [f"Arm {arm.name!r} is the run of {same!r}."] if same != arm.name else []
    return lines


def _made(arm: Arm, plan: Run | ArmPictures, runner: Runner, number: str) -> ArmPictures:
    """An arm's pictures, made where they aren't there."""
    if isinstance(plan, ArmPictures):
        return plan
    with _about(arm):
        left = plan.left
        there = len(plan.jobs) - left
        print(
            f"Arm {arm.name!r} ({number}): {there} pictures are there, {left} to make.", flush=True
        )
        runner.make(plan)
        return plan.pictures()


def _shown(table: Table) -> Shown:
    """For the terminal: means alone, lines are short there."""
    found = Shown(title=table.title, title_justify="left", box=SIMPLE)
    found.title_style = "bold"
    found.add_column("", style="cyan")
    for column in table.columns:
        found.add_column(column.name, justify="right")
    for arm, cells in table.cells.items():
        texts = [table.text(arm, number) for number in range(len(cells))]
        found.add_row(arm, *(re.sub(r" \[.*?\]", "", text) for text in texts))
    return found
