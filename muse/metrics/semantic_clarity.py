"""How sure classifiers are of what a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from muse.metrics.base import Made, Metric, read_each
from muse.metrics.features import Extractor


class SemanticClarity(Metric):
    """EmoGen's Sem-C: the probability of the likeliest class, of the surest classifier.

    EmoGen's two are ResNet-50s of ImageNet and of Places365: `TorchvisionFeatures` with ``logits:
    true``, the second with a checkpoint and 365 classes. Of a network with several heads
    `LayerFeatures` takes one.

    Args:
        classifiers: from pixels to logits.
        name: its row in the tables.
    """

    show: ClassVar[str] = ".3f"
    relative: ClassVar[bool] = True

    def __init__(self, classifiers: list[Extractor], name: str = "Sem-C") -> None:
        super().__init__()
        self.classifiers = nn.ModuleList(classifiers)
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """In (0, 1]."""
        images = [picture.image for picture in pictures]
        surest = [
            read_each(images, classifier).softmax(-1).amax(-1) for classifier in self.classifiers
        ]
        values: list[float] = torch.stack(surest).amax(0).tolist()
        return values
