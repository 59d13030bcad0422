"""The contract of what turns pictures to numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Extractor(nn.Module, ABC):
    """Turns pictures to features: pixels in, numbers out.

    A torch module that does so already needs no class of its own: `LayerFeatures` and
    `PenultimateFeatures` take any.
    """

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """The features of some pictures.

        Args:
            image: (B, 3, H, W) in [0, 1], of any size: bringing them to its own is up to the class.

        Returns:
            (B, D), with one D for all sizes.
        """
