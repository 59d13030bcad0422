"""A CLIP's visual tower among the tensors of a checkpoint: one that was trained with its head."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from muse.pretrained.clip import TOWER, Clip
from muse.pretrained.weights import fill

WRAPPERS = re.compile(r"^(?:(?:module|model|clip|clip_model)\.)+")
"""What the names begin with where the CLIP is a part of something."""

TEXT = {"text_model", "text_projection", "transformer", "token_embedding", "positional_embedding"}
TEXT |= {"ln_final", "logit_scale", "logit_bias"}
"""What reads texts in transformers' CLIPs and in OpenAI's: guides read none."""

OPENAI = {
    "visual.": "vision_model.",
    "conv1.": "embeddings.patch_embedding.",
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_pre.": "pre_layrnorm.",
    "ln_post.": "post_layernorm.",
    "transformer.resblocks.": "encoder.layers.",
    "attn.": "self_attn.",
    "ln_1.": "layer_norm1.",
    "ln_2.": "layer_norm2.",
    "mlp.c_fc.": "mlp.fc1.",
    "mlp.c_proj.": "mlp.fc2.",
}
"""OpenAI's names for the parts of a vision transformer -> transformers'."""


def split_tower(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The visual tower in a state dict, under transformers' names, and what else it holds.

    Args:
        state: names as transformers or OpenAI (and open_clip) give them, with or without those of
            wrappers before them. What reads texts is left out.
    """
    tower: dict[str, Tensor] = {}
    rest: dict[str, Tensor] = {}
    for key, value in state.items():
        name = WRAPPERS.sub("", key)
        part = name.partition(".")[0]
        if part == "visual":
            tower |= _from_openai(name, value)
        elif part in TOWER:
            tower[name] = value
        elif part not in TEXT:
            rest[key] = value
    tower.pop("vision_model.embeddings.position_ids", None)  # saved by transformers before 4.31
    return tower, rest


def with_tower(clip: Clip, tower: Mapping[str, Tensor], name: str) -> Clip:
    """`clip` with this visual tower; `clip` itself stays as it is, for whoever shares it.

    Args:
        clip: of the same architecture.
        tower: as `split_tower` returns it.
        name: the checkpoint's, for the error.

    Raises:
        MuseError: a tower of another architecture, or not all of it.
    """
    tuned = clip.with_own_tower()
    parts = {part: getattr(tuned.model, part) for part in TOWER if hasattr(tuned.model, part)}
    fill(nn.ModuleDict(parts), tower, name)
    return tuned


def _from_openai(name: str, value: Tensor) -> dict[str, Tensor]:
    if name == "visual.proj":
        return {"visual_projection.weight": value.T}
    for theirs, ours in OPENAI.items():
        name = name.replace(theirs, ours)
    if "in_proj_" not in name:
        return {name: value}
    thirds = zip("qkv", value.chunk(3), strict=True)
    return {name.replace("in_proj_", f"{letter}_proj."): third for letter, third in thirds}
