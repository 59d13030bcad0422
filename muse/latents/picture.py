"""The latent of a job's picture, which every way to edit one starts from."""

from __future__ import annotations

from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.jobs import Job
from muse.core.pictures import read_picture
from muse.core.types import Cond, MuseError
from muse.latents.noise import like


def picture_latent(job: Job, backbone: Backbone, cond: Cond, size: Size) -> Tensor:
    """The latent (1, ...) of a job's picture, in the dtype that latents have.

    Raises:
        MuseError: a job without a picture, or one that can't be read.
    """
    if job.image is None:
        raise MuseError(f"Job {job.id!r} has no picture to start from. Add an 'image' to it.")
    picture = read_picture(job.image, size).to(like(cond))
    return backbone.encode(picture).to(like(cond))
