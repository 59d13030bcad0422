"""The presets were measured on muse-mini: what to say where one meets another model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from muse.backbones import Backbone
from muse.presets import FOLDER, sections
from muse.weights import PACKAGED

CONFIGS = {
    "StableDiffusion": "sd15",
    "StableDiffusionXL": "sdxl",
    "PixArtAlpha": "pixart",
    "StableDiffusion3": "sd3",
    "Flux": "flux",
    "GaussianMixture": "toy",
}
"""Backbone -> the file in ``configs/`` with settings for it."""


def not_measured(files: Sequence[str], backbone: Backbone) -> list[str]:
    """A line where presets are all that says how `backbone` is steered, and it isn't muse-mini.

    Args:
        files: the configuration files of a command line, those of presets among them.
        backbone: the model.
    """
    own = [file for file in files if Path(file).parent != FOLDER]
    told = any({"model", "backbone"} & set(sections(file)) for file in own)
    if told or len(own) == len(files) or getattr(backbone, "pretrained", None) in PACKAGED:
        return []
    name = type(backbone).__name__
    remedy = "Give it a guide, timing, loss and guidance_scale of its own"
    if name in CONFIGS:
        remedy = f"Use those of --config configs/{CONFIGS[name]}.yaml"
    return [f"The preset's settings were measured on muse-mini, not on this {name}. {remedy}."]
