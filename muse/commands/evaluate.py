"""`muse evaluate`: measure a finished run."""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

import muse.metrics
from muse.commands.lightning import quiet
from muse.core.files import make_folder, replacing, write_text, written
from muse.core.registry import unknown
from muse.core.types import MuseError
from muse.guides import Guide
from muse.metrics import Evaluation, Extractor, FinishedRun, Metric, Reference
from muse.presets import with_examples
from muse.report.best_and_worst import best_and_worst
from muse.report.confusion import confusion
from muse.report.evaluation import as_csv, as_json, markdown, remarks, tables
from muse.studies.file import LISTS

MINI = LISTS / "mini.yaml"
"""The metrics for runs of muse-mini."""

KINDS: dict[str, type] = {
    "judge": Guide,
    "features": Extractor,
    "classifiers": Extractor,
    "reference": Reference,
}
"""What the options of metrics take; all others are metrics."""


def evaluate(words: Sequence[str]) -> int:
    """Measure a run's folder, print the table and write the reports; the exit code, 1 where some
    pictures couldn't be read.
    """
    quiet()
    parser, words = metrics_parser(), with_examples(words, here_or_packaged)
    given = parse(parser, words)
    if given.folder is None:
        raise MuseError("Which run? Give its folder: muse evaluate outputs/quickstart.")
    run = FinishedRun.open(Path(given.folder))
    if not given.config and run.of_muse_mini:
        given = parse(parser, ["--config", str(MINI), *words])
    if not given.metrics:
        raise MuseError(
            f"There are no metrics: the packaged list ({MINI}) is for runs of muse-mini. Give one "
            "of your own like it, with --config FILE."
        )
    guided = _guides(run, given.metrics)
    made = parser.instantiate(given)
    names = {made.metrics[index].name for index in guided}
    device = check_device(given.device)
    evaluation = muse.metrics.evaluate(run, made.metrics, names, made.groups, device)
    folder = Path(given.output_dir) if given.output_dir else run.folder / "evaluation"
    write(evaluation, folder)
    console = Console(highlight=False)
    for table in tables(evaluation):
        console.print(table)
    for line in [*remarks(evaluation), f"The report is {folder / 'evaluation.md'}"]:
        console.print(line, soft_wrap=True, markup=False)
    return int(bool(evaluation.unreadable))


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write evaluation.md, .csv and .json and, where a judge was asked, confusion.png and
    best_and_worst.png; those of an earlier evaluation go.

    Raises:
        MuseError: the disk is full, or the folder can't be written to.
    """
    make_folder(folder)
    figure, sheet = confusion(evaluation), best_and_worst(evaluation)
    pictures: dict[str, str] = {}
    with written(f"the evaluation into {str(folder)!r}"):
        for name in ("confusion.png", "best_and_worst.png"):
            (folder / name).unlink(missing_ok=True)
        if figure is not None:
            with replacing(folder / "confusion.png") as temporary:
                figure.savefig(temporary, dpi=150)
            pictures["What the judges read"] = "confusion.png"
        if sheet is not None:
            with replacing(folder / "best_and_worst.png") as temporary:
                sheet.save(temporary)
            pictures["Best and worst"] = "best_and_worst.png"
        write_text(folder / "evaluation.csv", as_csv(evaluation))
        write_text(folder / "evaluation.json", as_json(evaluation))
        write_text(folder / "evaluation.md", markdown(evaluation, pictures))


def here_or_packaged(name: str) -> str:
    """A file that is here, else the packaged list of metrics of that name, else `name` itself."""
    packaged = LISTS / f"{name}.yaml"
    return name if Path(name).is_file() or not packaged.is_file() else str(packaged)


def metrics_parser() -> ArgumentParser:
    """What reads a list of metrics, and the command's other options."""
    parser = ArgumentParser(
        prog="muse evaluate",
        usage="muse evaluate DIR [--config FILE] [options]",
        description="Measure the pictures of a finished run.",
        exit_on_error=False,
    )
    parser.add_argument("folder", nargs="?", type=str, help="the folder that the run wrote")
    parser.add_argument(
        "--config", action="config", help="the metrics; runs of muse-mini have a list of their own"
    )
    parser.add_argument(
        "--metrics",
        type=list[Metric],
        default=[],
        help="what to measure, by class path; --metrics+ my_file.Mine adds one",
    )
    parser.add_argument(
        "--groups",
        type=Callable[[str], str],
        default=None,
        help="import path of a function: prompt -> the group to report it with, '' for none",
    )
    parser.add_argument(
        "--output_dir", type=str | None, default=None, help="(default: DIR/evaluation)"
    )
    parser.add_argument("--device", type=str, default="cpu", help="where to compute, such as cuda")
    return parser


def parse(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Parse; what jsonargparse says about the parts of a list is told in muse's words."""
    try:
        return parser.parse_args(list(words))
    except ArgumentError as error:
        told = str(error.message)
        name = re.search(r"dot import path string: ([\w.]+)", told)
        missing = re.search(r"arguments are required: (\S+)", told)
        if name:
            raise MuseError(_unknown(told, name[1])) from None
        if missing:
            raise MuseError(
                f"A metric lacks {missing[1]!r}. Give it under init_args in a --config FILE, as in "
                f"{MINI}."
            ) from None
        raise


def _unknown(told: str, name: str) -> str:
    """The line about a class that isn't there, by the option that it was given for."""
    options = re.findall(r'key "(\w+)"', told)
    if options[-1:] == ["model"]:
        return (
            f"There is no module {name!r}. Give the import path of a torch module that takes "
            "pictures, such as muse.guides.ConvNet."
        )
    return unknown(next((KINDS[key] for key in reversed(options) if key in KINDS), Metric), name)


def _guides(run: FinishedRun, metrics: Sequence[Namespace]) -> list[int]:
    """Which of the metrics hold the judge that guided the run."""
    settings: list[dict[str, Any]] = [metric.as_dict() for metric in metrics]
    judges = [given.get("init_args", {}).get("judge") for given in settings]
    return [i for i, judge in enumerate(judges) if judge and run.guided_by(judge)]


def check_device(name: str) -> str:
    """The device, or a `MuseError` where nothing can be computed there."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise MuseError(f"--device {name!r} can't be used ({reason}). cpu always can.") from None
    return name
