"""The presets as parts, and what to say where one meets a model that it wasn't measured on."""

from __future__ import annotations

import inspect
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from muse.backbones import Backbone
from muse.presets import FOLDER, sections
from muse.pretrained.packaged import PACKAGED
from muse.sampling import Sampler

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


def preset(file: str, without: Set[str] = frozenset()) -> dict[str, Any]:
    """The sampler's arguments that a packaged file gives, built, but for those in `without`."""
    model = sections(str(FOLDER / file))["model"]
    said = {option: value for option, value in model.items() if option not in without}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Sampler, skip=set(inspect.signature(Sampler).parameters) - set(said))
    made = parser.instantiate(parser.parse_object(said))
    return {option: made[option] for option in said}
