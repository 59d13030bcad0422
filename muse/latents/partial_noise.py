"""SDEdit, for editing: a picture, noised in part."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any, ClassVar

import torch

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask
from muse.core.jobs import Job
from muse.core.types import Cond, Denoised, MuseError
from muse.latents.base import LatentSource, Start
from muse.latents.picture import picture_latent
from muse.schedulers import TimeGrid


class PartialNoise(LatentSource):
    r"""Editing: a picture, noised in part instead of inverted (SDEdit, Meng et al. 2022).

    :math:`x_i = \alpha_i x_0 + \sigma_i \epsilon` at the node i from which the last `strength` of
    the steps lead to the picture: diffusers' image-to-image pipelines, with each family's own
    rounding (`Backbone.start_node`). Nothing is asked of the model. The noise is the job's own, as
    for generation. Where the job has a mask, the picture with this noise at every later node is the
    path that a row is held to outside of it, as in diffusers' inpainting pipelines.

    diffusers' strengths are 0.8 for Stable Diffusion, 0.3 for SDXL, 0.6 for SD3 and FLUX.

    Args:
        strength: the share of the steps that are taken, above 0, to 1, which keeps next to nothing
            of the picture.

    Raises:
        MuseError: a strength out of range; in a run, one of less than a step.
    """

    needs_picture: ClassVar[bool] = True

    def __init__(self, strength: float = 0.8) -> None:
        super().__init__()
        if not 0 < strength <= 1:
            raise MuseError(f"strength = {strength:g} is not allowed. Use above 0, to 1.")
        self.strength = strength

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Start]:
        """The noised picture, and where it stands; asks for nothing."""
        latent = picture_latent(self, job, backbone, cond, size)
        steps = len(grid)
        node = backbone.start_node(self.strength, steps)
        if node == steps:
            raise MuseError(
                f"strength = {self.strength:g} of {steps} steps is less than one. "
                f"Use {math.ceil(1000 / steps) / 1000:g} or more, or more steps."
            )
        noised = Denoised(latent, torch.randn(latent.shape, generator=job.noise()).to(latent))
        masked = self.mask_of(job, size) is not None
        nodes = [grid[i] for i in range(node, steps if masked else node + 1)]
        way = [noised.at(here.alpha, here.sigma) for here in nodes]
        return Start(way[0], node, [*way, latent] if masked else ())
        yield  # makes this a row
