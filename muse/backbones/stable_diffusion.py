"""Stable Diffusion 1.x and 2.x, and anything of their folder layout: muse-mini too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from diffusers import StableDiffusionPipeline
from torch import Tensor

from muse.backbones.base import Size
from muse.backbones.variance_preserving import VariancePreserving
from muse.core.types import Cond, Denoised, Node
from muse.pretrained.wording import remarks, unknown_remarks


class StableDiffusion(VariancePreserving):
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

    pipeline_class: ClassVar = StableDiffusionPipeline
    weighs: ClassVar = True

    def __init__(self, pretrained: str = "muse-mini", **options: Any) -> None:
        super().__init__(pretrained, **options)

    @property
    def load_options(self) -> dict[str, Any]:
        """The safety checker left out: it sees final pictures alone, and guides nothing."""
        return {
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        }

    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, context length, d) by the pipeline's `encode_prompt`; with `weighting` so
        many times the context length as the longest prompt needs.
        """
        if self.weighting is not None:
            return {"tokens": self.weighted_tokens(prompts)}
        tokens, _ = self.encode_prompt(
            prompts, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return {"tokens": tokens}

    def remarks(self, prompt: str) -> list[str]:
        """Words outside a small vocabulary, and what exceeds the context."""
        tokenizer = self.pipeline.tokenizer
        if self.weighting is not None:  # all of it is read
            return unknown_remarks(tokenizer, self.words(prompt))
        return remarks(tokenizer, prompt)

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The UNet's eps or v as a prediction of x0 and eps, (B, C, h, w)."""
        output = self.model(
            x.to(self.model.dtype), node.timestep.to(x.device), encoder_hidden_states=cond["tokens"]
        ).sample
        return self.predicted(x, output, node)
