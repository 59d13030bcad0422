"""EmoEdit's emotion classifier: two layers on CLIP features."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from transformers import CLIPModel, SiglipModel

from muse.guides.base import Guide
from muse.pretrained.clip import Clip, as_clip


class EmoEdit(Guide):
    """EmoEdit's classifier (Yang et al. 2025): CLIP image features -> 256 -> ReLU -> 8.

    Its CLIP is ViT-B/32 (``openai/clip-vit-base-patch32``); the features are projected and not
    normalised. As published it ends in a softmax: the logits are what goes into it.

    Args:
        clip: a CLIP, its hub id or folder, or ``muse-mini/clip``.
        checkpoint: the head, a state dict with keys ``hidden.*`` and ``fc.*``; None starts from
            random weights, for training.
        labels: the head's class order; None takes the checkpoint's own, else EmoSet's.

    Raises:
        MuseError: a checkpoint that is missing, damaged or of other shapes.
    """

    def __init__(
        self,
        clip: str | CLIPModel | SiglipModel | Clip,
        checkpoint: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.clip = as_clip(clip)
        self.hidden = nn.Linear(self.clip.width, 256)
        self.fc = nn.Linear(256, 8)
        self.restore(checkpoint, labels, "hidden", "fc")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        return self.fc(self.hidden(self.clip.image(image)).relu())
