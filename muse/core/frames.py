"""What stands around the part of a picture that may change: where a mask is black."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Frame:
    """What stands around the part of a row's picture that may change.

    Attributes:
        mask: of latents, (1, 1, h, w): 1 where the row is free, 0 where it is what stands around.
        x0: the clean latent that stands around, (1, ...).
        pixels: the mask of pixels, (1, 1, H, W).
        picture: the picture that stands around, (1, 3, H, W).
        box: what guide and similarity see: top, left and side as shares of height, width and both;
            None is all.
    """

    mask: Tensor
    x0: Tensor
    pixels: Tensor
    picture: Tensor
    box: tuple[float, float, float] | None = None

    def around(self, x0: Tensor) -> Tensor:
        """A clean latent (1, ...) with what stands around it; differentiable."""
        return torch.lerp(self.x0.to(x0), x0, self.mask.to(x0))

    def composited(self, image: Tensor) -> Tensor:
        """A picture (1, 3, H, W) with the pixels that stand around it, to the bit."""
        return torch.lerp(self.picture.to(image), image, self.pixels.to(image))

    def shown(self, image: Tensor) -> Tensor:
        """What guide and similarity see of a picture (1, 3, H, W), as large; differentiable."""
        if self.box is None:
            return image
        height, width = image.shape[-2:]
        top, left, side = self.box
        high, wide = max(1, round(side * height)), max(1, round(side * width))
        top, left = min(round(top * height), height - high), min(round(left * width), width - wide)
        part = image[..., top : top + high, left : left + wide]
        return F.interpolate(part, size=(height, width), mode="bilinear", antialias=True)


def latent_mask(pixels: Tensor, latent: Tensor) -> Tensor:
    """A mask of pixels (1, 1, H, W) at the scale of a latent (1, C, h, w), (1, 1, h, w): twice the
    share of each cell that may change, 1 at most.

    A cell on the edge follows what may change: held to the other side it would shine around it, and
    what must not change is pasted in pixels anyway.
    """
    height, width = latent.shape[-2:]
    return (2 * F.adaptive_avg_pool2d(pixels, (height, width))).clamp(max=1)


def box_of(pixels: Tensor) -> tuple[float, float, float] | None:
    """The smallest part of a picture's proportions that holds all of a mask that isn't black.

    Args:
        pixels: the mask, (1, 1, H, W), not black all over.

    Returns:
        as `Frame.box`; None where that is all of the picture.
    """
    height, width = pixels.shape[-2:]
    free = pixels[0, 0] > 0
    rows, columns = free.any(1).nonzero().flatten(), free.any(0).nonzero().flatten()
    first, last = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
    side = max((last[0] - first[0]) / height, (last[1] - first[1]) / width)
    if side == 1:
        return None
    middle = (first[0] + last[0]) / 2 / height, (first[1] + last[1]) / 2 / width
    top, left = (min(max(0.0, at - side / 2), 1 - side) for at in middle)
    return top, left, side
