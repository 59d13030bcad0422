"""Every backbone family at the size of a few thousand random weights, saved in the diffusers layout
on the spot: real classes, real loading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from tests.tiny_guides import LETTERS, clip_tokenizer

WIDTH, WIDER = 16, 24
"""Of the tiny text encoders, and of the second CLIP where there are two."""


def clip_text(projection: bool = False, width: int = WIDTH) -> Any:
    """CLIP's text encoder for `clip_tokenizer`, with a projection of the pooled output or not."""
    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=width, **LETTERS,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def t5_tokenizer() -> T5Tokenizer:
    """T5's tokenizer of letters."""
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -2.0)]
    vocabulary += [(letter, -2.0) for letter in ascii_lowercase]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0)


def t5_text(width: int = WIDTH) -> T5EncoderModel:
    """T5's encoder for `t5_tokenizer`."""
    return T5EncoderModel(
        T5Config(vocab_size=30, d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    )


def autoencoder(levels: int = 2, channels: int = 4, **config: Any) -> AutoencoderKL:
    """A KL autoencoder that halves a picture's sides `levels` - 1 times."""
    return AutoencoderKL(
        block_out_channels=(8,) * levels, down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels, latent_channels=channels, norm_num_groups=4,
        **{"sample_size": 16, "scaling_factor": 0.7, **config},
    )  # fmt: skip


def tiny_autoencoder(levels: int = 2, channels: int = 4) -> AutoencoderTiny:
    """What TAESD is to the KL autoencoder of as many levels."""
    return AutoencoderTiny(
        encoder_block_out_channels=(8,) * levels, decoder_block_out_channels=(8,) * levels,
        num_encoder_blocks=(1,) * levels, num_decoder_blocks=(1,) * levels,
        latent_channels=channels,
    )  # fmt: skip


def ddim(prediction_type: str = "epsilon") -> DDIMScheduler:
    """Stable Diffusion's scheduler."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, prediction_type=prediction_type,
    )  # fmt: skip


def save_stable_diffusion(path: Path, prediction_type: str = "epsilon", levels: int = 2) -> None:
    """Save a Stable Diffusion for latents of 8 x 8."""
    torch.manual_seed(0)
    StableDiffusionPipeline(
        vae=autoencoder(levels), text_encoder=clip_text(), tokenizer=clip_tokenizer(),
        unet=UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), layers_per_block=1,
            cross_attention_dim=WIDTH, attention_head_dim=2, norm_num_groups=4,
        ),
        scheduler=ddim(prediction_type), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(path)  # fmt: skip


def save_stable_diffusion_xl(path: Path, prediction_type: str = "epsilon", levels: int = 2) -> None:
    """Save an SDXL for latents of 8 x 8."""
    torch.manual_seed(0)
    StableDiffusionXLPipeline(
        vae=autoencoder(levels), text_encoder=clip_text(), tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text(projection=True, width=WIDER), tokenizer_2=clip_tokenizer(),
        unet=UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), layers_per_block=1,
            cross_attention_dim=WIDTH + WIDER, attention_head_dim=2, norm_num_groups=4,
            use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=WIDER + 6 * 4,
        ),
        scheduler=ddim(prediction_type), add_watermarker=False,
    ).save_pretrained(path)  # fmt: skip


def save_pixart(path: Path, sample_size: int = 8, levels: int = 2) -> None:
    """Save a PixArt-alpha; of `sample_size` 128 it is told resolution and aspect ratio, as the
    full-size one is.
    """
    torch.manual_seed(0)
    PixArtAlphaPipeline(
        vae=autoencoder(levels), text_encoder=t5_text(), tokenizer=t5_tokenizer(),
        transformer=PixArtTransformer2DModel(
            num_attention_heads=2, attention_head_dim=12, num_layers=2, cross_attention_dim=24,
            caption_channels=WIDTH, sample_size=sample_size, interpolation_scale=1,
        ),
        scheduler=ddim(),
    ).save_pretrained(path)  # fmt: skip


def save_stable_diffusion_3(path: Path, levels: int = 2, dynamic: bool = False) -> None:
    """Save a Stable Diffusion 3 for latents of 8 x 8, with a constant shift or a dynamic one."""
    torch.manual_seed(0)
    joint = WIDTH + WIDER + 8  # wider than the two CLIPs, so that theirs are padded
    StableDiffusion3Pipeline(
        vae=autoencoder(levels, 8, scaling_factor=1.5305, shift_factor=0.0609),
        text_encoder=clip_text(projection=True), tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text(projection=True, width=WIDER), tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_text(joint), tokenizer_3=t5_tokenizer(),
        transformer=SD3Transformer2DModel(
            sample_size=8, in_channels=8, out_channels=8, num_layers=2, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=joint, caption_projection_dim=16,
            pooled_projection_dim=WIDTH + WIDER, pos_embed_max_size=12,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=dynamic),
    ).save_pretrained(path)  # fmt: skip


def save_flux(path: Path, levels: int = 2, dev: bool = True) -> None:
    """Save a FLUX: dev, with a guidance embedding and dynamic shifting, or schnell."""
    torch.manual_seed(0)
    FluxPipeline(
        vae=autoencoder(levels, scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=clip_text(), tokenizer=clip_tokenizer(),
        text_encoder_2=t5_text(), tokenizer_2=t5_tokenizer(),
        transformer=FluxTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=12,
            num_attention_heads=2, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH,
            guidance_embeds=dev, axes_dims_rope=(4, 4, 4),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0 if dev else 1.0, use_dynamic_shifting=dev
        ),
    ).save_pretrained(path)  # fmt: skip


FAMILIES: Mapping[str, Callable[[Path], None]] = {
    "sd": save_stable_diffusion,
    "sd-v": partial(save_stable_diffusion, prediction_type="v_prediction"),
    "sdxl": save_stable_diffusion_xl,
    "sdxl-v": partial(save_stable_diffusion_xl, prediction_type="v_prediction"),
    "pixart": save_pixart,
    "pixart-1024": partial(save_pixart, sample_size=128),
    "sd3": save_stable_diffusion_3,
    "flux-dev": save_flux,
    "flux-schnell": partial(save_flux, dev=False),
}
"""What saves each family into a folder, from which `muse.backbones.load_backbone` loads it."""
