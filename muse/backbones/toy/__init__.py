"""An exact toy, in closed form: its mixture, what reads its points, and the canvas they lie on."""

from muse.backbones.toy.mixture import GaussianMixture
from muse.backbones.toy.readers import BayesGuide, PlaceSimilarity

__all__ = ["BayesGuide", "GaussianMixture", "PlaceSimilarity"]
