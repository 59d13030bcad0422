"""SDEdit: against diffusers' image-to-image pipelines, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from diffusers import (
    FluxImg2ImgPipeline,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLImg2ImgPipeline,
)
from PIL import Image
from torch import Tensor

from muse.core.jobs import Job
from muse.core.pictures import read_picture
from muse.core.types import MuseError
from muse.guides import ConvNet
from muse.latents import PartialNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import Never, StepWindow
from muse.steering import NoSteering
from tests.components import _PictureToy
from tests.conformance import CONTEXT, GUIDANCE, LATENTS, PICTURES, PROMPTS, Made, Pair, agree
from tests.toy import jobs, make, sampler
from tests.watching import Latents

STEPS = 7
THEIRS: dict[str, Any] = {
    "sd": StableDiffusionImg2ImgPipeline,
    "sdxl": StableDiffusionXLImg2ImgPipeline,
    "sd3": StableDiffusion3Img2ImgPipeline,
    "flux-dev": FluxImg2ImgPipeline,
}
TAKEN = {
    0.2: {"sd": 1, "sdxl": 1, "sd3": 2, "flux-dev": 2},
    0.5: {"sd": 3, "sdxl": 3, "sd3": 4, "flux-dev": 4},
    0.9: {"sd": 6, "sdxl": 6, "sd3": 7, "flux-dev": 7},
    1.0: dict.fromkeys(THEIRS, 7),
}
"""Steps that a strength leaves of 7: whole ones in UNets, begun ones in flows."""


@pytest.fixture(scope="module")
def pairs(tiny_folder: Callable[[str], Path]) -> Callable[[str], Pair]:
    options: dict[str, dict[str, Any]] = {"sd3": {"max_sequence_length": CONTEXT}}
    options["flux-dev"] = {**options["sd3"], "distilled_guidance": GUIDANCE}
    return cache(lambda family: Pair(tiny_folder(family), **options.get(family, {})))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two pictures of noise."""
    folder, found = tmp_path_factory.mktemp("pictures"), []
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.randint(256, (16, 16, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{seed}.png")
        found.append(folder / f"{seed}.png")
    return found


def ours(pair: Pair, pictures: list[Path], strength: float, scale: float) -> tuple[Made, int]:
    """By muse's sampler, both in flight, and the steps that were taken."""
    kept = Latents()
    made = Sampler(
        pair.backbone, ConvNet(width=8), NoSteering(), Never(), MultiEmotionLoss(),
        PartialNoise(strength), steps=STEPS, guidance_scale=scale, size=(16, 16),
    )  # fmt: skip
    wanted = [Job(str(i), PROMPTS[i], None, i, path) for i, path in enumerate(pictures)]
    results = {result.job.id: result for result in made.sample(wanted, 2, [kept])}
    assert [result.failure for result in results.values()] == [None, None]
    images: list[Any] = [results[job.id].image for job in wanted]
    latents = torch.cat([kept.of[job.id][-1] for job in wanted])
    return Made(latents, torch.cat(images).clamp(0, 1)), len(kept.of["0"])


def theirs(
    family: str, pair: Pair, pictures: list[Path], strength: float, scale: float
) -> tuple[Made, int]:
    """By diffusers' pipeline, from the same latents and noise."""
    components: dict[str, Any] = pair.pipeline.components
    pipeline = THEIRS[family](**components)
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        encoded = [pair.backbone.encode(read_picture(path, (16, 16))) for path in pictures]
    options: dict[str, Any] = {"guidance_scale": scale}
    if family in ("sd3", "flux-dev"):
        options["max_sequence_length"] = CONTEXT
    if family == "flux-dev":
        options |= {"guidance_scale": GUIDANCE, "true_cfg_scale": scale, "height": 16, "width": 16}
    if family != "sdxl":
        options["negative_prompt"] = [""] * 2
    denoiser, vae = getattr(pipeline, pair.backbone.denoiser), pipeline.vae
    with (
        mock.patch.object(vae, "decode", wraps=vae.decode) as decode,
        mock.patch.object(denoiser, "forward", wraps=denoiser.forward) as forward,
    ):
        images: Tensor = pipeline(
            PROMPTS[:2], image=torch.cat(encoded), strength=strength, num_inference_steps=STEPS,
            generator=[torch.Generator().manual_seed(i) for i in range(2)], output_type="pt",
            **options,
        ).images  # fmt: skip
    last = decode.call_args.args[0] - (vae.config.shift_factor or 0)
    calls = forward.call_count // (2 if family == "flux-dev" else 1)
    return Made(last * vae.config.scaling_factor, images), calls


@pytest.mark.parametrize("strength", TAKEN)
@pytest.mark.parametrize("family", THEIRS)
def test_sdedit_is_diffusers_image_to_image(
    pairs: Callable[[str], Pair], pictures: list[Path], family: str, strength: float
) -> None:
    """To 1e-4 a pixel, with each family's own rounding of the strength."""
    pair = pairs(family)
    found, steps = ours(pair, pictures, strength, 5.0)
    wanted, calls = theirs(family, pair, pictures, strength, 5.0)
    assert steps == calls == TAKEN[strength][family]
    assert agree(found, wanted)
    assert (LATENTS, PICTURES) == (1e-5, 1e-4)
    assert wanted.pictures.std() > 0.01


@pytest.mark.parametrize("steps", [7, 50])
def test_strengths_are_rounded_as_diffusers_rounds_them(
    pairs: Callable[[str], Pair], steps: int
) -> None:
    """Numbers that floats miss among them: 50 * 0.58 is 28.999..."""
    for family, kind in THEIRS.items():
        pair = pairs(family)
        pipeline = kind(**pair.pipeline.components)
        backbone = pair.backbone
        pipeline.scheduler.set_timesteps(steps, **({"mu": 1.0} if family == "flux-dev" else {}))
        for strength in [percent / 100 for percent in range(int(100 / steps) + 1, 101)]:
            _, taken = pipeline.get_timesteps(steps, strength, torch.device("cpu"))
            assert backbone.start_node(strength, steps) == steps - taken


def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), (230, 128, 0)).save(path)
    return path


def test_a_later_start_stays_nearer(tmp_path: Path) -> None:
    job = replace(jobs(1)[0], image=picture(tmp_path))
    found: dict[float, Any] = {}
    for strength in (0.1, 0.55, 1.0):
        made = sampler(
            backbone=_PictureToy(), latents=PartialNoise(strength), steps=20, size=(8, 8),
            timing=StepWindow(0.8),
        )  # fmt: skip
        [found[strength]] = make(made, [job]).values()
    assert [len(result.path) for result in found.values()] == [1 + 2, 1 + 11, 1 + 20]
    assert [result.trace.start_step for result in found.values()] == [18, 16, 16]
    source = torch.tensor([[10 * 230 / 255 - 5, 10 * 128 / 255 - 5]]).double()
    off = [(result.image - source).norm().item() for result in found.values()]
    assert off[0] < off[2]


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.01, float("nan")])
def test_strengths_that_are_none(strength: float) -> None:
    with pytest.raises(MuseError, match=r"strength = .* is not allowed\. Use above 0, to 1\."):
        PartialNoise(strength)


def test_less_than_a_step_and_no_picture_fail_their_job_alone(tmp_path: Path) -> None:
    job = replace(jobs(1)[0], image=picture(tmp_path))
    made = sampler(
        backbone=_PictureToy(), latents=PartialNoise(0.1), steps=20, size=(8, 8), timing=Never()
    )
    wanted = [job, replace(job, id="few", steps=8), replace(job, id="none", image=None)]
    found = make(made, wanted)
    assert found[job.id].failure is None
    assert found["few"].failure == (
        "strength = 0.1 of 8 steps is less than one. Use 0.125 or more, or more steps."
    )
    assert found["none"].failure == (
        "Job 'none' has no picture to start from. Add an 'image' to it."
    )
