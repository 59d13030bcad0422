"""Diffusers' weights under the names, and in the layout, that the models were published in: one
file for all parts. Written for the tiny models of `tests.tiny`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

State: TypeAlias = dict[str, Tensor]
Rules: TypeAlias = Mapping[str, str | Callable[[re.Match[str]], str]]

UNET: Rules = {
    r"^time_embedding.linear_(\d)": lambda m: f"time_embed.{2 * int(m[1]) - 2}",
    r"^add_embedding.linear_(\d)": lambda m: f"label_emb.0.{2 * int(m[1]) - 2}",
    r"^conv_in": "input_blocks.0.0",
    r"^conv_norm_out": "out.0",
    r"^conv_out": "out.2",
    r"^down_blocks.(\d).resnets.0": lambda m: f"input_blocks.{2 * int(m[1]) + 1}.0",
    r"^down_blocks.(\d).attentions.0": lambda m: f"input_blocks.{2 * int(m[1]) + 1}.1",
    r"^down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    r"^mid_block.resnets.(\d)": lambda m: f"middle_block.{2 * int(m[1])}",
    r"^mid_block.attentions.0": "middle_block.1",
    r"^up_blocks.(\d).resnets.(\d)": lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.0",
    r"^up_blocks.(\d).attentions.(\d)": lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.1",
    r"(blocks?\.\d\.\d|middle_block\.\d)\.norm1": r"\1.in_layers.0",
    r"\.conv1": ".in_layers.2",
    r"\.time_emb_proj": ".emb_layers.1",
    r"(blocks?\.\d\.\d|middle_block\.\d)\.norm2": r"\1.out_layers.0",
    r"\.conv2": ".out_layers.3",
    r"\.conv_shortcut": ".skip_connection",
}
"""Of two levels, one layer each."""
VAE: Rules = {
    r"down_blocks.(\d).resnets.(\d)": r"down.\1.block.\2",
    r"down_blocks.(\d).downsamplers.0": r"down.\1.downsample",
    r"up_blocks.(\d).resnets.(\d)": lambda m: f"up.{1 - int(m[1])}.block.{m[2]}",
    r"up_blocks.(\d).upsamplers.0": lambda m: f"up.{1 - int(m[1])}.upsample",
    r"mid_block.resnets.(\d)": lambda m: f"mid.block_{int(m[1]) + 1}",
    r"mid_block.attentions.0.group_norm": "mid.attn_1.norm",
    r"mid_block.attentions.0.to_([qkv])": r"mid.attn_1.\1",
    r"mid_block.attentions.0.to_out.0": "mid.attn_1.proj_out",
    r"conv_norm_out": "norm_out",
    r"conv_shortcut": "nin_shortcut",
}
"""Of two levels."""
OPEN_CLIP: Rules = {
    r"^(text_model\.)?embeddings.token_embedding": "token_embedding",
    r"^(text_model\.)?embeddings.position_embedding.weight": "positional_embedding",
    r"^(text_model\.)?encoder.layers": "transformer.resblocks",
    r"^(text_model\.)?final_layer_norm": "ln_final",
    r"self_attn": "attn",
    r"in_proj\.": "in_proj_",
    r"layer_norm(\d)": r"ln_\1",
    r"mlp.fc1": "mlp.c_fc",
    r"mlp.fc2": "mlp.c_proj",
    r"^text_projection.weight": "text_projection",
}
SD3: Rules = {
    r"^pos_embed\.proj": "x_embedder.proj",
    r"^pos_embed\.pos_embed": "pos_embed",
    r"^time_text_embed.timestep_embedder.linear_(\d)": lambda m: (
        f"t_embedder.mlp.{2 * int(m[1]) - 2}"
    ),
    r"^time_text_embed.text_embedder.linear_(\d)": lambda m: f"y_embedder.mlp.{2 * int(m[1]) - 2}",
    r"^proj_out": "final_layer.linear",
    r"^norm_out.linear": "final_layer.adaLN_modulation.1",
    r"^transformer_blocks.(\d)": r"joint_blocks.\1",
    r"attn.to_out.0": "x_block.attn.proj",
    r"attn.to_add_out": "context_block.attn.proj",
    r"norm1_context.linear": "context_block.adaLN_modulation.1",
    r"norm1.linear": "x_block.adaLN_modulation.1",
    r"ff_context.net.0.proj": "context_block.mlp.fc1",
    r"ff_context.net.2": "context_block.mlp.fc2",
    r"ff.net.0.proj": "x_block.mlp.fc1",
    r"ff.net.2": "x_block.mlp.fc2",
}
FLUX: Rules = {
    r"^time_text_embed.timestep_embedder": "time_in",
    r"^time_text_embed.text_embedder": "vector_in",
    r"^time_text_embed.guidance_embedder": "guidance_in",
    r"_in.linear_1": "_in.in_layer",
    r"_in.linear_2": "_in.out_layer",
    r"^context_embedder": "txt_in",
    r"^x_embedder": "img_in",
    r"^proj_out": "final_layer.linear",
    r"^norm_out.linear": "final_layer.adaLN_modulation.1",
    r"^single_transformer_blocks.(\d)": r"single_blocks.\1",
    r"^(single_blocks.\d).norm.linear": r"\1.modulation.lin",
    r"^(single_blocks.\d).proj_out": r"\1.linear2",
    r"^(single_blocks.\d).attn.norm_([qk])": r"\1.norm.norm_\2",
    r"^transformer_blocks.(\d)": r"double_blocks.\1",
    r"norm1_context.linear": "txt_mod.lin",
    r"norm1.linear": "img_mod.lin",
    r"attn.norm_added_": "txt_attn.norm.norm_",
    r"(double_blocks.\d).attn.norm_": r"\1.img_attn.norm.norm_",
    r"norm_q.weight": "query_norm.scale",
    r"norm_k.weight": "key_norm.scale",
    r"attn.to_out.0": "img_attn.proj",
    r"attn.to_add_out": "txt_attn.proj",
    r"ff_context.net.0.proj": "txt_mlp.0",
    r"ff_context.net.2": "txt_mlp.2",
    r"ff.net.0.proj": "img_mlp.0",
    r"ff.net.2": "img_mlp.2",
}
QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
ADDED = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")


def weights(folder: Path, part: str) -> State:
    """The weights of a part of a pipeline's folder."""
    return load_file(next((folder / part).glob("*.safetensors")))


def renamed(state: State, rules: Rules, prefix: str) -> State:
    """The same weights under the names that `rules` make, one after the other."""
    made = {}
    for name, value in state.items():
        for pattern, new in rules.items():
            name = re.sub(pattern, new, name)
        made[prefix + name] = value.contiguous()
    return made


def fused(state: State, parts: Sequence[str], whole: str, within: str = "") -> State:
    """One matrix in place of several, wherever a name that begins with `within` holds them."""
    made = dict(state)
    for name in state:
        if name.startswith(within) and parts[0] in name:
            each = [made.pop(name.replace(parts[0], part)) for part in parts]
            made[name.replace(parts[0], whole)] = torch.cat(each)
    return made


def swapped(state: State, start: str) -> State:
    """Shift before scale, where diffusers has it behind."""
    return {
        name: torch.cat(value.chunk(2)[::-1]) if name.startswith(start) else value
        for name, value in state.items()
    }


def text(folder: Path, part: str, prefix: str) -> State:
    """A CLIP text encoder as transformers names it, with the prefix that it used to have."""
    state = weights(folder, part)
    plain = {f"text_model.{k.removeprefix('text_model.')}": v for k, v in state.items()}
    plain = {k.removeprefix("text_model.") if "projection" in k else k: v for k, v in plain.items()}
    return renamed(plain, {}, prefix)


def stable_diffusion(folder: Path) -> State:
    """As CompVis published Stable Diffusion 1.x."""
    unet = {r"^up_blocks.0.upsamplers.0": "output_blocks.1.1", **UNET}
    return {
        **renamed(weights(folder, "unet"), unet, "model.diffusion_model."),
        **renamed(weights(folder, "vae"), VAE, "first_stage_model."),
        **text(folder, "text_encoder", "cond_stage_model.transformer."),
    }


def stable_diffusion_xl(folder: Path) -> State:
    """As Stability AI published SDXL: the second text encoder is OpenCLIP's."""
    unet = {r"^up_blocks.0.upsamplers.0": "output_blocks.1.2", **UNET}
    second = weights(folder, "text_encoder_2")
    second["text_projection.weight"] = second["text_projection.weight"].T
    second = fused(second, ("q_proj", "k_proj", "v_proj"), "in_proj")
    return {
        **renamed(weights(folder, "unet"), unet, "model.diffusion_model."),
        **renamed(weights(folder, "vae"), VAE, "first_stage_model."),
        **text(folder, "text_encoder", "conditioner.embedders.0.transformer."),
        **renamed(second, OPEN_CLIP, "conditioner.embedders.1.model."),
    }


def stable_diffusion_3(folder: Path) -> State:
    """As Stability AI published Stable Diffusion 3, with all text encoders."""
    state = weights(folder, "transformer")
    state = fused(fused(state, QKV, "x_block.attn.qkv"), ADDED, "context_block.attn.qkv")
    last = max(int(name.split(".")[1]) for name in state if name.startswith("transformer_blocks"))
    state = swapped(state, f"transformer_blocks.{last}.norm1_context")
    first = text(folder, "text_encoder", "text_encoders.clip_l.transformer.")
    return {
        **renamed(swapped(state, "norm_out"), SD3, "model.diffusion_model."),
        **renamed(weights(folder, "vae"), VAE, "first_stage_model."),
        **{name: value for name, value in first.items() if "projection" not in name},
        **text(folder, "text_encoder_2", "text_encoders.clip_g.transformer."),
        **t5(folder, "text_encoder_3"),
    }


def flux(folder: Path) -> State:
    """Black Forest Labs' transformer, and the rest as Stability AI names it."""
    state = fused(weights(folder, "transformer"), (*QKV, "proj_mlp"), "linear1", within="single")
    state = fused(fused(state, QKV, "img_attn.qkv"), ADDED, "txt_attn.qkv")
    return {
        **renamed(swapped(state, "norm_out"), FLUX, "model.diffusion_model."),
        **renamed(weights(folder, "vae"), VAE, "vae."),
        **text(folder, "text_encoder", "text_encoders.clip_l.transformer."),
        **t5(folder, "text_encoder_2"),
    }


def t5(folder: Path, part: str) -> State:
    """T5, its embedding twice."""
    state = weights(folder, part)
    twice = {"encoder.embed_tokens.weight": state["shared.weight"].clone(), **state}
    return renamed(twice, {}, "text_encoders.t5xxl.transformer.")


LAYOUTS: Mapping[str, Callable[[Path], State]] = {
    "sd": stable_diffusion,
    "sdxl": stable_diffusion_xl,
    "sd3": stable_diffusion_3,
    "flux-dev": flux,
}
"""Families of `tests.tiny` -> their weights as published."""


def save_without_text(family: str, folder: Path, file: Path, vae: bool = False) -> str:
    """Save a family's denoiser as one file, with its autoencoder (as Stable Diffusion 3 was
    published) or alone (as FLUX was: without the prefix); its name."""
    held = ("model.diffusion_model.", *(("first_stage_model.", "vae.") if vae else ()))
    state = {
        name: value for name, value in LAYOUTS[family](folder).items() if name.startswith(held)
    }
    if family == "flux-dev" and not vae:
        state = {name.removeprefix(held[0]): value for name, value in state.items()}
    save_file(state, file)
    return str(file)


def save_original(family: str, folder: Path, file: Path, leave_out: str = "nothing") -> str:
    """Save a family's folder as one file, without names that hold `leave_out`; its name."""
    state: Any = LAYOUTS[family](folder)
    save_file({name: value for name, value in state.items() if leave_out not in name}, file)
    return str(file)
