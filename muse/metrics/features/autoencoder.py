"""What an autoencoder makes of pictures: its latents, or what it can't reconstruct."""

from __future__ import annotations

from typing import Literal

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from muse.metrics.features.base import Extractor
from muse.pretrained.models import load

GRID = 8
"""Cells a side in which reconstruction errors are averaged."""


class AutoencoderFeatures(Extractor):
    """The latents of an `AutoencoderKL` of diffusers (the mode, unscaled), or where and how much
    its reconstruction misses: the mean absolute error in each of 8 x 8 cells.

    Args:
        autoencoder: a diffusers folder or hub id, such as ``muse-mini/vae``.
        of: ``latents`` or ``errors``.
        size: the side in pixels that pictures are brought to first.

    Raises:
        MuseError: no autoencoder under that name.
    """

    def __init__(
        self, autoencoder: str, of: Literal["latents", "errors"] = "latents", size: int = 64
    ) -> None:
        super().__init__()
        self.vae = load(AutoencoderKL, autoencoder, "autoencoder", low_cpu_mem_usage=False)
        self.vae.to(memory_format=torch.channels_last)  # faster, equal to rounding
        self.of, self.size = of, size

    def forward(self, image: Tensor) -> Tensor:
        """(B, D) of pictures (B, 3, H, W) in [0, 1]."""
        if image.shape[-2:] != (self.size, self.size):
            image = F.interpolate(image, (self.size, self.size), mode="bicubic", antialias=True)
        latents: Tensor = self.vae.encode(image * 2 - 1).latent_dist.mode()
        if self.of == "latents":
            return latents.flatten(1)
        again = (self.vae.decode(latents).sample + 1) / 2
        return F.adaptive_avg_pool2d((image - again).abs().mean(1), GRID).flatten(1)
