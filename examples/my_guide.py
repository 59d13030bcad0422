"""A guide of one's own: any classifier, asked about several views of a picture.

muse fit-free --config configs/quickstart.yaml --model.guide examples.my_guide.ManyViews \
    --model.guide.guide TimmClassifier \
    --model.guide.guide.checkpoint muse-mini/guides/timm.safetensors
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from muse.core.types import MuseError
from muse.guides import Guide


class ManyViews(Guide):
    """A classifier that has to be convinced from several views of a picture.

    The mean of its log-probabilities over the picture, its mirror image, and the picture moved by a
    few pixels to each side. An emotion is still there in all of them; a pattern made for one
    classifier's grid of pixels is not.

    Args:
        guide: the classifier.
        shift: pixels to each side, 1 or more.

    Raises:
        MuseError: a shift below 1.
    """

    def __init__(self, guide: Guide, shift: int = 2) -> None:
        super().__init__()
        if shift < 1:
            raise MuseError(f"shift = {shift} is not allowed. Use 1 or more.")
        self.guide = guide
        self.shift = shift

    def forward(self, image: Tensor) -> Tensor:
        """Log-probabilities (B, 8) in the order of `EMOTIONS`, of pictures (B, 3, H, W)."""
        # `read` brings the inner guide's classes, whatever their order, into that of `EMOTIONS`.
        seen = [self.guide.read(view).log_softmax(-1) for view in self.views(image)]
        return torch.stack(seen).mean(0)

    def views(self, image: Tensor) -> list[Tensor]:
        """Six pictures of the same size, (B, 3, H, W) each."""
        s, (height, width) = self.shift, image.shape[-2:]
        wide = F.pad(image, (s, s, s, s), mode="replicate")
        corners = [(s, 0), (s, 2 * s), (0, s), (2 * s, s)]
        moved = [wide[..., y : y + height, x : x + width] for y, x in corners]
        return [image, image.flip(-1), *moved]
