"""Numbers with intervals: whole prompts are drawn again, because pictures of one are alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values: TypeAlias = NDArray[np.float64]
"""Numbers for each picture, (N,) or (N, D), nan where the metric does not apply."""

RESAMPLES = 1_000
SET_RESAMPLES = 200
SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A number of some pictures, or a difference or ratio of two, and its 95 % interval.

    Attributes:
        mean: nan where there is nothing to take it of.
        low, high: the interval's ends; nan where a single prompt leaves nothing to draw from.
        count: pictures in it.
    """

    mean: float
    low: float
    high: float
    count: int


def ratio_name(arm: str, base: str, arms: int) -> str:
    """What the ratio of an arm to the base is called: ``ratio``, where there are two arms."""
    return "ratio" if arms == 2 else f"{arm} / {base}"


def difference_name(arm: str, base: str, arms: int) -> str:
    """What an arm less the base is called: ``difference``, where there are two arms."""
    return "difference" if arms == 2 else f"{arm} - {base}"


def estimates(
    values: Mapping[str, Values],
    prompts: Sequence[str],
    relative: bool,
    sum_up: Callable[[Tensor], float] | None = None,
    base: str = "plain",
) -> dict[str, Estimate]:
    """The number of each arm, how far it is from that of the `base` and, where it means something,
    its ratio to that.

    Cluster bootstrap: 1,000 times as many prompts as there are, drawn with replacement (seeded),
    200 times for numbers of whole sets; the interval goes from the 2.5 % to the 97.5 % quantile of
    what they give. All arms see the same draws, so intervals of differences and ratios are paired.

    A draw repeats pictures, which alone moves the number of a set (its covariance shrinks, and a
    distance such as FID grows). So what draws give is shifted until its mean is the number itself,
    for numbers of whole sets.

    Args:
        values: arm -> (N,) of which the mean is taken; or, for `sum_up`, descriptions (N, D).
        prompts: N.
        relative: whether to give ratios too (`ratio_name`). These and the differences
            (`difference_name`) take the pictures that both arms know.
        sum_up: the number of a set of descriptions; None is the mean.
        base: the arm that others are compared with.
    """
    kinds, cluster = np.unique(np.asarray(prompts), return_inverse=True)
    many = max(len(kinds), 1)
    random = np.random.default_rng(SEED)
    draws = random.multinomial(
        many, np.full(many, 1 / many), RESAMPLES if sum_up is None else SET_RESAMPLES
    )
    by = _Means(cluster, draws) if sum_up is None else _Sets(cluster, draws, sum_up)
    found = {str(arm): by.one(column) for arm, column in values.items()}
    for arm, column in values.items() if base in values else ():
        if arm != base:
            found[difference_name(arm, base, len(values))] = by.difference(column, values[base])
            if relative:
                found[ratio_name(arm, base, len(values))] = by.ratio(column, values[base])
    return found


@dataclass(frozen=True)
class _Means:
    """Means, all draws at once: sums over prompts are enough."""

    cluster: NDArray[np.int64]
    draws: NDArray[np.int64]

    def one(self, column: Values) -> Estimate:
        return self._divided(column, np.ones_like(column), np.isfinite(column))

    def difference(self, one: Values, other: Values) -> Estimate:
        return self.one(one - other)

    def ratio(self, above: Values, below: Values) -> Estimate:
        return self._divided(above, below, np.isfinite(above) & np.isfinite(below))

    def _divided(self, above: Values, below: Values, known: NDArray[np.bool_]) -> Estimate:
        """Sum over sum, of the known pictures."""
        top, bottom, count = (
            np.bincount(self.cluster[known], part[known], minlength=self.draws.shape[1])
            for part in (above, below, np.ones_like(above))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.divide(top.sum(), bottom.sum())
            again = (self.draws @ top) / (self.draws @ bottom)
        return _estimate(mean, again, count, int(known.sum()))


@dataclass(frozen=True)
class _Sets:
    """Numbers of whole sets, made anew for each draw."""

    cluster: NDArray[np.int64]
    draws: NDArray[np.int64]
    sum_up: Callable[[Tensor], float]
    known: dict[tuple[int, bytes], Values] = field(default_factory=dict)

    def one(self, column: Values) -> Estimate:
        rows = _known(column)
        return self._estimate(self._numbers(column, rows), rows)

    def difference(self, one: Values, other: Values) -> Estimate:
        rows = _known(one) & _known(other)
        return self._estimate(self._numbers(one, rows) - self._numbers(other, rows), rows)

    def ratio(self, above: Values, below: Values) -> Estimate:
        rows = _known(above) & _known(below)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._estimate(self._numbers(above, rows) / self._numbers(below, rows), rows)

    def _numbers(self, column: Values, rows: NDArray[np.bool_]) -> Values:
        """The number of some rows, and then that of each draw from them; made once."""
        key = id(column), rows.tobytes()
        if key not in self.known:
            every = np.flatnonzero(rows)
            draws = (np.repeat(every, draw[self.cluster[every]]) for draw in self.draws)
            self.known[key] = np.array([self._number(column[some]) for some in (every, *draws)])
        return self.known[key]

    def _number(self, described: Values) -> float:
        return self.sum_up(torch.from_numpy(described)) if len(described) else float("nan")

    def _estimate(self, numbers: Values, rows: NDArray[np.bool_]) -> Estimate:
        count = np.bincount(self.cluster[rows], minlength=self.draws.shape[1])
        again = numbers[1:][np.isfinite(numbers[1:])]
        centred = again - again.mean() + numbers[0] if len(again) else again
        return _estimate(numbers[0], centred, count, int(rows.sum()))


def _known(rows: Values) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(rows).all(-1))


def _estimate(mean: float, again: Values, count: NDArray[Any], pictures: int) -> Estimate:
    again = again[np.isfinite(again)]
    spread = np.count_nonzero(count) > 1 and len(again) > 0 and np.isfinite(mean)
    low, high = np.quantile(again, [0.025, 0.975]) if spread else (np.nan, np.nan)
    found = float(mean) if np.isfinite(mean) else float("nan")
    return Estimate(found, float(low), float(high), pictures)
