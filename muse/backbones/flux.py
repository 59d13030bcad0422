"""FLUX.1, dev and schnell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import FluxPipeline
from torch import Tensor
from torch.nn import functional as F

from muse.backbones.base import Size
from muse.backbones.flow_match import SCHEDULERS, check_context, flow_grid, flow_start
from muse.backbones.pipeline import PipelineBackbone
from muse.core.types import Cond, Denoised, Node
from muse.pretrained.wording import cut_offs
from muse.schedulers import TimeGrid

PATCH = 2
"""Latent pixels a side of one image token."""


class Flux(PipelineBackbone):
    """FLUX.1 (dev, schnell) through diffusers: a rectified flow.

    T5's tokens and the image's attend to each other jointly, without a mask; emotion tokens are
    appended to T5's. All text tokens stand at position 0. The pooled vector is CLIP's. Latents
    are (C, h, w) at this interface, and packed 2 x 2 for the transformer alone.

    Both models are distilled and meant for a sampler's `guidance_scale` of 1, without an
    unconditional branch: dev is told a guidance scale as a number, schnell needs none. Another
    `guidance_scale` adds classifier-free guidance (diffusers' ``true_cfg_scale``), at twice the
    cost.

    Args:
        pretrained: a folder of the diffusers layout, a hub id, or a ``.safetensors`` file.
        distilled_guidance: the guidance scale that dev is told; schnell has no input for it.
        max_sequence_length: T5's context in tokens, 1 to 512; schnell was trained with 256.
        options: those of `PipelineBackbone`.

    Raises:
        MuseError: nothing loadable under that name, or a context out of range.
    """

    pipeline_class: ClassVar = FluxPipeline
    default_guidance_scale = 1.0  # distilled
    denoiser: ClassVar = "transformer"
    schedulers: ClassVar = SCHEDULERS

    def __init__(
        self,
        pretrained: str = "black-forest-labs/FLUX.1-dev",
        distilled_guidance: float = 3.5,
        max_sequence_length: int = 512,
        **options: Any,
    ) -> None:
        check_context(max_sequence_length)
        super().__init__(pretrained, **options)
        self.distilled_guidance = distilled_guidance
        self.max_sequence_length = max_sequence_length

    @property
    def size(self) -> Size:
        """The pipeline's own: the transformer has none."""
        side = self.pipeline.default_sample_size * self.factor
        return (side, side)

    @property
    def multiple(self) -> int:
        """What the sides of pictures are multiples of, in pixels."""
        return self.factor * PATCH

    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """Euler nodes as the pipeline sets them: sigmas evenly from 1 to 1 / steps (unless its
        scheduler has its own), shifted by the size of the picture (dev) or not at all (schnell).
        """
        own = self.scheduler_config.get("use_flow_sigmas", False)
        sigmas = None if own else [1 - i / steps for i in range(steps)]
        image_tokens = size[0] * size[1] // self.multiple**2
        return flow_grid(self.scheduler_config, steps, image_tokens, sigmas)

    def start_node(self, strength: float, steps: int) -> int:
        """As diffusers' image-to-image pipeline has it: a step that is begun counts."""
        return flow_start(strength, steps)

    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, `max_sequence_length`, d) and ``pooled`` (B, p) by the pipeline's
        `encode_prompt`.
        """
        tokens, pooled, _ = self.encode_prompt(
            prompts, max_sequence_length=self.max_sequence_length
        )
        return {"tokens": tokens, "pooled": pooled}

    def remarks(self, prompt: str) -> list[str]:
        """What exceeds CLIP's context, and T5's."""
        pipeline = self.pipeline
        readers = {
            "CLIP": (pipeline.tokenizer, pipeline.tokenizer_max_length),
            "T5": (pipeline.tokenizer_2, self.max_sequence_length),
        }
        return cut_offs(prompt, readers)

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The transformer's velocity as a prediction of x0 and eps, (B, C, h, w)."""
        tokens, dtype = cond["tokens"], self.model.dtype
        rows, height, width = len(x), x.shape[-2] // PATCH, x.shape[-1] // PATCH
        packed = F.pixel_unshuffle(x, PATCH).flatten(2).mT  # (B, h/2 * w/2, 4 C)
        guidance = None
        if self.model.config.guidance_embeds:
            guidance = x.new_full((rows,), self.distilled_guidance)
        places = [torch.arange(side, device=x.device) for side in (height, width)]
        velocity = self.model(
            hidden_states=packed.to(dtype),
            timestep=node.timestep.to(x.device, dtype).expand(rows) / 1000,
            guidance=guidance,
            encoder_hidden_states=tokens,
            pooled_projections=cond["pooled"],
            txt_ids=tokens.new_zeros(tokens.shape[1], 3),
            img_ids=F.pad(torch.cartesian_prod(*places), (1, 0)).to(tokens),
        ).sample
        unpacked = F.pixel_shuffle(velocity.mT.unflatten(2, (height, width)), PATCH)
        return Denoised.from_flow(x, unpacked.to(x), node.alpha, node.sigma)
