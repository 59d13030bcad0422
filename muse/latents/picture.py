"""The latent of a job's picture, which every way to edit one starts from."""

from __future__ import annotations

from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError
from muse.latents.base import LatentSource
from muse.latents.noise import like


def picture_latent(
    source: LatentSource, job: Job, backbone: Backbone, cond: Cond, size: Size
) -> Tensor:
    """The latent (1, ...) of the picture that a source has for a job, in the dtype that latents
    have.

    Raises:
        MuseError: a job without a picture, or one that can't be read.
    """
    picture = source.picture_of(job, size)
    if picture is None:
        raise MuseError(f"Job {job.id!r} has no picture to start from. Add an 'image' to it.")
    return backbone.encode(picture.to(like(cond))).to(like(cond))
