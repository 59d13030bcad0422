"""SimEmo: a language-supervised emotion classifier on CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from transformers import CLIPModel, SiglipModel

from muse.guides.base import Guide
from muse.pretrained.clip import Clip, as_clip


class SimEmo(Guide):
    """SimEmo (Deng et al. 2022): CLIP image features -> 2048 -> ReLU -> 8.

    The features are projected and not normalised. Language supervises the training only
    (0.7 CE + 0.3 mean(1 - cos(image, text)), see `muse.tasks.EmotionClassification`); inference
    reads the picture alone.

    Args:
        clip: a CLIP, its hub id or folder, or ``muse-mini/clip``.
        checkpoint: the head, a state dict with keys ``classifier.0.*`` and ``classifier.2.*``; the
            visual tower that was trained with it may be in it, as `muse fit` saves it; None starts
            from random weights, for training.
        labels: the head's class order; None takes the checkpoint's own, else the published
            (alphabetical) one.
        tower: the visual tower that was trained with the head, where it has a file of its own:
            the authors' code saves a head ``fc*.pth`` and a whole CLIP ``model*.pth`` (OpenAI's
            names). None takes the checkpoint's, else that of `clip`.

    Raises:
        MuseError: a checkpoint that is missing, damaged or of other shapes.
    """

    published_labels: ClassVar[tuple[str, ...]] = (
        "amusement",
        "anger",
        "awe",
        "contentment",
        "disgust",
        "excitement",
        "fear",
        "sadness",
    )

    def __init__(
        self,
        clip: str | CLIPModel | SiglipModel | Clip,
        checkpoint: str | None = None,
        labels: Sequence[str] | None = None,
        tower: str | None = None,
    ) -> None:
        super().__init__()
        self.clip = as_clip(clip)
        self.classifier = nn.Sequential(
            nn.Linear(self.clip.width, 2048), nn.ReLU(), nn.Linear(2048, 8)
        )
        self.restore(checkpoint, labels, "classifier", tower=tower)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        return self.classifier(self.clip.image(image))
