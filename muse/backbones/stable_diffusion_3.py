"""Stable Diffusion 3 and 3.5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from diffusers import StableDiffusion3Pipeline
from torch import Tensor

from muse.backbones.base import Size
from muse.backbones.flow_match import SCHEDULERS, T5_CONTEXT, check_context, flow_grid, flow_start
from muse.backbones.pipeline import PipelineBackbone
from muse.core.types import Cond, Denoised, MuseError, Node
from muse.pretrained.packaged import locate
from muse.pretrained.sharing import NAME, own_options
from muse.pretrained.wording import cut_offs
from muse.schedulers import TimeGrid


class StableDiffusion3(PipelineBackbone):
    """Stable Diffusion 3 and 3.5 through diffusers: a rectified flow (Esser et al. 2024).

    Text and image tokens attend to each other jointly, without a mask, so emotion tokens are
    appended at the joint width (4096): after the 77 tokens of the two CLIPs, zero-padded to that
    width, and T5's. The CLIPs' pooled vector stays as it is.

    Args:
        pretrained: a folder of the diffusers layout, a hub id, or a ``.safetensors`` file.
        t5: load and use the third text encoder, by far the largest; without it, or where the model
            has none, its tokens are zeros, as the model saw in part of its training.
        max_sequence_length: T5's context in tokens, 1 to 512; None: what the folder asks for
            (`muse.pretrained.sharing`), else 256.
        options: those of `PipelineBackbone`.

    Raises:
        MuseError: nothing loadable under that name, or a context out of range.
    """

    pipeline_class: ClassVar = StableDiffusion3Pipeline
    default_guidance_scale = 7.0
    denoiser: ClassVar = "transformer"
    schedulers: ClassVar = SCHEDULERS

    def __init__(
        self,
        pretrained: str = "stabilityai/stable-diffusion-3-medium-diffusers",
        t5: bool = True,
        max_sequence_length: int | None = None,
        **options: Any,
    ) -> None:
        self.t5 = t5  # before all else: it decides what is loaded
        if max_sequence_length is None:
            folder = Path(locate(pretrained))
            max_sequence_length = own_options(folder).get("max_sequence_length", 256)
            if not isinstance(max_sequence_length, int):
                raise MuseError(
                    f"{str(folder / NAME)!r} has the max_sequence_length {max_sequence_length!r}, "
                    f"which is no whole number. Use 1 to {T5_CONTEXT}."
                )
        self.max_sequence_length = check_context(max_sequence_length)
        super().__init__(pretrained, **options)

    @property
    def load_options(self) -> dict[str, Any]:
        """T5 left out, or nothing."""
        return {} if self.t5 else {"text_encoder_3": None, "tokenizer_3": None}

    def latent_shape(self, size: Size) -> tuple[int, ...]:
        """(channels, height / factor, width / factor).

        Raises:
            MuseError: a side that isn't a `multiple`, or beyond the positions that the model has.
        """
        limit = self.model.config.pos_embed_max_size * self.multiple
        if max(size) > limit:
            raise MuseError(f"size = {list(size)} is not allowed. Use at most {limit} a side.")
        return super().latent_shape(size)

    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """Euler nodes with the pipeline's own shift."""
        return flow_grid(self.scheduler_config, steps, size[0] * size[1] // self.multiple**2)

    def start_node(self, strength: float, steps: int) -> int:
        """As diffusers' image-to-image pipeline has it: a step that is begun counts."""
        return flow_start(strength, steps)

    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, 77 + `max_sequence_length`, d) and ``pooled`` (B, p) by the pipeline's
        `encode_prompt`.
        """
        tokens, _, pooled, _ = self.encode_prompt(
            prompts,
            prompt_2=None,
            prompt_3=None,
            do_classifier_free_guidance=False,
            max_sequence_length=self.max_sequence_length,
        )
        return {"tokens": tokens, "pooled": pooled}

    def remarks(self, prompt: str) -> list[str]:
        """What exceeds CLIP's context, and T5's."""
        pipeline = self.pipeline
        readers = {"CLIP": (pipeline.tokenizer, pipeline.tokenizer_max_length)}
        if pipeline.text_encoder_3 is not None:
            readers["T5"] = (pipeline.tokenizer_3, self.max_sequence_length)
        return cut_offs(prompt, readers)

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The transformer's velocity as a prediction of x0 and eps, (B, C, h, w)."""
        velocity = self.model(
            hidden_states=x.to(self.model.dtype),
            timestep=node.timestep.to(x.device).expand(len(x)),
            encoder_hidden_states=cond["tokens"],
            pooled_projections=cond["pooled"],
        ).sample
        return Denoised.from_flow(x, velocity.to(x), node.alpha, node.sigma)
