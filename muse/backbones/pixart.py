"""PixArt-alpha."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import PixArtAlphaPipeline
from torch import Tensor

from muse.backbones.base import Size
from muse.backbones.variance_preserving import VariancePreserving
from muse.core.types import Cond, Denoised, Node
from muse.pretrained.wording import cut_offs

CONTEXT = 120
"""Tokens that T5 reads for it."""


class PixArtAlpha(VariancePreserving):
    """PixArt-alpha through diffusers (Chen et al. 2023): a transformer under T5.

    Text tokens (B, 120, 4096) come with a mask; emotion tokens are appended before the caption
    projection, behind T5's padding, with ones in the mask. The first half of the output is eps,
    the other a variance that no deterministic step needs. The 1024 px model is told height, width
    and aspect ratio. Prompts are put in lower case, as in its training.

    Args:
        pretrained: a folder of the diffusers layout, or a hub id.
        options: those of `PipelineBackbone`.

    Raises:
        MuseError: nothing loadable under that name, or a scheduler whose prediction type is
            neither ``epsilon`` nor ``v_prediction``.
    """

    pipeline_class: ClassVar = PixArtAlphaPipeline
    default_guidance_scale = 4.5
    denoiser: ClassVar = "transformer"

    def __init__(
        self, pretrained: str = "PixArt-alpha/PixArt-XL-2-1024-MS", **options: Any
    ) -> None:
        super().__init__(pretrained, **options)

    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, 120, d) and ``mask`` (B, 120) by the pipeline's `encode_prompt`; for the
        1024 px model ``resolution`` (B, 2) and ``aspect_ratio`` (B, 1) too.
        """
        tokens, mask, _, _ = self.encode_prompt(
            prompts, do_classifier_free_guidance=False, max_sequence_length=CONTEXT
        )
        cond: dict[str, Tensor] = {"tokens": tokens, "mask": mask}
        if self.model.use_additional_conditions:
            height, width = size
            sizes = {"resolution": [float(height), float(width)], "aspect_ratio": [height / width]}
            for name, told in sizes.items():
                cond[name] = torch.tensor([told] * len(prompts), device=tokens.device)
        return cond

    def remarks(self, prompt: str) -> list[str]:
        """What exceeds T5's context."""
        read = prompt.lower().strip()  # as the pipeline encodes it
        return cut_offs(read, {"T5": (self.pipeline.tokenizer, CONTEXT)})

    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        """Append emotion tokens (B, M, d) after the text's, and let the mask through to them."""
        mask = cond["mask"]
        seen = torch.cat([mask, mask.new_ones(tokens.shape[:2])], dim=1)
        return {**super().extend(cond, tokens), "mask": seen}

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The transformer's eps or v as a prediction of x0 and eps, (B, C, h, w)."""
        output = self.model(
            x.to(self.model.dtype),
            encoder_hidden_states=cond["tokens"],
            timestep=node.timestep.to(x.device).expand(len(x)),
            encoder_attention_mask=cond["mask"],
            added_cond_kwargs={name: cond.get(name) for name in ("resolution", "aspect_ratio")},
        ).sample
        return self.predicted(x, output[:, : x.shape[1]], node)
