"""How much of an edit's structure is its source's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from muse.metrics.base import Made, Metric


class SSIM(Metric):
    """The structural similarity of an edit to its source (Wang et al. 2004), by torchmetrics.

    Gaussian windows of 11 pixels, and pixels in [0, 1] whatever a picture's own least and largest.

    Args:
        name: its row in the tables.
    """

    show: ClassVar[str] = ".3f"
    needs_source: ClassVar[bool] = True

    def __init__(self, name: str = "SSIM") -> None:
        super().__init__()
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """In [-1, 1]; nan for a picture that edits none."""
        return [float("nan") if p.source is None else _ssim(p.image, p.source) for p in pictures]


def _ssim(image: Tensor, source: Tensor) -> float:
    found = structural_similarity_index_measure(image[None], source[None], data_range=1.0)
    assert isinstance(found, Tensor)
    return float(found)
