"""Stable Diffusion 1.x and 2.x, and anything of their folder layout: muse-mini too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from diffusers.utils import is_accelerate_available
from torch import Tensor

from muse.backbones.base import Backbone, Size
from muse.backbones.wording import remarks
from muse.schedulers import TimeGrid
from muse.schedulers.grid import check_steps
from muse.types import Cond, Denoised, MuseError, Node
from muse.weights import locate

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class StableDiffusion(Backbone):
    """Stable Diffusion 1.x and 2.x through diffusers, and muse-mini.

    Text tokens (B, 77, d) from the pipeline's own ``encode_prompt``, and emotion tokens appended
    to them: a UNet takes any number of tokens, without a mask. Conditional and unconditional
    branch are separate calls, so neither is ever padded (a zero key would take softmax mass).

    Args:
        pretrained: a folder of the diffusers layout, a hub id, or ``muse-mini``.
        dtype: of the weights.

    Raises:
        MuseError: nothing loadable under that name, or a scheduler whose prediction type is
            neither ``epsilon`` nor ``v_prediction``.
    """

    def __init__(
        self,
        pretrained: str = "muse-mini",
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    ) -> None:
        super().__init__()
        pipeline = _load(pretrained, DTYPES[dtype])
        self.unet = pipeline.unet
        self.vae = pipeline.vae
        self.text_encoder = pipeline.text_encoder
        # The pipeline is kept for its encode_prompt alone, outside of torch's module tree.
        self._pipeline = [pipeline]
        self.scheduler_config = dict(pipeline.scheduler.config)
        self.prediction_type: str = self.scheduler_config.get("prediction_type", "epsilon")
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise MuseError(
                f"{pretrained!r} predicts {self.prediction_type!r}. StableDiffusion reads models "
                "that predict 'epsilon' or 'v_prediction'."
            )

    @property
    def size(self) -> Size:
        """The size that the UNet was trained for."""
        side = self.unet.config.sample_size * self._pipeline[0].vae_scale_factor
        return (side, side)

    def latent_shape(self, size: Size) -> tuple[int, ...]:
        """(channels, height / factor, width / factor).

        Raises:
            MuseError: a size that the autoencoder's factor doesn't divide.
        """
        factor = self._pipeline[0].vae_scale_factor
        if any(side < factor or side % factor for side in size):
            raise MuseError(f"size = {list(size)} is not allowed. Use multiples of {factor}.")
        return (self.unet.config.in_channels, size[0] // factor, size[1] // factor)

    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """DDIM nodes with the pipeline's own betas, spacing, offset and final alpha."""
        config = {**self.scheduler_config, "clip_sample": False}
        scheduler: Any = DDIMScheduler.from_config(config)
        check_steps(steps, scheduler.config.num_train_timesteps)
        scheduler.set_timesteps(steps)
        return TimeGrid.from_alphas_cumprod(
            scheduler.alphas_cumprod, scheduler.timesteps, float(scheduler.final_alpha_cumprod)
        )

    @torch.no_grad()
    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, context length, d) by the pipeline's `encode_prompt`."""
        tokens, _ = self._pipeline[0].encode_prompt(
            list(prompts), self.unet.device, 1, do_classifier_free_guidance=False
        )
        return {"tokens": tokens}

    def remarks(self, prompt: str) -> list[str]:
        """Words outside a small vocabulary, and what exceeds the context."""
        return remarks(self._pipeline[0].tokenizer, prompt)

    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        """Append emotion tokens (B, M, d) after the text's."""
        return {"tokens": torch.cat([cond["tokens"], tokens.to(cond["tokens"])], dim=1)}

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The UNet's eps or v as a prediction of x0 and eps, (B, C, h, w)."""
        output = self.unet(
            x.to(self.unet.dtype), node.timestep.to(x.device), encoder_hidden_states=cond["tokens"]
        ).sample.to(x)
        made = Denoised.from_eps if self.prediction_type == "epsilon" else Denoised.from_v
        return made(x, output, node.alpha, node.sigma)

    def encode(self, image: Tensor) -> Tensor:
        """The mean of the autoencoder's posterior, times its scaling factor."""
        latent = self.vae.encode(image.to(self.vae.dtype) * 2 - 1).latent_dist.mean
        return (latent * self.vae.config.scaling_factor).to(image)

    def decode(self, latent: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in about [0, 1], unclamped."""
        scaled = latent.to(self.vae.dtype) / self.vae.config.scaling_factor
        return self.vae.decode(scaled).sample.to(latent) / 2 + 0.5


def _load(pretrained: str, dtype: torch.dtype) -> Any:
    try:
        return StableDiffusionPipeline.from_pretrained(
            locate(pretrained),
            torch_dtype=dtype,
            low_cpu_mem_usage=is_accelerate_available(),
            safety_checker=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MuseError(
            f"No Stable Diffusion under {pretrained!r} ({reason}). Give a folder of the diffusers "
            "layout, a hub id (needs the network once), or 'muse-mini'."
        ) from error
