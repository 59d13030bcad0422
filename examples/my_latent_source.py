"""A latent source of one's own: pictures that are variations of each other.

muse fit-free --config configs/toy.yaml --model.latents examples.my_latent_source.Variations \
    --model.latents.strength 0.2
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask
from muse.core.jobs import Job, derive_seed
from muse.core.types import Cond, MuseError
from muse.latents import LatentSource
from muse.latents.noise import like
from muse.schedulers import TimeGrid


class Variations(LatentSource):
    r"""Noise that all jobs share, with a share of each job's own.

    :math:`x_T = \sqrt{1 - s^2}\, shared + s\, own`, a standard normal for every s: at strength 0
    pictures differ by prompt and emotion alone, at 1 they are those of `GaussianNoise`.

    Args:
        strength: s, in [0, 1].
        shared_seed: of the noise that is shared.

    Raises:
        MuseError: a strength out of range.
    """

    def __init__(self, strength: float = 0.3, shared_seed: int = 0) -> None:
        super().__init__()
        if not 0 <= strength <= 1:
            raise MuseError(f"strength = {strength:g} is out of range. Use 0 to 1.")
        self.strength = strength
        self.shared_seed = shared_seed

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Tensor]:
        """x_T of one job, (1, ...). It asks the model for nothing: see `DDIMInversion` for one that
        does, by ``[denoised] = yield [Predict(x, node, cond)]``.
        """
        shape = (1, *backbone.latent_shape(size))
        own = torch.randn(shape, generator=job.noise())
        # A seed derived, so that no job's own is the same.
        seed = derive_seed(self.shared_seed, "variations")
        shared = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        mixed = (1 - self.strength**2) ** 0.5 * shared + self.strength * own
        return mixed.to(like(cond))
        yield  # makes this a row
