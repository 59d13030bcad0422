"""Measuring a run: every metric on every picture, and what that gives by emotion and group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from muse.core.emotions import EMOTIONS, WHEEL, target_text
from muse.core.types import MuseError
from muse.metrics.base import Made, Metric
from muse.metrics.bootstrap import Estimate, Values, estimates
from muse.metrics.emotion import EmotionAccuracy
from muse.runs.finished import ARMS, Arm, FinishedRun, load
from muse.runs.records import Record

CHUNK = 64
"""Pictures in memory at a time."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What one metric found.

    Attributes:
        metric: the metric.
        guided: whether it is a judge that also guided the run.
        values: arm -> (N,), in the order of the run's records; without plain twins, one arm.
        readings: arm -> the judge's probabilities (N, K); empty for other metrics.
    """

    metric: Metric
    guided: bool
    values: dict[Arm, Values]
    readings: dict[Arm, Values]

    @property
    def title(self) -> str:
        """Its name, starred where it also guided."""
        return f"{self.metric.name} *" if self.guided else self.metric.name


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run, measured.

    Attributes:
        run: the run.
        measured: one for each metric that applies to a picture of the run.
        idle: names of the metrics that apply to none.
        groups: the group of each record, "" for none.
    """

    run: FinishedRun
    measured: list[Measured]
    idle: list[str]
    groups: list[str]

    @property
    def targets(self) -> list[str]:
        """Each record's target in words; a mixture is a kind of its own."""
        return [target_text(record["target"]) for record in self.run.records]

    def parts(self) -> dict[str, dict[str, list[int]]]:
        """Which records to sum up together: ``overall``, ``groups`` by name, and ``emotions`` in
        the wheel's order, mixtures last.
        """
        every = list(range(len(self.run.records)))
        kinds = sorted(set(self.targets), key=lambda name: (_position(name), name))
        names = sorted(set(self.groups) - {""})
        return {
            "overall": {"all": every},
            "groups": {name: [i for i in every if self.groups[i] == name] for name in names},
            "emotions": {name: [i for i in every if self.targets[i] == name] for name in kinds},
        }

    def summary(self, measured: Measured, rows: Sequence[int]) -> dict[str, Estimate]:
        """``plain``, ``steered`` and, where it means something, ``ratio``, of some records."""
        return estimates(
            {arm: values[rows] for arm, values in measured.values.items()},
            [self.run.records[i]["prompt"] for i in rows],
            measured.metric.relative,
        )


def _position(target: str) -> int:
    return WHEEL.index(target) if target in WHEEL else len(WHEEL)


def evaluate(
    run: FinishedRun,
    metrics: Sequence[Metric],
    guided: Collection[str] = (),
    groups: Callable[[str], str] | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Measure a run's pictures, plain and steered; progress goes to the standard error.

    A plain picture is counted once for every job that it stands for: over eight emotions exactly
    one in eight of those readings is right, whatever it shows.

    Args:
        run: the run.
        metrics: names differ.
        guided: names of the judges that also guided the run.
        groups: prompt -> the name of its group, "" for none.
        device: where the metrics compute.

    Raises:
        MuseError: two metrics of one name, missing pictures, or a metric that does not give one
            value for each picture.
    """
    names = [metric.name for metric in metrics]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise MuseError(f"Two metrics are called {twice[0]!r}. Give each a `name` of its own.")
    sources = any(metric.needs_source for metric in metrics)
    run.check_pictures(sources)
    for metric in metrics:
        metric.to(device).eval()
    arms = [arm for arm in ARMS if any(run.path(record, arm) for record in run.records)]
    found = [
        Measured(metric, metric.name in guided, _empty(run, arms), _readings(metric, run, arms))
        for metric in metrics
    ]
    starts = range(0, len(run.records), CHUNK)
    for start in track(starts, "Measuring", console=Console(stderr=True), transient=True):
        _measure(run, found, range(start, min(start + CHUNK, len(run.records))), sources, device)
    known = [any(np.isfinite(v).any() for v in measured.values.values()) for measured in found]
    return Evaluation(
        run,
        [measured for measured, some in zip(found, known, strict=True) if some],
        [name for name, some in zip(names, known, strict=True) if not some],
        ["" if groups is None else groups(record["prompt"]) for record in run.records],
    )


@torch.no_grad()
def _measure(
    run: FinishedRun, found: Sequence[Measured], rows: range, sources: bool, device: str
) -> None:
    """Fill in the values of some records."""
    picture = cache(lambda path, size=None: load(path, size).to(device))

    def made(record: Record, arm: Arm) -> Made | None:
        path = run.path(record, arm)
        if path is None:
            return None
        image = picture(path)
        edited = sources and record["image"]
        source = picture(Path(record["image"]), image.shape[-2:]) if edited else None
        return Made(record["prompt"], record["target"], image, source)

    for arm in found[0].values if found else ():
        pairs = [(i, made(run.records[i], arm)) for i in rows]
        there = [i for i, one in pairs if one is not None]
        pictures = [one for _, one in pairs if one is not None]
        for measured in found if pictures else ():
            _fill(measured, arm, there, pictures)


def _fill(measured: Measured, arm: Arm, rows: list[int], pictures: list[Made]) -> None:
    metric = measured.metric
    if isinstance(metric, EmotionAccuracy):
        probabilities = metric.read(pictures)
        measured.readings[arm][rows] = probabilities.numpy()
        values = metric.score(probabilities, pictures)
    else:
        values = metric.measure(pictures)
    if len(values) != len(pictures):
        raise MuseError(
            f"Metric {metric.name!r} gave {len(values)} values for {len(pictures)} pictures. "
            "`measure` must give one for each, nan where it does not apply."
        )
    measured.values[arm][rows] = values


def _empty(run: FinishedRun, arms: Sequence[Arm]) -> dict[Arm, Values]:
    return {arm: np.full(len(run.records), np.nan) for arm in arms}


def _readings(metric: Metric, run: FinishedRun, arms: Sequence[Arm]) -> dict[Arm, Values]:
    if not isinstance(metric, EmotionAccuracy):
        return {}
    return {arm: np.full((len(run.records), len(EMOTIONS)), np.nan) for arm in arms}
