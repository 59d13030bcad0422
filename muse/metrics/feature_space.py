"""Features of pictures beside those of a reference set, read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from muse.core.types import MuseError
from muse.metrics.base import read_each
from muse.metrics.features import Extractor
from muse.metrics.references import Reference

BATCH = 16
"""Pictures of the reference in memory at a time: an autoencoder is slower with more of them."""


class FeatureSpace(nn.Module):
    """An extractor, and a reference set's features by it.

    Args:
        features: from pixels to features.
        reference: the pictures that others are compared with.
    """

    def __init__(self, features: Extractor, reference: Reference) -> None:
        super().__init__()
        self.features, self.reference = features.eval(), reference
        self._known: Tensor | None = None

    @torch.no_grad()
    def read(self, images: Sequence[Tensor]) -> Tensor:
        """The features of pictures (3, H, W) in [0, 1]: (N, D), float64, on the CPU.

        Raises:
            MuseError: what the extractor makes isn't one row of numbers for each picture.
        """
        found = read_each(images, self.features)
        if found.ndim != 2:
            raise MuseError(
                f"{type(self.features).__name__} gives {tuple(found.shape)} for {len(images)} "
                "pictures. Features must be (pictures, dimensions)."
            )
        return found.cpu().double()

    def of_reference(self, device: torch.device | str = "cpu") -> Tensor:
        """The reference's features, (M, D), float64, on the CPU; read once.

        Args:
            device: where the extractor computes.

        Raises:
            MuseError: a picture that can't be read.
        """
        if self._known is None:
            pictures = (image.to(device) for image in self.reference.pictures())
            self._known = torch.cat([self.read(batch) for batch in _batches(pictures)])
        return self._known

    def of_large_reference(
        self, fewest: int, name: str, device: torch.device | str = "cpu"
    ) -> Tensor:
        """As `of_reference`, where a metric takes no small one.

        Args:
            fewest: how many pictures it takes.
            name: of the metric, for the error.
            device: where the extractor computes.

        Raises:
            MuseError: fewer pictures, or one that can't be read.
        """
        known = self.of_reference(device)
        if len(known) < fewest:
            raise MuseError(
                f"{name!r} takes a reference of {fewest} pictures or more, and there are "
                f"{len(known)} {self.reference.told}."
            )
        return known

    def told(self, described: int, arm: str) -> str:
        """How many pictures are compared with how many, in words."""
        known = self.of_reference()
        return (
            f"{described} pictures of {arm!r} against {len(known):,} {self.reference.told}, by "
            f"{known.shape[1]:,} features ({type(self.features).__name__})."
        )


def _batches(pictures: Iterator[Tensor]) -> Iterator[list[Tensor]]:
    while batch := list(islice(pictures, BATCH)):
        yield batch
