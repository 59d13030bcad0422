"""A small convolutional classifier that reads pixels and shares nothing with a CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from muse.core.types import MuseError
from muse.guides.base import Guide


class ConvNet(Guide):
    """A convolutional classifier of 64-pixel pictures, trained from pixels.

    Four strided stages of convolution, group normalisation and ReLU, then mean pooling and one
    linear layer. It is the judge of muse-mini: it never guides there.

    Args:
        checkpoint: its weights; None starts from random ones, for training.
        width: channels of the first stage, a multiple of 8; each later one has twice as many.
        labels: the class order; None takes the checkpoint's own, else that of `EMOTIONS`.

    Raises:
        MuseError: a width that isn't allowed, or a checkpoint that is missing, damaged or of other
            shapes.
    """

    size = 64

    def __init__(
        self,
        checkpoint: str | None = None,
        width: int = 32,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if width < 8 or width % 8:
            raise MuseError(f"width = {width} is not allowed. Use a multiple of 8, such as 32.")
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(4):
            out = width * 2**stage
            layers += [
                nn.Conv2d(channels, out, 3, stride=2, padding=1),
                nn.GroupNorm(8, out),
                nn.ReLU(),
                nn.Conv2d(out, out, 3, padding=1),
                nn.GroupNorm(8, out),
                nn.ReLU(),
            ]
            channels = out
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, 8)
        self.restore(checkpoint, labels, "features", "fc")

    def settings(self) -> dict[str, Any]:
        """Its width."""
        return {"width": self.fc.in_features // 8}

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        if image.shape[-2:] != (self.size, self.size):
            image = F.interpolate(image, (self.size, self.size), mode="bicubic", antialias=True)
        return self.fc(self.features(image * 2 - 1).mean((-2, -1)))
