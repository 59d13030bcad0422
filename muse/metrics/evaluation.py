"""Measuring a run: every metric on every picture of every arm, and what that gives by emotion and
group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from muse.core.emotions import WHEEL, target_text
from muse.core.types import MuseError
from muse.metrics.base import Made, Metric
from muse.metrics.bootstrap import Estimate, Values, estimates
from muse.metrics.emotion import EmotionAccuracy
from muse.runs.finished import FinishedRun, load
from muse.runs.records import Record

CHUNK = 64
"""Pictures in memory at a time."""


Arm: TypeAlias = Callable[[Record], Path | None]
"""Where the picture of a record lies; None where there is none."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What one metric found.

    Attributes:
        metric: the metric.
        guided: whether it is a judge that also guided the run.
        described: arm -> (N, D), in the order of the run's records.
        readings: arm -> the judge's probabilities (N, K); empty for other metrics.
    """

    metric: Metric
    guided: bool
    described: dict[str, Values]
    readings: dict[str, Values]

    @property
    def title(self) -> str:
        """Its name, starred where it also guided."""
        return f"{self.metric.name} *" if self.guided else self.metric.name

    @property
    def values(self) -> dict[str, Values]:
        """Arm -> one number a picture (N,); none, for numbers of whole sets."""
        if self.metric.of_sets:
            return {}
        return {arm: rows[:, 0] for arm, rows in self.described.items()}

    def summary(
        self, rows: Sequence[int], prompts: Sequence[str], base: str
    ) -> dict[str, Estimate]:
        """The number of each arm over some records and, where it means something, the ratios."""
        relative = self.metric.relative
        if not self.metric.of_sets:
            values = {arm: found[rows] for arm, found in self.values.items()}
            return estimates(values, prompts, relative, base=base)
        described = {arm: found[rows] for arm, found in self.described.items()}
        return estimates(described, prompts, relative, self.metric.sum_up, base)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run, measured.

    Attributes:
        run: the run.
        measured: one for each metric that applies to a picture of the run.
        idle: names of the metrics that apply to none.
        groups: the group of each record, "" for none.
        arms: name -> where its pictures lie.
        base: the arm that ratios are to.
    """

    run: FinishedRun
    measured: list[Measured]
    idle: list[str]
    groups: list[str]
    arms: Mapping[str, Arm]
    base: str

    @property
    def shown(self) -> str:
        """The arm that sheets show: the steered one, or the last."""
        return "steered" if "steered" in self.arms else list(self.arms)[-1]

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
        """The number of each arm and, where it means something, the ratios, of some records."""
        prompts = [self.run.records[i]["prompt"] for i in rows]
        return measured.summary(rows, prompts, self.base)


def _position(target: str) -> int:
    return WHEEL.index(target) if target in WHEEL else len(WHEEL)


def evaluate(
    run: FinishedRun,
    metrics: Sequence[Metric],
    guided: Collection[str] = (),
    groups: Callable[[str], str] | None = None,
    device: str = "cpu",
    arms: Mapping[str, Arm] | None = None,
    base: str = "plain",
) -> Evaluation:
    """Measure pictures for a run's jobs; progress goes to the standard error.

    A plain picture is counted once for every job that it stands for: over eight emotions exactly
    one in eight of those readings is right, whatever it shows.

    Args:
        run: the run.
        metrics: names differ.
        guided: names of the judges that also guided the run.
        groups: prompt -> the name of its group, "" for none.
        device: where the metrics compute.
        arms: sets of pictures by name, such as those of another method's run for the same jobs;
            None takes the run's own, ``plain`` and ``steered``.
        base: the arm that ratios are to.

    Raises:
        MuseError: two metrics of one name, missing pictures, or a metric that does not describe
            each picture.
    """
    names = [metric.name for metric in metrics]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise MuseError(f"Two metrics are called {twice[0]!r}. Give each a `name` of its own.")
    sources = any(metric.needs_source for metric in metrics)
    of = run.arms if arms is None else arms
    run.check_pictures(sources, of)
    for metric in metrics:
        metric.to(device).eval()
    found = [Measured(metric, metric.name in guided, {}, {}) for metric in metrics]
    starts = range(0, len(run.records), CHUNK)
    for start in track(starts, "Measuring", console=Console(stderr=True), transient=True):
        rows = range(start, min(start + CHUNK, len(run.records)))
        _measure(run, of, found, rows, sources, device)
    known = [any(np.isfinite(v).any() for v in m.described.values()) for m in found]
    return Evaluation(
        run,
        [measured for measured, some in zip(found, known, strict=True) if some],
        [name for name, some in zip(names, known, strict=True) if not some],
        ["" if groups is None else groups(record["prompt"]) for record in run.records],
        of,
        base,
    )


@torch.no_grad()
def _measure(
    run: FinishedRun,
    arms: Mapping[str, Arm],
    found: Sequence[Measured],
    rows: range,
    sources: bool,
    device: str,
) -> None:
    """Describe the pictures of some records."""
    picture = cache(lambda path, size=None: load(path, size).to(device))

    def made(record: Record, arm: Arm) -> Made | None:
        path = arm(record)
        if path is None:
            return None
        image = picture(path)
        edited = sources and record["image"]
        source = picture(Path(record["image"]), image.shape[-2:]) if edited else None
        return Made(record["prompt"], record["target"], image, source)

    for name, arm in arms.items():
        pairs = [(i, made(run.records[i], arm)) for i in rows]
        there = [i for i, one in pairs if one is not None]
        pictures = [one for _, one in pairs if one is not None]
        for measured in found if pictures else ():
            _fill(measured, name, there, pictures, len(run.records))


def _fill(
    measured: Measured, arm: str, rows: list[int], pictures: list[Made], records: int
) -> None:
    metric = measured.metric
    if isinstance(metric, EmotionAccuracy):
        probabilities = metric.read(pictures)
        _put(measured.readings, arm, rows, probabilities, records)
        described = torch.tensor(metric.score(probabilities, pictures))[:, None]
    else:
        described = metric.describe(pictures)
    if described.ndim != 2 or len(described) != len(pictures):
        raise MuseError(
            f"Metric {metric.name!r} gave {len(described)} values for {len(pictures)} pictures. "
            "`measure` (or `describe`) must give one for each, nan where it does not apply."
        )
    _put(measured.described, arm, rows, described, records)


def _put(into: dict[str, Values], arm: str, rows: list[int], values: Tensor, records: int) -> None:
    """Lay the rows of some records where they belong; all others are nan."""
    if arm not in into:
        into[arm] = np.full((records, values.shape[1]), np.nan)
    into[arm][rows] = values.cpu().double().numpy()
