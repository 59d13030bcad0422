"""A backbone beside diffusers' own pipeline from the same folder: the same latents, steps and
guidance make the same pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from diffusers import (
    DiffusionPipeline,
    FluxPipeline,
    PixArtAlphaPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
)
from torch import Tensor

from muse.backbones import PipelineBackbone, load_backbone
from muse.core.jobs import Job
from muse.guides import ConvNet
from muse.latents import GaussianNoise, LatentSource
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import Never
from muse.steering import NoSteering
from tests.watching import Latents

STEPS = 5
PROMPTS = ["a dog", "two cats in a park", "sea", "a very long walk by night"]
CONTEXT = 20
"""Of T5 in SD3 and FLUX; two of the prompts are longer than CLIP's, one longer than this."""
GUIDANCE = 2.5
"""That FLUX dev is told."""
PICTURES = 1e-4
"""Largest difference of pictures in [0, 1]."""
LATENTS = 1e-5
"""Largest relative difference of final latents."""


@dataclass(frozen=True)
class Case:
    """What is sampled."""

    prompts: int = 4
    scale: float = 7.5
    negative: str = ""
    size: tuple[int, int] = (16, 16)

    @property
    def jobs(self) -> list[Job]:
        """Nothing steers them."""
        return [Job(str(i), prompt, None, i) for i, prompt in enumerate(PROMPTS[: self.prompts])]


BATCH, SINGLE = Case(), Case(prompts=1)


class Made(NamedTuple):
    """Final latents, and pictures in [0, 1]."""

    latents: Tensor
    pictures: Tensor


class Pair:
    """A backbone, and diffusers' pipeline from the same folder.

    Args:
        folder: of the pipeline.
        without: its components that are left out.
        options: of the backbone.
    """

    def __init__(self, folder: Path, without: tuple[str, ...] = (), **options: Any) -> None:
        self.backbone: PipelineBackbone = load_backbone(str(folder), **options)
        left: Mapping[str, Any] = dict.fromkeys(without)
        self.pipeline: Any = DiffusionPipeline.from_pretrained(
            folder, low_cpu_mem_usage=False, **left
        )
        self.pipeline.set_progress_bar_config(disable=True)

    def ours(
        self, case: Case, slots: int | None = None, latents: LatentSource | None = None
    ) -> Made:
        """By muse's sampler, `slots` pictures in a call (None for all)."""
        kept = Latents()
        sampler = Sampler(
            self.backbone, ConvNet(width=8), NoSteering(), Never(), MultiEmotionLoss(),
            latents or GaussianNoise(), steps=STEPS, guidance_scale=case.scale,
            negative_prompt=case.negative, size=case.size,
        )  # fmt: skip
        results = list(sampler.sample(case.jobs, slots or case.prompts, [kept]))
        assert [result.failure for result in results] == [None] * case.prompts
        images: dict[str, Any] = {result.job.id: result.image for result in results}
        ids = [job.id for job in case.jobs]
        pictures = torch.cat([images[i] for i in ids]).clamp(0, 1)
        return Made(torch.cat([kept.of[i][-1] for i in ids]), pictures)

    def theirs(self, case: Case, **options: Any) -> Made:
        """By diffusers' pipeline; `options` are more for it."""
        pipeline, vae, negative = self.pipeline, self.pipeline.vae, case.negative
        latents = noise(self.backbone, case)
        options["guidance_scale"] = case.scale
        if isinstance(pipeline, PixArtAlphaPipeline):
            options |= {"clean_caption": False, "use_resolution_binning": False}
        if isinstance(pipeline, StableDiffusion3Pipeline | FluxPipeline):
            options["max_sequence_length"] = CONTEXT
        if isinstance(pipeline, FluxPipeline):
            options |= {"guidance_scale": GUIDANCE, "true_cfg_scale": case.scale}
            latents = pipeline._pack_latents(latents, *latents.shape)
        if not isinstance(pipeline, StableDiffusionXLPipeline) or negative:
            # For SDXL in diffusers a negative prompt of "" is given, and isn't zeroed.
            options["negative_prompt"] = [negative] * case.prompts
        with mock.patch.object(vae, "decode", wraps=vae.decode) as decode:
            pictures = pipeline(
                PROMPTS[: case.prompts], latents=latents, height=case.size[0], width=case.size[1],
                num_inference_steps=STEPS, output_type="pt", **options,
            ).images  # fmt: skip
        assert pictures.std() > 0.01, "pictures of one colour compare nothing"
        last = decode.call_args.args[0] - (vae.config.shift_factor or 0)
        return Made(last * vae.config.scaling_factor, pictures)

    @cached_property
    def single(self) -> Made:
        """The pipeline's own of one prompt, made once."""
        return self.theirs(SINGLE)


def noise(backbone: PipelineBackbone, case: Case) -> Tensor:
    """The latents that a case starts from."""
    shape = backbone.latent_shape(case.size)
    return torch.cat([torch.randn(1, *shape, generator=job.noise()) for job in case.jobs])


def agree(found: Made, wanted: Made) -> bool:
    """Whether latents and pictures are within their bars."""
    assert found.latents.shape == wanted.latents.shape
    latents = (found.latents - wanted.latents).norm() / wanted.latents.norm()
    pictures = (found.pictures - wanted.pictures).abs().max()
    print(f"latents {latents:.1e}, pictures {pictures:.1e}")
    return bool(latents <= LATENTS and pictures <= PICTURES)


def differ(found: Made, wanted: Made) -> bool:
    """Whether the pictures are clearly others."""
    pictures = (found.pictures - wanted.pictures).abs().max()
    print(f"pictures {pictures:.1e}")
    return bool(pictures > 3 * PICTURES)
