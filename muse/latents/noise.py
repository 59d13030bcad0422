"""Fresh noise, for generation."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask
from muse.core.jobs import Job
from muse.core.types import Cond
from muse.latents.base import LatentSource
from muse.schedulers import TimeGrid


class GaussianNoise(LatentSource):
    """Generation: x_T from a standard normal, drawn on the CPU in float32 from the job's seed."""

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Tensor]:
        """Standard normal noise (1, ...); asks for nothing."""
        noise = torch.randn(1, *backbone.latent_shape(size), generator=job.noise())
        return noise.to(like(cond))
        yield  # makes this a row


def like(cond: Cond) -> Tensor:
    """A tensor of the device and dtype that latents have: float32, or float64 where the
    condition is (the exact toy).
    """
    tokens = cond["tokens"]
    return tokens if tokens.dtype == torch.float64 else tokens.float()
