"""Where a row starts."""

from muse.latents.base import LatentSource, Start
from muse.latents.inversion import DDIMInversion
from muse.latents.noise import GaussianNoise

__all__ = ["DDIMInversion", "GaussianNoise", "LatentSource", "Start"]
