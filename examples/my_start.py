"""A latent source of one's own that starts later, and holds a part of its picture.

muse fit-free --config configs/quickstart.yaml --data.jobs edits.csv \
    --model.latents examples.my_start.KeptFrame --model.latents.frame 0.25
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask
from muse.core.jobs import Job
from muse.core.types import Cond, Denoised, MuseError
from muse.latents import LatentSource, Start
from muse.latents.picture import picture_latent
from muse.schedulers import TimeGrid


class KeptFrame(LatentSource):
    r"""The middle of a picture is drawn anew, and its frame stays (after Blended Latent Diffusion,
    Avrahami et al. 2023).

    The picture is noised in part, as `muse.latents.PartialNoise` does, and its path is the picture
    at every later node under the same noise, :math:`\alpha_i x_0 + \sigma_i \epsilon`, and at the
    last one itself. After each step the mask puts that back where the frame is.

    Args:
        frame: how wide it is, as a share of each side, 0 to below 0.5.
        strength: the share of the steps that are taken, above 0, to 1.

    Raises:
        MuseError: a width or a strength out of range.
    """

    needs_picture: ClassVar[bool] = True
    gives_path: ClassVar[bool] = True

    def __init__(self, frame: float = 0.25, strength: float = 0.9) -> None:
        super().__init__()
        if not 0 <= frame < 0.5:
            raise MuseError(f"frame = {frame:g} is not allowed. Use 0 to below 0.5.")
        if not 0 < strength <= 1:
            raise MuseError(f"strength = {strength:g} is not allowed. Use above 0, to 1.")
        self.frame = frame
        self.strength = strength

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Start]:
        """Where it stands, the picture at all later nodes, and the mask; asks for nothing."""
        latent = picture_latent(self, job, backbone, cond, size)
        noise = torch.randn(latent.shape, generator=job.noise()).to(latent)
        first = min(backbone.start_node(self.strength, len(grid)), len(grid) - 1)
        noised = Denoised(latent, noise)
        path = [noised.at(grid[i].alpha, grid[i].sigma) for i in range(first, len(grid))]
        return Start(path[0], first, [*path, latent], self.mask(latent))
        yield  # makes this a row

    def mask(self, latent: Tensor) -> Tensor:
        """1 in the middle, 0 in the frame, (1, 1, h, w)."""
        height, width = latent.shape[-2:]
        high, wide = round(self.frame * height), round(self.frame * width)
        mask = torch.zeros(1, 1, height, width)
        mask[..., high : height - high, wide : width - wide] = 1
        return mask
