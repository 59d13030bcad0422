"""Measuring a run: every metric on every picture of every arm, and what that gives by emotion and
group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

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
from muse.metrics.pictures import Arm, Pictures
from muse.runs.finished import FinishedRun
from muse.runs.records import wants_less

CHUNK = 64
"""Pictures in memory at a time."""


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
        self,
        rows: Sequence[int],
        prompts: Sequence[str],
        base: str,
        enough: Collection[str] | None = None,
    ) -> dict[str, Estimate]:
        """The number of each arm over some records, the differences to that of the `base` and,
        where it means something, the ratios.

        Args:
            rows: which records.
            prompts: of these.
            base: the arm that others are compared with.
            enough: arms that have as many pictures as the metric takes; the others get nan. None is
                all of them.
        """
        of_sets = self.metric.of_sets
        kept = self.described if of_sets else self.values
        values = {
            arm: found[rows]
            if enough is None or arm in enough
            else np.full_like(found[rows], np.nan)
            for arm, found in kept.items()
        }
        sum_up = self.metric.sum_up if of_sets else None
        return estimates(values, prompts, self.metric.relative, sum_up, base)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run, measured.

    Attributes:
        run: the run.
        measured: one for each metric that applies to a picture of the run.
        idle: names of the metrics that apply to none.
        groups: the group of each record, "" for none.
        arms: name -> where its pictures lie.
        base: the arm that others are compared with.
        unreadable: why some pictures couldn't be read, a line each; they are left out.
    """

    run: FinishedRun
    measured: list[Measured]
    idle: list[str]
    groups: list[str]
    arms: Mapping[str, Arm]
    base: str
    unreadable: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The arm that sheets show: the steered one, or the last."""
        return "steered" if "steered" in self.arms else list(self.arms)[-1]

    @cached_property
    def targets(self) -> list[str]:
        """Each record's target in words; a mixture is a kind of its own, and so is less of one."""
        names = [target_text(record["target"]) for record in self.run.records]
        pairs = zip(names, self.run.records, strict=True)
        return [f"less {name}" if wants_less(record) else name for name, record in pairs]

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
        """The number of each arm, the differences and, where they mean something, the ratios, of
        some records; made once. An arm with too few different pictures among them has no number.
        """
        key = measured.metric.name, tuple(rows)
        if key not in self._found:
            prompts = [self.run.records[i]["prompt"] for i in rows]
            enough = {
                arm for arm in self.arms if self.different(arm, rows) >= measured.metric.fewest
            }
            self._found[key] = measured.summary(rows, prompts, self.base, enough)
        return self._found[key]

    def different(self, arm: str, rows: Sequence[int]) -> int:
        """How many different pictures an arm has for some records: one may stand for several."""
        return len({self._paths[arm][i] for i in rows} - {None})

    @cached_property
    def _paths(self) -> dict[str, list[Path | None]]:
        return {
            name: [arm(record) for record in self.run.records] for name, arm in self.arms.items()
        }

    @cached_property
    def _found(self) -> dict[tuple[str, tuple[int, ...]], dict[str, Estimate]]:
        return {}

    def remarks(self, measured: Measured) -> list[str]:
        """What a reader must know of a metric's numbers, a line each."""
        metric, every = measured.metric, range(len(self.run.records))
        lines = [
            f"{metric.name}: {count} different pictures of {arm!r} are too few; it takes "
            f"{metric.fewest}."
            for arm in self.arms
            if (count := self.different(arm, every)) < metric.fewest
        ]
        described = {
            arm: torch.from_numpy(rows[np.isfinite(rows).all(-1)])
            for arm, rows in measured.described.items()
            if self.different(arm, every) >= metric.fewest
        }
        return lines + [f"{metric.name}: {line}" for line in metric.remarks(described)]


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
        base: the arm that others are compared with.

    A picture that can't be read (or an edit whose source can't) is left out and named.

    Raises:
        MuseError: two metrics of one name, missing pictures, none that can be read, a metric that
            takes more pictures than any arm has, or one that does not describe each picture.
    """
    names = [metric.name for metric in metrics]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise MuseError(f"Two metrics are called {twice[0]!r}. Give each a `name` of its own.")
    sources = any(metric.needs_source for metric in metrics)
    of = run.arms if arms is None else arms
    run.check_pictures(sources, of)
    _check_counts(run, metrics, of)
    for metric in metrics:
        metric.to(device).eval()
    found = [Measured(metric, metric.name in guided, {}, {}) for metric in metrics]
    pictures = Pictures(of, base, sources, device)
    starts = range(0, len(run.records), CHUNK)
    for start in track(starts, "Measuring", console=Console(stderr=True), transient=True):
        rows = range(start, min(start + CHUNK, len(run.records)))
        _measure(run, pictures, found, rows)
    if metrics and not any(measured.described for measured in found):
        raise MuseError(
            f"None of the pictures can be read. {next(iter(pictures.unreadable.values()))}"
        )
    known = [any(np.isfinite(v).any() for v in m.described.values()) for m in found]
    return Evaluation(
        run,
        [measured for measured, some in zip(found, known, strict=True) if some],
        [name for name, some in zip(names, known, strict=True) if not some],
        ["" if groups is None else groups(r["prompt"]) or "" for r in run.records],
        of,
        base,
        list(pictures.unreadable.values()),
    )


def _check_counts(run: FinishedRun, metrics: Sequence[Metric], arms: Mapping[str, Arm]) -> None:
    most = max(len({*map(arm, run.records)} - {None}) for arm in arms.values())
    for metric in metrics:
        if most < metric.fewest:
            raise MuseError(
                f"{metric.name!r} takes {metric.fewest} different pictures or more, and there are "
                f"{most}. Make more of them, or leave it out."
            )


@torch.no_grad()
def _measure(run: FinishedRun, pictures: Pictures, found: Sequence[Measured], rows: range) -> None:
    """Describe the pictures of some records."""
    pictures.forget()
    for name in pictures.arms:
        pairs = [(i, pictures.made(run.records[i], name)) for i in rows]
        there = [i for i, one in pairs if one is not None]
        made = [one for _, one in pairs if one is not None]
        for measured in found if made else ():
            _fill(measured, name, there, made, len(run.records))


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
