"""Means with intervals: whole prompts are drawn again, because pictures of one are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.runs.finished import Arm

Values: TypeAlias = NDArray[np.float64]
"""One number for each picture, (N,), nan where the metric does not apply."""

RESAMPLES = 1_000
SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A mean, or a ratio of two, and its 95 % interval.

    Attributes:
        mean: nan where there is nothing to take it of.
        low, high: the interval's ends; nan where a single prompt leaves nothing to draw from.
        count: pictures in it.
    """

    mean: float
    low: float
    high: float
    count: int


def estimates(
    values: Mapping[Arm, Values], prompts: Sequence[str], relative: bool
) -> dict[str, Estimate]:
    """The mean of each arm and, where it means something, steered / plain.

    Cluster bootstrap: 1,000 times as many prompts as there are, drawn with replacement (seeded);
    the interval goes from the 2.5 % to the 97.5 % quantile of what they give. Both arms see the
    same draws, so the ratio's interval is paired.

    Args:
        values: arm -> (N,).
        prompts: N.
        relative: whether to give ``ratio`` too; it takes the pictures that both arms know.
    """
    kinds, cluster = np.unique(np.asarray(prompts), return_inverse=True)
    many = max(len(kinds), 1)
    random = np.random.default_rng(SEED)
    draws = random.multinomial(many, np.full(many, 1 / many), RESAMPLES).astype(np.float64)

    def ratio(above: Values, below: Values, known: NDArray[np.bool_]) -> Estimate:
        """Sum over sum, of the known pictures."""
        top, bottom, count = (
            np.bincount(cluster[known], part[known], minlength=many)
            for part in (above, below, np.ones_like(above))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.divide(top.sum(), bottom.sum())
            again = (draws @ top) / (draws @ bottom)
        again = again[np.isfinite(again)]
        spread = np.count_nonzero(count) > 1 and len(again) > 0 and np.isfinite(mean)
        low, high = np.quantile(again, [0.025, 0.975]) if spread else (np.nan, np.nan)
        return Estimate(
            float(mean) if np.isfinite(mean) else float("nan"),
            float(low),
            float(high),
            int(known.sum()),
        )

    found = {
        str(arm): ratio(column, np.ones_like(column), np.isfinite(column))
        for arm, column in values.items()
    }
    if relative and len(values) == 2:
        plain, steered = values["plain"], values["steered"]
        found["ratio"] = ratio(steered, plain, np.isfinite(plain) & np.isfinite(steered))
    return found
