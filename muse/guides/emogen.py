"""EmoGen's emotion classifier: one linear layer on CLIP features."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from transformers import CLIPModel

from muse.clip import Clip, as_clip
from muse.guides.base import Guide


class EmoGen(Guide):
    """EmoGen's classifier (Yang et al. 2024): CLIP image features -> 8, one linear layer.

    The features are projected and not normalised.

    Args:
        clip: a CLIP, its hub id or folder, or ``muse-mini/clip``.
        checkpoint: the head, a state dict with keys ``fc.weight`` (8, width) and ``fc.bias``
            (8,); None starts from random weights, for training.
        labels: the head's class order; None takes the checkpoint's own, else EmoSet's.

    Raises:
        MuseError: a checkpoint that is missing, damaged or of other shapes.
    """

    def __init__(
        self,
        clip: str | CLIPModel | Clip,
        checkpoint: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.clip = as_clip(clip)
        self.fc = nn.Linear(self.clip.width, 8)
        self.restore(self.fc, checkpoint, labels, prefix="fc.")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        return self.fc(self.clip.image(image))
