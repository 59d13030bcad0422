"""Stable Diffusion XL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from muse.backbones.base import Size
from muse.backbones.variance_preserving import VariancePreserving
from muse.core.types import Cond, Denoised, Node
from muse.pretrained.wording import remarks, unknown_remarks


class StableDiffusionXL(VariancePreserving):
    """Stable Diffusion XL through diffusers (Podell et al. 2023).

    Text tokens (B, 77, 2048) are the last but one states of two encoders side by side, and
    emotion tokens are appended to them at that width. The second encoder's pooled vector and the
    sizes that the model is told (micro-conditioning, Sec. 2.2) stay as they are. An empty
    negative prompt is zeros where the pipeline's config says so, as the hub's does.

    The hub's autoencoder overflows in float16, so it is kept in float32 there.

    Args:
        pretrained: a folder of the diffusers layout, a hub id, or a ``.safetensors`` file.
        original_size: height and width in pixels that the model is told the training picture
            had; None is the picture's own size.
        crops_coords_top_left: how far from top and left the model is told it was cropped.
        target_size: height and width that the model is told it was cropped to; None is the
            picture's own size.
        options: those of `PipelineBackbone`.

    Raises:
        MuseError: nothing loadable under that name, or a scheduler whose prediction type is
            neither ``epsilon`` nor ``v_prediction``.
    """

    pipeline_class: ClassVar = StableDiffusionXLPipeline
    weighs: ClassVar = True
    inner: ClassVar = True
    default_guidance_scale = 5.0

    def __init__(
        self,
        pretrained: str = "stabilityai/stable-diffusion-xl-base-1.0",
        original_size: tuple[int, int] | None = None,
        crops_coords_top_left: tuple[int, int] = (0, 0),
        target_size: tuple[int, int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(pretrained, **options)
        self.original_size = original_size
        self.crops_coords_top_left = crops_coords_top_left
        self.target_size = target_size
        if self.vae.dtype == torch.float16 and self.vae.config.force_upcast:
            self.vae.float()

    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, 77, d) and ``pooled`` (B, p) by the pipeline's `encode_prompt`, and
        ``time_ids`` (B, 6): original size, crop, target size.
        """
        if self.weighting is not None:
            tokens, pooled = self._weighted(prompts)
        else:
            tokens, _, pooled, _ = self.encode_prompt(prompts, do_classifier_free_guidance=False)
        if negative and self.pipeline.config.force_zeros_for_empty_prompt:
            empty = torch.tensor([not prompt for prompt in prompts], device=tokens.device)
            tokens = tokens.masked_fill(empty[:, None, None], 0)
            pooled = pooled.masked_fill(empty[:, None], 0)
        original, target = self.original_size or size, self.target_size or size
        told = [*original, *self.crops_coords_top_left, *target]
        sizes = torch.tensor([told] * len(prompts), dtype=torch.float32, device=tokens.device)
        return {"tokens": tokens, "pooled": pooled, "time_ids": sizes}

    def _weighted(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens by both encoders, and the second one's pooled vector, of prompts with weights."""
        tokens = [self.weighted_tokens(prompts, ending) for ending in ("", "_2")]
        return torch.cat(tokens, dim=-1), self.weighted_pooled(prompts, "_2")

    def remarks(self, prompt: str) -> list[str]:
        """What exceeds the context, which both encoders share."""
        tokenizer = self.pipeline.tokenizer
        if self.weighting is not None:  # all of it is read
            return unknown_remarks(tokenizer, self.words(prompt))
        return remarks(tokenizer, prompt)

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The UNet's eps or v as a prediction of x0 and eps, (B, C, h, w)."""
        output = self.model(
            x.to(self.model.dtype),
            node.timestep.to(x.device),
            encoder_hidden_states=cond["tokens"],
            added_cond_kwargs={"text_embeds": cond["pooled"], "time_ids": cond["time_ids"]},
        ).sample
        return self.predicted(x, output, node)

    @property
    def scale_and_shift(self) -> tuple[float | Tensor, float | Tensor]:
        """Of the latents, for each channel (C, 1, 1) where the autoencoder's config has
        ``latents_mean`` and ``latents_std``.
        """
        config, scale = self.vae.config, self.vae.config.scaling_factor
        given = (getattr(config, name, None) for name in ("latents_mean", "latents_std"))
        mean, std = (None if one is None else self._by_channel(one) for one in given)
        if mean is None or std is None:
            return super().scale_and_shift
        return scale / std, mean

    def _by_channel(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=self.vae.device).view(-1, 1, 1)

    def encode(self, image: Tensor) -> Tensor:
        """The mean of the autoencoder's posterior, shifted and scaled."""
        with self._wide_enough(image.device):
            return super().encode(image)

    def decode(self, latent: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in about [0, 1], unclamped."""
        with self._wide_enough(latent.device):
            return super().decode(latent)

    @contextmanager
    def _wide_enough(self, device: torch.device) -> Iterator[None]:
        """No autocast to float16, in which the autoencoder overflows."""
        kind = device.type
        on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        half = on and torch.get_autocast_dtype(kind) == torch.float16
        if half and self.vae.config.force_upcast:
            with torch.autocast(kind, enabled=False):
                yield
        else:
            yield
