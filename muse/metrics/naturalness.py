"""How much a picture is like those of a reference set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from muse.metrics.base import Made, Metric
from muse.metrics.feature_space import FeatureSpace
from muse.metrics.features import Extractor
from muse.metrics.references import Reference

NEIGHBOURS = 5
RIDGE = 0.01
"""Share of the mean variance that is added to each direction's, so that none is divided by 0."""


class Naturalness(Metric):
    r"""How near a picture lies to those of a reference set, by any features.

    :math:`m / (m + d)`: d is the picture's distance to one half of the reference, m the median
    distance of the other half to it. A typical reference picture has 0.5, one that is three times
    as far away 0.25. Which features agree with people's eyes is to be found out: try a content
    classifier's, an autoencoder's latents and errors, local contrast.

    ``mahalanobis`` is the distance to the mean in units of the spread, direction by direction (1 %
    of the mean variance is added to each); ``nearest`` the mean distance to the five nearest.

    Args:
        features: from pixels to features.
        reference: plain pictures, such as rendered scenes.
        distance: ``mahalanobis`` or ``nearest``.
        name: its row in the tables.
    """

    show: ClassVar[str] = ".3f"
    relative: ClassVar[bool] = True

    def __init__(
        self,
        features: Extractor,
        reference: Reference,
        distance: Literal["mahalanobis", "nearest"] = "mahalanobis",
        name: str = "naturalness",
    ) -> None:
        super().__init__()
        self.space = FeatureSpace(features, reference)
        self.distance, self.name = distance, name
        self._median: float | None = None

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """In (0, 1].

        Raises:
            MuseError: a reference of too few pictures.
        """
        images = [picture.image for picture in pictures]
        known = self.space.of_large_reference(4 * NEIGHBOURS, self.name, images[0].device)
        near = known[::2]
        if self._median is None:
            self._median = float(self._from(known[1::2], near).median())
        values: list[float] = (
            self._median / (self._median + self._from(self.space.read(images), near))
        ).tolist()
        return values

    def remarks(self, described: Mapping[str, Tensor]) -> list[str]:
        """What the pictures are compared with."""
        known = self.space.of_reference()
        name = type(self.space.features).__name__
        return [
            f"against {len(known):,} {self.space.reference.told}, {self.distance} by {name}; "
            "a typical one of these has 0.5."
        ]

    def _from(self, rows: Tensor, near: Tensor) -> Tensor:
        """The distance of rows (N, D) to the pictures of rows (M, D): (N,)."""
        if self.distance == "nearest":
            return torch.cdist(rows, near).topk(NEIGHBOURS, largest=False).values.mean(1)
        values, vectors = torch.linalg.eigh(near.T.cov().reshape(near.shape[1], near.shape[1]))
        scale = (values.clamp(min=0) + RIDGE * values.mean()).sqrt()
        return ((rows - near.mean(0)) @ vectors / scale).norm(dim=1)
