"""How far an edit's pixels are from its source's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from muse.metrics.base import Made, Metric


class PSNR(Metric):
    r"""The peak signal-to-noise ratio of an edit against its source, in decibels.

    :math:`10 \log_{10}(1 / MSE)` of pixels in [0, 1], by torchmetrics. Equal pictures have no
    noise; they count as 100 dB, so that means stay finite.

    Args:
        name: its row in the tables.
    """

    show: ClassVar[str] = ".1f"
    needs_source: ClassVar[bool] = True

    def __init__(self, name: str = "PSNR") -> None:
        super().__init__()
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """Decibels, at most 100; nan for a picture that edits none."""
        return [float("nan") if p.source is None else _psnr(p.image, p.source) for p in pictures]


def _psnr(image: Tensor, source: Tensor) -> float:
    return float(peak_signal_noise_ratio(image, source, data_range=1.0).clamp(max=100))
