"""The models at the size their authors published, with random weights: nothing is downloaded.

Made on torch's default device and in its default dtype. On `meta` they take neither memory nor
time. `tiny` makes them small: other widths and sizes, the same classes and conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_lowercase
from typing import Any

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
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

from muse.guides import EmoGen

CLIP_L = {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "max_position_embeddings": 77, "projection_dim": 768,
}  # fmt: skip
CLIP_BIG_G = {
    **CLIP_L, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
    "num_attention_heads": 20, "hidden_act": "gelu", "projection_dim": 1280,
}  # fmt: skip
T5_XXL = {
    "vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24,
    "num_heads": 64, "feed_forward_proj": "gated-gelu",
}  # fmt: skip
VISION_L = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "image_size": 224, "patch_size": 14, "projection_dim": 768,
}  # fmt: skip
PIPELINES: dict[str, Any] = {
    "sd15": StableDiffusionPipeline,
    "sdxl": StableDiffusionXLPipeline,
    "pixart": PixArtAlphaPipeline,
    "sd3": StableDiffusion3Pipeline,
    "flux": FluxPipeline,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "sd15": {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False},
    "sdxl": {"add_watermarker": False},
}
TEXTS = {
    "sd15": ("L",),
    "sdxl": ("L", "bigG"),
    "pixart": ("T5",),
    "sd3": ("L projected", "bigG", "T5"),
    "flux": ("L", "T5"),
}
DENOISERS: dict[str, tuple[str, Any]] = {
    "sd15": ("unet", UNet2DConditionModel),
    "sdxl": ("unet", UNet2DConditionModel),
    "pixart": ("transformer", PixArtTransformer2DModel),
    "sd3": ("transformer", SD3Transformer2DModel),
    "flux": ("transformer", FluxTransformer2DModel),
}
DENOISER: dict[str, dict[str, Any]] = {
    "sd15": {
        "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
        "cross_attention_dim": 768, "attention_head_dim": 8,
    },
    "sdxl": {
        "sample_size": 128, "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", *["CrossAttnDownBlock2D"] * 2),
        "up_block_types": (*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048, "use_linear_projection": True,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "pixart": {"sample_size": 128, "caption_channels": 4096},
    "sd3": {
        "sample_size": 128, "num_layers": 24, "num_attention_heads": 24, "attention_head_dim": 64,
        "joint_attention_dim": 4096, "caption_projection_dim": 1536, "pooled_projection_dim": 2048,
        "pos_embed_max_size": 192,
    },
    "flux": {"guidance_embeds": True},
}  # fmt: skip
VAE: dict[str, dict[str, Any]] = {
    name: {
        "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
        "latent_channels": channels, "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4, "sample_size": size,
        "scaling_factor": scale, "shift_factor": shift,
        "use_quant_conv": channels == 4, "use_post_quant_conv": channels == 4,
    }
    for name, size, channels, scale, shift in (
        ("sd15", 512, 4, 0.18215, None), ("sdxl", 1024, 4, 0.13025, None),
        ("pixart", 512, 4, 0.18215, None), ("sd3", 1024, 16, 1.5305, 0.0609),
        ("flux", 1024, 16, 0.3611, 0.1159),
    )
}  # fmt: skip

TINY_TEXT = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "projection_dim": 16,
}  # fmt: skip
TINY_VISION = {**TINY_TEXT, "image_size": 32, "patch_size": 8}
TINY_DENOISER: dict[str, dict[str, Any]] = {
    "sd15": {
        "sample_size": 4, "block_out_channels": (8, 8, 8, 8), "cross_attention_dim": 16,
        "attention_head_dim": 2, "norm_num_groups": 4, "layers_per_block": 1,
    },
    "sdxl": {
        "sample_size": 4, "block_out_channels": (8, 8, 8), "attention_head_dim": (2, 2, 2),
        "transformer_layers_per_block": (1, 1, 1), "cross_attention_dim": 32,
        "addition_time_embed_dim": 4, "projection_class_embeddings_input_dim": 16 + 6 * 4,
        "norm_num_groups": 4, "layers_per_block": 1,
    },
}  # fmt: skip
TINY_VAE = {"block_out_channels": (8,) * 4, "norm_num_groups": 4, "layers_per_block": 1}

PATHS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "KL": lambda taesd, side: {},
    "small KL": lambda taesd, side: {"preview_size": side},
    "TAESD": lambda taesd, side: {"preview_decoder": taesd},
}
"""What guide and similarity look through -> the backbone's options for it."""


def components(model: str, tiny: bool = False) -> dict[str, Any]:
    """The networks of a pipeline."""
    name, cls = DENOISERS[model]
    denoiser = {**DENOISER[model], **(TINY_DENOISER[model] if tiny else {})}
    vae = {**VAE[model], **(TINY_VAE if tiny else {})}
    parts = {name: cls(**denoiser), "vae": AutoencoderKL(**vae)}
    for number, kind in enumerate(TEXTS[model], 1):
        parts[f"text_encoder_{number}".removesuffix("_1")] = text_encoder(kind, tiny)
    return parts


def text_encoder(kind: str, tiny: bool = False) -> Any:
    """CLIP ViT-L/14's (with a projection or not), OpenCLIP bigG's, or T5-XXL's."""
    if kind == "T5":
        return T5EncoderModel(T5Config(**T5_XXL))
    config = {**(CLIP_BIG_G if kind == "bigG" else CLIP_L), **(TINY_TEXT if tiny else {})}
    cls: Any = CLIPTextModel if kind == "L" else CLIPTextModelWithProjection
    return cls(CLIPTextConfig(**config))


def pipeline(model: str, tiny: bool = False) -> Any:
    """The pipeline of a model. CLIP's tokenizers are of letters; T5's are left out."""
    parts = components(model, tiny)
    for name, part in list(parts.items()):
        if name.startswith("text_encoder"):
            made = None if isinstance(part, T5EncoderModel) else clip_tokenizer()
            parts[name.replace("text_encoder", "tokenizer")] = made
    if model in ("sd3", "flux"):
        flow = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=model == "flux")
        return PIPELINES[model](**parts, scheduler=flow)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    return PIPELINES[model](**parts, scheduler=scheduler, **OPTIONS.get(model, {}))


def tiny_autoencoder(model: str, tiny: bool = False) -> AutoencoderTiny:
    """The tiny autoencoder (TAESD) of the model's latents."""
    small = {"decoder_block_out_channels": (8,) * 4, "encoder_block_out_channels": (8,) * 4}
    channels = VAE[model]["latent_channels"]
    return AutoencoderTiny(latent_channels=channels, **(small if tiny else {}))


def guide(tiny: bool = False) -> EmoGen:
    """A linear head on CLIP ViT-L/14."""
    text, vision = (TINY_TEXT, TINY_VISION) if tiny else ({}, {})
    config = CLIPConfig(
        text_config={**CLIP_L, **text},
        vision_config={**VISION_L, **vision},
        projection_dim={**VISION_L, **vision}["projection_dim"],
    )
    return EmoGen(CLIPModel(config))


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's, of letters."""
    words = [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
