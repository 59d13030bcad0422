"""The presets as parts, and what to say where one meets a model that it wasn't measured on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence, Set
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from muse.backbones import Backbone
from muse.core.intensity import check_intensity
from muse.core.types import Guidance
from muse.presets import FOLDER, PRESETS, sections
from muse.pretrained.packaged import PACKAGED
from muse.sampling import Sampler
from muse.sampling.search import Rests, Search

CONFIGS = {
    "StableDiffusion": "sd15",
    "StableDiffusionXL": "sdxl",
    "PixArtAlpha": "pixart",
    "StableDiffusion3": "sd3",
    "Flux": "flux",
    "GaussianMixture": "toy",
}
"""Backbone -> the file in ``configs/`` with settings for it."""

PARAMETERS = inspect.signature(Sampler).parameters.keys()
LIGHT = ("steering", "timing", "loss", "latents", "scheduler")
"""The sampler's parts that load nothing."""


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


def preset(name: str, without: Set[str] = frozenset()) -> dict[str, Any]:
    """The sampler's arguments that a preset gives, built, but for those in `without`."""
    files = [str(FOLDER / file) for file in PRESETS[name]]
    return built(laid(files, _said(files) - without))


def laid(files: Sequence[str], options: Set[str] = PARAMETERS) -> dict[str, Any]:
    """What files say of the sampler, each laid over the ones before it as on a command line: to a
    part of the same class options are added.

    Args:
        files: with a section ``model``.
        options: those that are wanted, with their defaults where no file says them.
    """
    parser = _parser(options)
    config: Namespace | None = None
    for file in files:
        own = {name: value for name, value in sections(file)["model"].items() if name in options}
        config = parser.parse_object(own, config, defaults=config is None)
    assert config is not None
    return dict(yaml.safe_load(parser.dump(config, skip_validation=True)))


def built(said: Mapping[str, Any]) -> dict[str, Any]:
    """The sampler's arguments as objects.

    Args:
        said: as a configuration has them.
    """
    parser = _parser(set(said))
    # Parsing puts namespaces into lists of parts, in place.
    made = parser.instantiate(parser.parse_object(deepcopy(dict(said))))
    return {option: made[option] for option in said}


def check(model: Mapping[str, Any]) -> None:
    """Refuse what `Sampler` would, as far as that shows before a model is loaded.

    Args:
        model: all of its arguments, as a configuration has them.

    Raises:
        MuseError: a value that a part, or the sampler itself, doesn't allow.
    """
    built({name: model[name] for name in LIGHT if model.get(name) is not None})
    Search(*(model[name] for name in ("max_iterations", "tolerance", "stop_on", "keep")))
    Rests(model["longest_rest"], model["look_until"])
    Guidance(emotion=model["emotion_scale"])
    if model["intensity"] is not None:
        check_intensity(model["intensity"])


def _said(files: Sequence[str]) -> Set[str]:
    return {name for file in files for name in sections(file)["model"]}


def _parser(options: Set[str]) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Sampler, skip=set(PARAMETERS - options), fail_untyped=False)
    return parser
