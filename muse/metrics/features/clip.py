"""CLIP's picture features."""

from __future__ import annotations

from torch import Tensor
from transformers import CLIPModel

from muse.metrics.features.base import Extractor
from muse.pretrained.clip import Clip, as_clip


class ClipFeatures(Extractor):
    """The projected, un-normalised picture features of a CLIP or SigLIP.

    Args:
        clip: a CLIP, its hub id or folder, or ``muse-mini/clip``.
    """

    def __init__(self, clip: str | CLIPModel | Clip) -> None:
        super().__init__()
        self.clip = as_clip(clip)

    def forward(self, image: Tensor) -> Tensor:
        """(B, width) of pictures (B, 3, H, W) in [0, 1]."""
        return self.clip.image(image)
