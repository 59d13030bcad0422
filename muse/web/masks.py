"""Edits of a part: outside of a mask the photo stays, in latents at every step and in pixels."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError
from muse.latents import LatentSource, Start
from muse.sampling import Sampler
from muse.sampling.returned import row_of
from muse.schedulers import TimeGrid


class _Masked(LatentSource):
    """Another source's starts, with a mask.

    Args:
        source: gives paths.
        mask: where the picture may change, L, white, at any scale.
    """

    def __init__(self, source: LatentSource, mask: Image.Image) -> None:
        super().__init__()
        self.source = source
        self.mask = mask

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Start]:
        """The source's start, with the mask at the latent's scale, (1, 1, h, w) in [0, 1]."""
        start = yield from row_of(self.source, self.source(job, backbone, grid, cond, size))
        assert isinstance(start, Start)
        return replace(start, mask=latent_mask(self.mask, (start.x.shape[-2], start.x.shape[-1])))


def latent_mask(mask: Image.Image, size: tuple[int, int]) -> Tensor:
    """A mask at the scale of latents, (1, 1, h, w): the share of each cell that may change."""
    pixels = torch.from_numpy(np.array(mask.convert("L"))).float()[None, None] / 255
    return F.adaptive_avg_pool2d(pixels, (size[0], size[1]))


def composited(made: Image.Image, source: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture that was made where the mask is white, the source's own pixels where it is
    black.
    """
    return Image.composite(made, source, mask.convert("L"))


@contextmanager
def masked(sampler: Sampler, mask: Image.Image) -> Iterator[Sampler]:
    """A sampler whose edits, for as long as the block lasts, keep to a mask: white is where they
    may change the photo.

    Raises:
        MuseError: its latents have no path of the photo to keep to.
    """
    source, setup = sampler.latents, sampler.setup
    if not source.gives_path:
        raise MuseError(
            f"{type(source).__name__} knows no masks: it doesn't invert the photo. Choose the "
            "preset 'edit', or clear the mask."
        )
    sampler.setup = replace(setup, latents=_Masked(source, mask))
    try:
        yield sampler
    finally:
        sampler.setup = setup
