"""EmoGen's emotion classifier: one linear layer on CLIP features."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from transformers import CLIPModel, SiglipModel

from muse.guides.base import Guide
from muse.guides.published import EMOGEN
from muse.pretrained.clip import Clip, as_clip


class EmoGen(Guide):
    """EmoGen's classifier (Yang et al. 2024): CLIP image features -> 8, one linear layer.

    The features are projected and not normalised. The published head belongs to CLIP ViT-L/14
    (``openai/clip-vit-large-patch14``).

    Args:
        clip: a CLIP, its hub id or folder, or ``muse-mini/clip``.
        checkpoint: the head, a state dict with keys ``fc.weight`` (8, width) and ``fc.bias``
            (8,); ``published`` fetches its authors' once, checked by its digest (it has no
            licence); None starts from random weights, for training.
        labels: the head's class order; None takes the checkpoint's own, else EmoSet's.

    Raises:
        MuseError: a checkpoint that is missing, damaged or of other shapes, or no network to fetch
            the published one.
    """

    def __init__(
        self,
        clip: str | CLIPModel | SiglipModel | Clip,
        checkpoint: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.clip = as_clip(clip)
        self.fc = nn.Linear(self.clip.width, 8)
        if checkpoint == "published":
            checkpoint = EMOGEN.fetch()
        self.restore(checkpoint, labels, "fc")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        return self.fc(self.clip.image(image))
