"""Textual inversions (Gal et al. 2022): words of a user's own, learned as token embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.textual_inversion import load_textual_inversion_state_dicts
from torch import Tensor

from muse.backbones.failures import UNLOADABLE, short
from muse.core.types import MuseError
from muse.pretrained.labelled import labelled, weights_file

NAMELESS = "emb_params"
"""What files call an embedding that has no word; it is used by the file's name."""
ENCODERS = {"clip_l": "", "clip_g": "_2"}
"""Whose embeddings a file for two text encoders holds, and the end of their names in diffusers."""


def add_embeddings(pipeline: Any, given: Sequence[str], hub: Mapping[str, Any]) -> None:
    """Teach the text encoders the words of textual inversions, by the pipeline's own
    ``load_textual_inversion``.

    Args:
        pipeline: of diffusers.
        given: ``FILE[:word]`` each: a ``.safetensors`` file, a folder with one, or a hub id; the
            word is by default the file's own, or the file's name where it has none.
        hub: how a hub id is fetched.

    Raises:
        MuseError: a pipeline that takes none, no embedding under a name, one of another width, or
            a word that the tokenizer has already.
    """
    for text in given:
        name, word = labelled(text)
        kind = type(pipeline).__name__
        if not hasattr(pipeline, "load_textual_inversion"):
            raise MuseError(f"diffusers loads no textual inversions into a {kind}. Leave it out.")
        state = _read(name, hub)
        if len(state) == 1 and word is None:
            [own] = state
            word = Path(name).stem if own == NAMELESS else own
        for key, ending in _encoders(pipeline, name, state).items():
            parts = {part: f"{part}{ending}" for part in ("tokenizer", "text_encoder")}
            _add(pipeline, name, {word or Path(name).stem: state[key]}, parts)


def _read(name: str, hub: Mapping[str, Any]) -> dict[str, Tensor]:
    weights_file("embeddings", name)
    try:
        [state] = load_textual_inversion_state_dicts([name], use_safetensors=True, **hub)
    except UNLOADABLE as error:
        raise MuseError(
            f"No textual inversion under {name!r} ({short(error)}). Give a .safetensors file, a "
            "folder with one, or a hub id."
        ) from error
    return dict(state)


def _encoders(pipeline: Any, name: str, state: Mapping[str, Tensor]) -> dict[str, str]:
    """Key in the file -> end of the names of the text encoder that it is for."""
    there = {key: end for key, end in ENCODERS.items() if _is_clip(pipeline, end)}
    if len(there) == 1 and len(state) == 1:
        return dict.fromkeys(state, "")
    if len(there) > 1 and set(state) == set(there):
        return there
    wants = " and ".join(there) if len(there) > 1 else "one embedding"
    raise MuseError(
        f"embeddings {name!r} holds {', '.join(sorted(state)[:4]) or 'nothing'}, and this "
        f"{type(pipeline).__name__} wants {wants}. Give one that was trained for this model."
    )


def _is_clip(pipeline: Any, ending: str) -> bool:
    encoder = getattr(pipeline, f"text_encoder{ending}", None)
    return encoder is not None and str(encoder.config.model_type).startswith("clip")


def _add(pipeline: Any, name: str, state: dict[str, Tensor], parts: Mapping[str, str]) -> None:
    given: dict[str, Any] = {
        part: getattr(pipeline, attribute) for part, attribute in parts.items()
    }
    try:
        with torch.no_grad():
            pipeline.load_textual_inversion(state, **given)
    except (ValueError, AttributeError) as error:  # its message of a wrong width is no message
        width = given["text_encoder"].get_input_embeddings().weight.shape[-1]
        [(word, found)] = state.items()
        why = f"the model reads {width}, it has {found.shape[-1]} dimensions"
        if found.shape[-1] == width:
            why = f"the tokenizer has a word {word!r} already; name another: FILE:word"
        raise MuseError(f"embeddings {name!r} don't go with this model: {why}.") from error
