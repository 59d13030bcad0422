"""Stable Diffusion 1.x and 2.x, and anything of their folder layout: muse-mini too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor

from muse.backbones.base import Size
from muse.backbones.pipeline import PipelineBackbone
from muse.backbones.wording import remarks
from muse.schedulers import TimeGrid
from muse.schedulers.grid import check_steps
from muse.types import Cond, Denoised, MuseError, Node


class StableDiffusion(PipelineBackbone):
    """Stable Diffusion 1.x and 2.x through diffusers, and muse-mini.

    Text tokens (B, 77, d) from the pipeline's own ``encode_prompt``, and emotion tokens appended
    to them: a UNet takes any number of tokens, without a mask. Conditional and unconditional
    branch are separate calls, so neither is ever padded (a zero key would take softmax mass).

    Args:
        pretrained: a folder of the diffusers layout, a hub id, a single ``.safetensors`` file, or
            ``muse-mini``.
        options: those of `PipelineBackbone`.

    Raises:
        MuseError: nothing loadable under that name, or a scheduler whose prediction type is
            neither ``epsilon`` nor ``v_prediction``.
    """

    pipelines: ClassVar = ("StableDiffusionPipeline",)
    pipeline_class: ClassVar = StableDiffusionPipeline
    load_options: ClassVar = {"safety_checker": None, "requires_safety_checker": False}

    def __init__(self, pretrained: str = "muse-mini", **options: Any) -> None:
        super().__init__(pretrained, **options)
        self.prediction_type: str = self.scheduler_config.get("prediction_type", "epsilon")
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise MuseError(
                f"{pretrained!r} predicts {self.prediction_type!r}. StableDiffusion reads models "
                "that predict 'epsilon' or 'v_prediction'."
            )

    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """DDIM nodes with the pipeline's own betas, spacing, offset and final alpha."""
        return ddim_grid(self.scheduler_config, steps)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, context length, d) by the pipeline's `encode_prompt`."""
        tokens, _ = self.pipeline.encode_prompt(
            list(prompts), self.text_device, 1, do_classifier_free_guidance=False
        )
        return {"tokens": tokens.to(self.model.device)}

    def remarks(self, prompt: str) -> list[str]:
        """Words outside a small vocabulary, and what exceeds the context."""
        return remarks(self.pipeline.tokenizer, prompt)

    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        """Append emotion tokens (B, M, d) after the text's."""
        return {"tokens": torch.cat([cond["tokens"], tokens.to(cond["tokens"])], dim=1)}

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The UNet's eps or v as a prediction of x0 and eps, (B, C, h, w)."""
        output = self.model(
            x.to(self.model.dtype), node.timestep.to(x.device), encoder_hidden_states=cond["tokens"]
        ).sample.to(x)
        made = Denoised.from_eps if self.prediction_type == "epsilon" else Denoised.from_v
        return made(x, output, node.alpha, node.sigma)


def ddim_grid(config: dict[str, Any], steps: int) -> TimeGrid:
    """The DDIM nodes of a variance-preserving model, by its pipeline's scheduler config.

    Raises:
        MuseError: more steps than the model was trained with, or none.
    """
    scheduler: Any = DDIMScheduler.from_config({**config, "clip_sample": False})
    check_steps(steps, scheduler.config.num_train_timesteps)
    scheduler.set_timesteps(steps)
    return TimeGrid.from_alphas_cumprod(
        scheduler.alphas_cumprod, scheduler.timesteps, float(scheduler.final_alpha_cumprod)
    )
