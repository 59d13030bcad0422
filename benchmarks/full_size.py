"""Time and memory of steering at full size, with random weights: Stable Diffusion 1.5 and SDXL as
published, built here, so nothing is downloaded.

python benchmarks/full_size.py --model sdxl --batches '[1]' --gradient_checkpointing true

Every steered step makes the same number of optimiser steps: with random weights losses mean
nothing. `--tiny true` runs the same code on small models, to see that it works.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from string import ascii_lowercase
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from jsonargparse import auto_cli
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from muse.asks import Evaluate
from muse.backbones import PipelineBackbone, load_backbone
from muse.commands.lightning import quiet
from muse.guides import EmoGen
from muse.jobs import Job
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampler import Sampler
from muse.schedulers import StepWindow
from muse.steering import TokenOptimization

# --- the published configurations ---------------------------------------------------------------

CLIP_L = {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "max_position_embeddings": 77, "projection_dim": 768,
}  # fmt: skip
CLIP_BIG_G = {
    **CLIP_L, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
    "num_attention_heads": 20, "hidden_act": "gelu", "projection_dim": 1280,
}  # fmt: skip
VISION_L = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "image_size": 224, "patch_size": 14, "projection_dim": 768,
}  # fmt: skip
UNET: dict[str, dict[str, Any]] = {
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
}  # fmt: skip
VAE: dict[str, dict[str, Any]] = {
    name: {
        "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4, "sample_size": size, "scaling_factor": scale,
    }
    for name, size, scale in (("sd15", 512, 0.18215), ("sdxl", 1024, 0.13025))
}  # fmt: skip

# What makes them small: other widths and sizes, the same classes and conditions.
TINY_TEXT = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "projection_dim": 16,
}  # fmt: skip
TINY_VISION = {**TINY_TEXT, "image_size": 32, "patch_size": 8}
TINY_UNET: dict[str, dict[str, Any]] = {
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
    """The parts of a pipeline with random weights, on torch's default device."""
    small: Mapping[str, Any] = TINY_TEXT if tiny else {}
    unet = {**UNET[model], **(TINY_UNET[model] if tiny else {})}
    parts = {
        "unet": UNet2DConditionModel(**unet),
        "vae": AutoencoderKL(**{**VAE[model], **(TINY_VAE if tiny else {})}),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**{**CLIP_L, **small})),
    }
    if model == "sdxl":
        config = CLIPTextConfig(**{**CLIP_BIG_G, **small})
        parts["text_encoder_2"] = CLIPTextModelWithProjection(config)
    return parts


def save(folder: Path, model: str, dtype: torch.dtype, device: str, tiny: bool) -> None:
    """Save a random pipeline, and ``taesd`` beside it; made on the device, which is faster."""
    with torch.device(device):
        torch.set_default_dtype(dtype)
        try:
            parts = components(model, tiny)
            small = {"decoder_block_out_channels": (8,) * 4, "encoder_block_out_channels": (8,) * 4}
            taesd = AutoencoderTiny(**(small if tiny else {}))
        finally:
            torch.set_default_dtype(torch.float32)
    taesd.save_pretrained(folder / "taesd")
    words = [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    for part in ("tokenizer", "tokenizer_2")[: 1 + (model == "sdxl")]:
        vocabulary = {word: i for i, word in enumerate(words)}
        parts[part] = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    if model == "sdxl":
        pipeline: Any = StableDiffusionXLPipeline(
            **parts, scheduler=scheduler, add_watermarker=False
        )
    else:
        pipeline = StableDiffusionPipeline(
            **parts, scheduler=scheduler, safety_checker=None, feature_extractor=None,
            requires_safety_checker=False,
        )  # fmt: skip
    pipeline.save_pretrained(folder / model)


def guide(device: str, tiny: bool) -> EmoGen:
    """A linear head on CLIP ViT-L/14, of random weights."""
    text, vision = (TINY_TEXT, TINY_VISION) if tiny else ({}, {})
    config = CLIPConfig(
        text_config={**CLIP_L, **text},
        vision_config={**VISION_L, **vision},
        projection_dim={**VISION_L, **vision}["projection_dim"],
    )
    with torch.device(device):
        return EmoGen(CLIPModel(config))


class Clock:
    """Times the batched inner iterations that take a gradient.

    Args:
        sampler: whose.
        device: where it runs; its queue is waited for.
    """

    def __init__(self, sampler: Sampler, device: str) -> None:
        self.seconds: list[float] = []
        evaluate = sampler.answers.evaluate

        def timed(asks: Sequence[Evaluate]) -> Any:
            begun = now(device)
            answers = evaluate(asks)
            if not all(ask.last for ask in asks):
                self.seconds.append(now(device) - begun)
            return answers

        sampler.answers.evaluate = timed  # type: ignore[method-assign]


def now(device: str) -> float:
    """Seconds, once the device has done all it was asked."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(
    backbone: PipelineBackbone,
    reader: EmoGen,
    batch: int,
    steps: int,
    start: int,
    iterations: int,
    device: str,
) -> str:
    """Make `batch` pictures in one go; what it took, in words."""
    sampler = Sampler(
        backbone, reader, TokenOptimization(), StepWindow(start / steps), MultiEmotionLoss(),
        GaussianNoise(), steps=steps, max_iterations=iterations, tolerance=-math.inf, keep="last",
    ).to(device)  # fmt: skip
    clock = Clock(sampler, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begun = now(device)
    jobs = [Job(str(i), "a dog", {"awe": 1.0}, i) for i in range(batch)]
    results = list(sampler.sample(jobs, slots=batch))
    seconds = (now(device) - begun) / batch
    for result in results:
        if result.failure is not None:
            raise RuntimeError(result.failure)
        assert sum(result.trace.iterations) == iterations * (steps - start)
    inner = 1000 * median(clock.seconds)
    peak = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device == "cuda" else "unknown"
    return (
        f"{seconds:.2f} s an image, {inner:.1f} ms an inner iteration "
        f"({inner / batch:.1f} a picture), peak memory {peak}"
    )


def main(
    model: Literal["sd15", "sdxl"] = "sd15",
    batches: Sequence[int] = (1, 4, 8),
    steps: int = 50,
    start: int = 10,
    iterations: int = 3,
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16",
    gradient_checkpointing: bool = False,
    tiny: bool = False,
) -> None:
    """Print a line for each decoder path and batch.

    Args:
        model: at its own size, 512 or 1024 px.
        batches: pictures in flight.
        steps: sampling steps.
        start: the first steered one.
        iterations: optimiser steps in each steered one.
        dtype: of the backbone's weights; the guide's are float32.
        gradient_checkpointing: of UNet and decoder.
        tiny: small models instead, on the CPU in float32.
    """
    quiet()
    device = "cuda" if torch.cuda.is_available() and not tiny else "cpu"
    kept = "float32" if tiny else dtype
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(
        f"{model}{' (tiny)' if tiny else ''}, {kept}, {steps} steps, {iterations} iterations from "
        f"step {start} on, gradient checkpointing {gradient_checkpointing}; {name}, torch "
        f"{torch.__version__}"
    )
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        save(Path(folder), model, getattr(torch, kept), device, tiny)
        reader = guide(device, tiny)
        for path, options in PATHS.items():
            backbone = load_backbone(
                f"{folder}/{model}",
                dtype=kept,
                gradient_checkpointing=gradient_checkpointing,
                **options(f"{folder}/taesd", 16 if tiny else 224),
            )
            measure(backbone, reader, 1, 2, 1, 1, device)  # to warm up
            for batch in batches:
                told = measure(backbone, reader, batch, steps, start, iterations, device)
                print(f"{path}, batch {batch}: {told}", flush=True)
            del backbone
            if device == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    auto_cli(main)
