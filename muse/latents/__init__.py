"""Where x_T comes from."""

from muse.latents.base import LatentSource
from muse.latents.inversion import DDIMInversion
from muse.latents.noise import GaussianNoise

__all__ = ["DDIMInversion", "GaussianNoise", "LatentSource"]
