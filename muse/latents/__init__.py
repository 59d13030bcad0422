"""Where a row starts."""

from muse.latents.base import LatentSource, Start
from muse.latents.inversion import DDIMInversion
from muse.latents.noise import GaussianNoise
from muse.latents.null_text import NullTextInversion
from muse.latents.partial_noise import PartialNoise

__all__ = [
    "DDIMInversion",
    "GaussianNoise",
    "LatentSource",
    "NullTextInversion",
    "PartialNoise",
    "Start",
]
