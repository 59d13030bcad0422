"""The kernel distance of two sets of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from muse.metrics.base import Made, Metric
from muse.metrics.distinct import distinct, fingerprints
from muse.metrics.feature_space import FeatureSpace
from muse.metrics.features import Extractor
from muse.metrics.references import Reference


class KID(Metric):
    r"""The squared maximum mean discrepancy of pictures and a reference set, by any features
    (Binkowski et al. 2018).

    The unbiased estimate :math:`\mathbb{E}\,k(x, x') + \mathbb{E}\,k(y, y') - 2\,\mathbb{E}\,k(x,
    y)` over pairs of different pictures, all of them (no subsets are drawn), with
    :math:`k(x, y) = (x \cdot y / D + 1)^3`. Unlike FID it doesn't depend on how many there are, so
    it may be below 0.

    Args:
        features: from pixels to features.
        reference: the pictures that others are compared with.
        fewest: how many different pictures it takes, of the arm and of the reference.
        name: its row in the tables.
    """

    show: ClassVar[str] = ".4f"

    def __init__(
        self, features: Extractor, reference: Reference, fewest: int = 20, name: str = "KID"
    ) -> None:
        super().__init__()
        self.space = FeatureSpace(features, reference)
        self.fewest, self.name = max(2, fewest), name
        self._within: float | None = None

    def describe(self, pictures: Sequence[Made]) -> Tensor:
        """Fingerprint, mean kernel with the reference, and features, (N, 2 + D).

        Raises:
            MuseError: fewer pictures in the reference than `fewest`.
        """
        images = [picture.image for picture in pictures]
        known = self.space.of_large_reference(self.fewest, self.name, images[0].device)
        features = self.space.read(images)
        across = kernel(features, known).mean(1, keepdim=True)
        return torch.cat([fingerprints(pictures), across, features], dim=1)

    def sum_up(self, described: Tensor) -> float:
        """The estimate; nan for a single picture."""
        rows, weights = distinct(described)
        if len(rows) < 2:
            return float("nan")
        own = within(rows[:, 1:], weights)
        across = weights @ rows[:, 0] / weights.sum()
        return float(own + self.within_reference() - 2 * across)

    def within_reference(self) -> float:
        """The mean kernel of pairs of the reference."""
        if self._within is None:
            known = self.space.of_reference()
            self._within = float(within(known, torch.ones(len(known)).to(known)))
        return self._within

    def remarks(self, described: Mapping[str, Tensor]) -> list[str]:
        """How many pictures are compared."""
        return [self.space.told(len(distinct(rows)[1]), arm) for arm, rows in described.items()]


def kernel(one: Tensor, other: Tensor) -> Tensor:
    """The polynomial kernel of features (N, D) and (M, D): (N, M)."""
    return (one @ other.T / one.shape[1] + 1) ** 3


def within(rows: Tensor, weights: Tensor) -> Tensor:
    """The mean kernel over pairs of different pictures (n, D) that occur `weights` (n,) times."""
    found = kernel(rows, rows).fill_diagonal_(0)
    return weights @ found @ weights / (weights.sum() ** 2 - (weights**2).sum())
