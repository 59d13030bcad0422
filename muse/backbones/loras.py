"""LoRAs (Hu et al. 2022) on a pipeline, by diffusers' own loaders and peft."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusers.utils import USE_PEFT_BACKEND
from safetensors import safe_open
from torch import Tensor

from muse.backbones.failures import UNLOADABLE, short
from muse.core.types import MuseError
from muse.pretrained.labelled import labelled, weights_file

REFUSED = (*UNLOADABLE, AttributeError, KeyError, TypeError)
"""What diffusers and peft raise of a file that is no LoRA, or one for another model."""
FACTOR = re.compile(r"lora_(?:A|B|up|down|embedding_A|embedding_B)\b|\.lora\.(?:up|down)\.|lokr_")
"""In the names of a LoRA's two factors, whatever program wrote them."""


def weighted(given: str) -> tuple[str, float]:
    """A LoRA and its weight: ``FILE``, or ``FILE:0.8``.

    Raises:
        MuseError: a weight that is no finite number.
    """
    name, label = labelled(given)
    try:
        weight = 1.0 if label is None else float(label)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise MuseError(f"lora {given!r}: {label!r} is no weight. Use a number: {name}:0.8.")
    return name, weight


def add_loras(pipeline: Any, given: Sequence[str], hub: Mapping[str, Any]) -> None:
    """Lay LoRAs on the denoiser and on the text encoders that they are for, each at its weight.
    The model's own weights stay as they are; what a LoRA adds is added in each call.

    Args:
        pipeline: of diffusers.
        given: ``FILE[:weight]`` each: a ``.safetensors`` file, a folder with one, or a hub id.
        hub: how a hub id is fetched.

    Raises:
        MuseError: no peft, a pipeline that takes no LoRAs, no LoRA under a name, or one for another
            model.

    Warns:
        UserWarning: a part of a LoRA that the model has no place for.
    """
    if not USE_PEFT_BACKEND:
        raise MuseError("lora needs peft, which isn't installed: pip install 'muse-emotion[lora]'.")
    kind = type(pipeline).__name__
    if not hasattr(pipeline, "load_lora_weights"):
        raise MuseError(f"diffusers loads no LoRAs into a {kind}. Leave lora out.")
    weights: dict[str, float] = {}
    for number, text in enumerate(given):
        name, weight = weighted(text)
        adapter = f"lora_{number}"  # names of files may hold what peft takes for a path in a model
        _add(pipeline, name, adapter, hub)
        weights[adapter] = weight
    pipeline.set_adapters(list(weights), list(weights.values()))


def _add(pipeline: Any, name: str, adapter: str, hub: Mapping[str, Any]) -> None:
    kind, path = type(pipeline).__name__, weights_file("lora", name)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several are meant
            pipeline.load_lora_weights(name, adapter_name=adapter, use_safetensors=True, **hub)
        found = _count(pipeline, adapter)
    except REFUSED as error:
        raise MuseError(
            f"lora {name!r} is no LoRA for this {kind} ({short(error)}). Give one that was trained "
            "for this kind of model, as a .safetensors file, a folder with one, or a hub id."
        ) from error
    if not found:
        raise MuseError(
            f"lora {name!r} holds nothing for this {kind}. Give one that was trained for this kind "
            "of model."
        )
    held = found if path is None else _held(path)
    if found < held:  # diffusers splits some factors, so that more is no mistake
        warnings.warn(
            f"lora {name!r}: of its {held} weights this {kind} has a place for {found}. It may be "
            "for another kind of model.",
            stacklevel=2,
        )


def _count(pipeline: Any, adapter: str) -> int:
    """How many weights of a LoRA lie on the models."""
    parts = [getattr(pipeline, name) for name in pipeline.get_list_adapters()]
    named: list[tuple[str, Tensor]] = [pair for part in parts for pair in part.named_parameters()]
    return sum(p.numel() for name, p in named if f".{adapter}." in name and FACTOR.search(name))


def _held(path: Path) -> int:
    """How many weights a LoRA's file holds."""
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if FACTOR.search(name)]  # noqa: SIM118
        return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
