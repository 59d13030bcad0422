"""Frozen diffusion models behind one interface."""

from muse.backbones.base import Backbone
from muse.backbones.gaussian_mixture import BayesGuide, GaussianMixture, PlaceSimilarity

__all__ = ["Backbone", "BayesGuide", "GaussianMixture", "PlaceSimilarity"]
