"""A latent source of one's own that starts later: SDEdit.

muse fit-free --config configs/quickstart.yaml --data.jobs edits.csv \
    --model.latents examples.my_start.PartialNoise --model.latents.strength 0.6
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import torch

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask
from muse.core.jobs import Job
from muse.core.pictures import read_picture
from muse.core.types import Cond, Denoised, MuseError
from muse.latents import LatentSource, Start
from muse.latents.noise import like
from muse.schedulers import TimeGrid


class PartialNoise(LatentSource):
    r"""A picture, noised in part, instead of inverted (SDEdit, Meng et al. 2022).

    :math:`x = \alpha x_0 + \sigma \epsilon` at the node from which the last `strength` of the steps
    lead to the picture.

    Args:
        strength: the share of the steps that are taken, above 0, to 1, which starts from noise.

    Raises:
        MuseError: a strength out of range.
    """

    needs_picture: ClassVar[bool] = True

    def __init__(self, strength: float = 0.6) -> None:
        super().__init__()
        if not 0 < strength <= 1:
            raise MuseError(f"strength = {strength:g} is not allowed. Use above 0, to 1.")
        self.strength = strength

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Start]:
        """The noised picture, and where it stands; asks for nothing."""
        assert job.image is not None  # jobs without one are refused
        picture = read_picture(job.image, size).to(like(cond))
        latent = backbone.encode(picture).to(like(cond))
        noise = torch.randn(latent.shape, generator=job.noise()).to(latent)
        node = len(grid) - max(1, int(len(grid) * self.strength))
        return Start(Denoised(latent, noise).at(grid[node].alpha, grid[node].sigma), node)
        yield  # makes this a row
