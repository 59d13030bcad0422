"""Frozen diffusion models behind one interface."""

from muse.backbones.auto import load_backbone
from muse.backbones.base import Backbone
from muse.backbones.flux import Flux
from muse.backbones.pipeline import PipelineBackbone
from muse.backbones.pixart import PixArtAlpha
from muse.backbones.stable_diffusion import StableDiffusion
from muse.backbones.stable_diffusion_3 import StableDiffusion3
from muse.backbones.stable_diffusion_xl import StableDiffusionXL
from muse.backbones.toy import BayesGuide, GaussianMixture, PlaceSimilarity

__all__ = [
    "Backbone",
    "BayesGuide",
    "Flux",
    "GaussianMixture",
    "PipelineBackbone",
    "PixArtAlpha",
    "PlaceSimilarity",
    "StableDiffusion",
    "StableDiffusion3",
    "StableDiffusionXL",
    "load_backbone",
]
