"""Frozen diffusion models behind one interface."""

from muse.backbones.base import Backbone
from muse.backbones.gaussian_mixture import BayesGuide, GaussianMixture, PlaceSimilarity
from muse.backbones.load import load_backbone
from muse.backbones.pipeline import PipelineBackbone
from muse.backbones.stable_diffusion import StableDiffusion

__all__ = [
    "Backbone",
    "BayesGuide",
    "GaussianMixture",
    "PipelineBackbone",
    "PlaceSimilarity",
    "StableDiffusion",
    "load_backbone",
]
