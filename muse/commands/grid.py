"""`muse grid`: two axes over any option, as a labelled sheet and a page."""

from __future__ import annotations

import json
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jsonargparse import ActionYesNo, ArgumentParser

from muse.commands.errors import explain
from muse.commands.lightning import quiet
from muse.core.files import make_folder, written
from muse.core.jobs import safe_name
from muse.core.types import MuseError
from muse.data.axes import Axis
from muse.presets import PRESETS
from muse.presets.examples import examples
from muse.studies import Arm, Runner
from muse.studies.grid_page import Shown, write_grid
from muse.studies.grids import Grid
from muse.studies.runner import LOADED, Run

GRIDS = Path("outputs/grids")
OWN = ("--x", "--y", "--emotion", "--seed", "--config", "--output_dir", "--retry_failed", "--help")
OF_RUNS = ("--trainer.", "--slots", "--overwrite")
"""How the options begin that go to the runs, and change no picture's settings."""
SLOTS = "--model.slots=16"
"""Where nothing else is said."""


def grid(words: Sequence[str]) -> int:
    """Make what is left of a grid's pictures, and write its sheet and page; the exit code."""
    quiet()
    own, common, passed = _apart(words)
    given = _parser().parse_args(own)
    said = {"prompt": given.prompt, "emotion": given.emotion, "seed": given.seed}
    common = {**{name: value for name, value in said.items() if value is not None}, **common}
    x, y = Axis.parse(given.x), None if given.y is None else Axis.parse(given.y)
    told = Grid.read(x, y, common, given.config)
    folder = Path(given.output_dir or GRIDS / _name(told))
    retry = ["--retry_failed"] if given.retry_failed else []
    runner = Runner(folder / "runs", [SLOTS, *passed, *retry], growing=True)
    plans = _plans(told, runner)
    make_folder(folder, "--output_dir")
    runs = {plan.folder: plan for plan in plans}.values()  # values may be two words for one thing
    of, left = sum(len(run.jobs) for run in runs), sum(run.left for run in runs)
    cells = len(told.rows) * len(told.x.values)
    print(f"{cells} cells, {of} pictures: {of - left} are there, {left} to make.", flush=True)
    try:
        for plan in plans:
            with _about(plan.arm):
                runner.make(plan)
    except KeyboardInterrupt:
        _written(told, plans, folder)  # with what there is
        raise
    failed, lines = _written(told, plans, folder)
    for line in lines:
        print(line)
    return int(failed)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="muse grid",
        usage="muse grid PROMPT --x OPTION=VALUE,... [--y OPTION=VALUE,...] [--OPTION VALUE ...]",
        description="Make a picture for every pair of values, and lay them out as a labelled sheet "
        "and a page. What is there stays; the same command goes on, and more values add to it. "
        "Options of the model (--steps, --guide, ...) go to all cells.",
        exit_on_error=False,
    )
    options = (
        "prompt, emotion, intensity, seed, steps, guidance, preset, guide, backbone, any other"
    )
    emotions = "a name, or a mixture like awe:0.7,fear:0.3; awe@0.6 for less; plain if left out"
    files = f"a file as for muse fit-free, a preset: {', '.join(PRESETS)}; "
    files += f"or an example: {', '.join(examples())}. Without: default"
    add = parser.add_argument
    add("prompt", type=str, nargs="?", default=None, help="what the pictures show")
    add("--x", type=str, required=True, help=f"an option and its values, across: {options}")
    add("--y", type=str | None, default=None, help="another one, down; a single row without")
    add("--emotion", type=str | None, default=None, help=emotions)
    add("--seed", type=str | None, default=None, help="another number, other pictures (default: 0)")
    add("--config", type=str, action="append", default=[], help=files)
    add("--output_dir", type=str | None, default=None, help="(default: one in outputs/grids)")
    again = "try pictures again that failed before"
    add("--retry_failed", action=ActionYesNo, default=False, help=again)
    return parser


def _apart(words: Sequence[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """The command's own words, what all cells share, and the words for the runs."""
    own: list[str] = []
    common: dict[str, str] = {}
    passed: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        option = option.replace("--model.", "--", 1)
        if not option.startswith("--") or option in OWN or option == "-h":
            own.append(word)
            if option in OWN[:6] and not equals:
                own.append(next(rest, ""))
            continue
        if not equals:
            value = next(rest, "")
            if not value or value.startswith("--"):
                raise MuseError(f"{option} needs a value after it.")
        if option.startswith(OF_RUNS):
            full = option if option.startswith("--trainer.") else f"--model.{option[2:]}"
            passed.append(f"{full}={value}")
        elif option == "--plain":
            raise MuseError("A grid has no twins. For plain pictures: --x emotion=plain,awe,fear.")
        elif option[2:] in common:
            raise MuseError(f"{option} stands twice. Say it once, or make it an axis.")
        else:
            common[option[2:]] = value
    return own, common, passed


def _name(told: Grid) -> str:
    """``a-dog-in-a-park-emotion-seed``, for a folder."""
    axes = [told.x.name] + ([] if told.y is None else [told.y.name])
    return safe_name("-".join([*told.common.get("prompt", "").lower().split(), *axes]))


def _plans(told: Grid, runner: Runner) -> list[Run]:
    """A run for each arm, in an order in which models change seldom."""
    plans = []
    for arm in told.arms:
        jobs = told.jobs(arm)
        with _about(arm):
            plans.append(runner.plan(arm, jobs, jobs))
    first: dict[tuple[str, str], int] = {}

    def order(plan: Run) -> list[int]:
        models = [(name, json.dumps(plan.config["model"][name], sort_keys=True)) for name in LOADED]
        return [first.setdefault(model, len(first)) for model in models]

    return sorted(plans, key=order)


@contextmanager
def _about(arm: Arm) -> Iterator[None]:
    """Tell which cells it is about."""
    try:
        yield
    except (MuseError, ArgumentError) as error:
        raise MuseError(f"Cells {arm.name!r}: {explain(error) or error}") from error


def _written(told: Grid, plans: Sequence[Run], folder: Path) -> tuple[bool, list[str]]:
    """The sheet and the page, of the pictures that are there; whether some failed, and what to tell
    about them.
    """
    made = {id(plan.arm): plan.pictures() for plan in plans}
    cells = {}
    for row, column, cell in told.places():
        pictures, job = made[id(cell.arm)], cell.job.id
        cells[row, column] = Shown(
            cell, pictures.files.get(job), pictures.records.get(job, {}), pictures.failed.get(job)
        )
    with written(f"the grid into {str(folder)!r}"):
        lines = write_grid(told, cells, folder)
    return any(shown.failed is not None for shown in cells.values()), lines
