"""Stable Diffusion, SDXL and PixArt-alpha against diffusers' own pipelines: the same latents, steps
and guidance make the same pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from diffusers import (
    DDIMInverseScheduler,
    DDIMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PixArtAlphaPipeline,
    PNDMScheduler,
    StableDiffusionXLPipeline,
)
from torch import Tensor

from muse.backbones import PipelineBackbone, load_backbone
from muse.backbones.variance_preserving import scheduler_grid
from muse.engine import run
from muse.guides import ConvNet
from muse.jobs import Job
from muse.latents import DDIMInversion, GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampler import Sampler
from muse.schedulers import Never, TimeGrid
from muse.steering import NoSteering
from muse.types import Cond, MuseError, Node
from tests import tiny

STEPS = 5
PROMPTS = ["a dog", "b", "a cat in a hat", "fear"]
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PICTURES = 1e-4
"""Largest difference of pictures in [0, 1]."""
LATENTS = 1e-5
"""Largest relative difference of final latents."""


class Pair:
    """A backbone, and diffusers' pipeline from the same folder."""

    def __init__(self, folder: Path) -> None:
        self.backbone: PipelineBackbone = load_backbone(str(folder))
        self.pipeline: Any = DiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
        self.pipeline.set_progress_bar_config(disable=True)

    def use(self, scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put a scheduler into both."""
        config = {**scheduler.config, "_class_name": type(scheduler).__name__}
        monkeypatch.setattr(self.backbone, "scheduler_config", config)
        monkeypatch.setattr(self.pipeline, "scheduler", scheduler)

    def ours(
        self, *, prompts: int, scale: float, negative: str, size: Any
    ) -> tuple[Tensor, Tensor]:
        """Final latents, and pictures clamped to [0, 1], by muse's sampler."""
        latents: dict[str, Tensor] = {}

        def keep(job: Job, step: int, x: Tensor) -> Tensor:
            latents[job.id] = x
            return x

        made = Sampler(
            self.backbone, ConvNet(width=8), NoSteering(), Never(), MultiEmotionLoss(),
            GaussianNoise(), steps=STEPS, guidance_scale=scale, negative_prompt=negative, size=size,
        )  # fmt: skip
        found = list(made.sample(jobs(prompts), slots=prompts, step_end=keep))
        assert [result.failure for result in found] == [None] * prompts
        pictures: list[Any] = [result.image for result in found]
        return torch.cat(list(latents.values())), torch.cat(pictures).clamp(0, 1)

    def theirs(
        self, *, prompts: int, scale: float, negative: str, size: Any, **options: Any
    ) -> tuple[Tensor, Tensor]:
        """The same, by diffusers' pipeline."""
        height, width = size
        shape = self.backbone.latent_shape(size)
        noise = torch.cat([torch.randn(1, *shape, generator=job.noise()) for job in jobs(prompts)])
        if isinstance(self.pipeline, PixArtAlphaPipeline):
            options |= {"clean_caption": False, "use_resolution_binning": False}
        if isinstance(self.pipeline, StableDiffusionXLPipeline) and not negative:
            told = None  # for diffusers a negative prompt of "" is given, and isn't zeroed
        else:
            told = [negative] * prompts
        vae = self.pipeline.vae
        with mock.patch.object(vae, "decode", wraps=vae.decode) as decode:
            pictures = self.pipeline(
                PROMPTS[:prompts], negative_prompt=told, latents=noise, height=height, width=width,
                num_inference_steps=STEPS, guidance_scale=scale, output_type="pt", **options,
            ).images  # fmt: skip
        return decode.call_args.args[0] * vae.config.scaling_factor, pictures


def jobs(count: int) -> list[Job]:
    """Plain jobs: nothing steers them."""
    return [Job(str(i), prompt, None, i) for i, prompt in enumerate(PROMPTS[:count])]


def differences(found: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Of latents, relative, and of pictures, the largest."""
    latents = (found[0] - wanted[0]).norm() / wanted[0].norm()
    pictures = (found[1] - wanted[1]).abs().max()
    print(f"latents {latents:.1e}, pictures {pictures:.1e}")
    return float(latents), float(pictures)


def agree(found: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> bool:
    """Whether latents and pictures are within their bars; empty pictures don't count."""
    assert wanted[1].std() > 0.01
    latents, pictures = differences(found, wanted)
    return latents <= LATENTS and pictures <= PICTURES


@pytest.fixture(scope="module")
def pairs(tiny_folder: Callable[[str], Path]) -> Callable[[str], Pair]:
    made: dict[str, Pair] = {}
    return lambda family: made.get(family) or made.setdefault(family, Pair(tiny_folder(family)))


BATCH: dict[str, Any] = {"prompts": 4, "scale": 7.5, "negative": "", "size": (16, 16)}
CASES: dict[str, dict[str, Any]] = {
    "a batch of four": BATCH,
    "a single one": {**BATCH, "prompts": 1},
    "a negative prompt": {**BATCH, "prompts": 2, "negative": "ugly"},
    "no unconditional branch": {**BATCH, "prompts": 2, "scale": 1.0},
    "another aspect ratio": {**BATCH, "prompts": 2, "size": (24, 40)},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart-1024"])
def test_pictures_are_diffusers_own(pairs: Callable[[str], Pair], family: str, case: str) -> None:
    pair = pairs(family)
    assert agree(pair.ours(**CASES[case]), pair.theirs(**CASES[case]))


@pytest.mark.parametrize("family", ["sd-v", "sdxl-v", "pixart"])
def test_other_variants_too(pairs: Callable[[str], Pair], family: str) -> None:
    pair = pairs(family)
    assert agree(pair.ours(**BATCH), pair.theirs(**BATCH))


@pytest.mark.parametrize("save", [tiny.save_stable_diffusion, tiny.save_stable_diffusion_xl])
def test_latents_of_odd_sides(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path, levels=4)
    pair = Pair(tmp_path)
    assert pair.backbone.latent_shape((40, 24)) == (4, 5, 3)
    case = {**BATCH, "prompts": 2, "size": (40, 24)}
    assert agree(pair.ours(**case), pair.theirs(**case))


def test_what_sdxl_is_told_of_sizes(
    pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, case = pairs("sdxl"), {**BATCH, "prompts": 1}
    told: dict[str, Any] = {
        "original_size": (64, 48),
        "crops_coords_top_left": (3, 5),
        "target_size": (32, 30),
    }
    wanted = pair.theirs(**case, **told)
    assert not agree(pair.ours(**case), wanted)
    for name, value in told.items():
        monkeypatch.setattr(pair.backbone, name, value)
    assert agree(pair.ours(**case), wanted)


# --- inversion ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["sd", "sd-v", "sdxl", "sdxl-v", "pixart", "pixart-1024"])
def test_inversion_is_diffusers_inverse_scheduler(
    pairs: Callable[[str], Pair], family: str
) -> None:
    pair, size = pairs(family), (16, 24)
    backbone = pair.backbone
    cond = backbone.embed(["a dog"], size)
    start = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(3))

    def answer(asks: list[Any]) -> list[Any]:
        return [backbone.denoise(a.x, Node.stack([a.node]), a.cond) for a in asks]

    with torch.no_grad():
        row = DDIMInversion().invert(start, backbone.time_grid(STEPS, size), cond)
        found = next(run(iter([row]), answer, 1))
        inverse = DDIMInverseScheduler.from_config(
            backbone.scheduler_config, clip_sample=False, set_alpha_to_one=False
        )
        inverse.set_timesteps(STEPS)
        x = start
        for timestep in inverse.timesteps:
            x = inverse.step(output(pair, x, timestep, cond), timestep, x).prev_sample
    assert (found - start).norm() > 0.1 * start.norm()
    torch.testing.assert_close(found, x, atol=1e-4, rtol=1e-4)


def output(pair: Pair, x: Tensor, timestep: Tensor, cond: Cond) -> Tensor:
    """What the pipeline's own denoiser says, eps or v."""
    rest = {name: value for name, value in cond.items() if name not in ("tokens", "mask")}
    if "pooled" in rest:
        rest["text_embeds"] = rest.pop("pooled")
    if isinstance(pair.pipeline, PixArtAlphaPipeline):
        told = {name: rest.get(name) for name in ("resolution", "aspect_ratio")}
        made: Tensor = pair.pipeline.transformer(
            x, cond["tokens"], timestep[None], told, encoder_attention_mask=cond["mask"]
        ).sample
        return made.chunk(2, dim=1)[0]
    made = pair.pipeline.unet(x, timestep, cond["tokens"], added_cond_kwargs=rest).sample
    return made


# --- schedulers ---------------------------------------------------------------------------------


def euler(**options: Any) -> EulerDiscreteScheduler:
    """The one that SDXL's hub folder brings, or a variant."""
    return EulerDiscreteScheduler(
        **{**BETAS, "timestep_spacing": "leading", "steps_offset": 1, **options}
    )


SCHEDULERS: dict[str, tuple[str, Any]] = {
    "Euler": ("sdxl", euler()),
    "Euler, Karras": ("sdxl", euler(use_karras_sigmas=True)),
    "Euler, trailing": ("sdxl", euler(timestep_spacing="trailing")),
    "Euler, linspace": ("sd", euler(timestep_spacing="linspace")),
    "Euler, to the least noise": ("sdxl", euler(final_sigmas_type="sigma_min")),
    "Euler, v": ("sdxl-v", euler(prediction_type="v_prediction")),
    "DDIM, trailing": (
        "sd", DDIMScheduler(**BETAS, clip_sample=False, timestep_spacing="trailing")
    ),
    "DDIM, v from pure noise": (
        "sd-v",
        DDIMScheduler(
            **BETAS, clip_sample=False, timestep_spacing="trailing", rescale_betas_zero_snr=True,
            prediction_type="v_prediction",
        ),
    ),
    "DPM-Solver++, first order": (
        "pixart",
        DPMSolverMultistepScheduler(solver_order=1, beta_start=0.0001, beta_end=0.02),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULERS)
def test_nodes_are_those_of_the_pipelines_scheduler(
    pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    family, scheduler = SCHEDULERS[name]
    pair, case = pairs(family), {**BATCH, "prompts": 2}
    pair.use(scheduler, monkeypatch)
    scheduler.set_timesteps(STEPS)
    grid = pair.backbone.time_grid(STEPS, pair.backbone.size)
    # Diffusers starts Euler at sigma_T * noise, an N(0, 1) of ours is a little larger.
    sigma = float(grid.sigmas[0] / grid.alphas[0]) if grid.alphas[0] else 1.0
    if isinstance(scheduler, EulerDiscreteScheduler):
        start = float(scheduler.init_noise_sigma) / (1 + sigma**2) ** 0.5
        monkeypatch.setattr(
            "muse.latents.noise.torch.randn",
            lambda *shape, randn=torch.randn, **options: start * randn(*shape, **options),
        )
        ours = pair.ours(**case)
        monkeypatch.undo()
        pair.use(scheduler, monkeypatch)
        assert start == pytest.approx(1, abs=3e-3)
    else:
        ours = pair.ours(**case)
    assert agree(ours, pair.theirs(**case))


def test_pndm_configs_give_stable_diffusions_ddim_nodes() -> None:
    hub = PNDMScheduler(**BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1)
    grid = scheduler_grid({**hub.config, "_class_name": "PNDMScheduler"}, 50)
    assert grid.timesteps.tolist() == [*range(981, 0, -20), 1]
    torch.testing.assert_close(grid.alphas, TimeGrid.vp(50).alphas, atol=1e-6, rtol=0)
    assert scheduler_grid({**hub.config, "_class_name": "PNDMScheduler"}, 1000).timesteps[0] == 999


def test_uneven_spacing_leads_from_node_to_node() -> None:
    config = {**BETAS, "timestep_spacing": "linspace", "_class_name": "DDIMScheduler"}
    grid = scheduler_grid(config, 7)
    assert grid.timesteps[:-1].tolist() == [999, 832, 666, 500, 333, 166, 0]
    assert grid.alphas[-1] == 1


def test_schedulers_of_other_kinds_are_refused(
    pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MuseError, match="scheduler is a LCMScheduler, whose nodes are unknown"):
        scheduler_grid({"_class_name": "LCMScheduler"}, 4)
    backbone = pairs("sd").backbone
    for key, value in (("rescale_betas_zero_snr", True), ("timestep_spacing", "trailing")):
        monkeypatch.setitem(backbone.scheduler_config, key, value)
    with pytest.raises(MuseError, match="schedule ends in pure noise"):
        backbone.time_grid(STEPS, backbone.size)


# --- what is wrong shows ------------------------------------------------------------------------


def config(key: str, value: Any) -> Callable[..., None]:
    """Another value in the scheduler's config."""
    return lambda backbone, patch: patch.setitem(backbone.scheduler_config, key, value)


def scale_and_shift(scale: float, shift: float) -> Callable[..., None]:
    """Others for the latents."""

    def put(backbone: Any, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(type(backbone), "scale_and_shift", (scale, shift))

    return put


def embedding(change: Callable[[dict[str, Tensor]], Any]) -> Callable[..., None]:
    """Another condition."""

    def put(backbone: Any, patch: pytest.MonkeyPatch) -> None:
        embed = backbone.embed

        def changed(*words: Any, **options: Any) -> dict[str, Tensor]:
            cond = embed(*words, **options)
            return {**cond, **change(cond)}

        patch.setattr(backbone, "embed", changed)

    return put


WRONG: dict[str, tuple[str, Callable[..., None]]] = {
    "final alpha": ("sd", config("set_alpha_to_one", True)),
    "offset": ("sd", config("steps_offset", 0)),
    "spacing": ("sdxl", config("timestep_spacing", "trailing")),
    "betas": ("pixart", config("beta_schedule", "linear")),
    "scaling factor": ("sd", scale_and_shift(0.69, 0.0)),
    "shift": ("sdxl", scale_and_shift(0.7, 0.01)),
    "prediction type": ("sd-v", lambda b, patch: patch.setattr(b, "prediction_type", "epsilon")),
    "crop": ("sdxl", lambda b, patch: patch.setattr(b, "crops_coords_top_left", (1, 0))),
    "pooled": ("sdxl", embedding(lambda cond: {"pooled": 1.01 * cond["pooled"]})),
    "empty negative": ("sdxl", lambda b, patch: patch.setattr(
        type(b.pipeline), "config", mock.Mock(force_zeros_for_empty_prompt=False))),
    "mask": ("pixart", embedding(lambda cond: {"mask": torch.ones_like(cond["mask"])})),
    "resolution": (
        "pixart-1024", embedding(lambda cond: {"resolution": 1 + cond["resolution"]})
    ),
    "aspect ratio": (
        "pixart-1024", embedding(lambda cond: {"aspect_ratio": 1.1 * cond["aspect_ratio"]})
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def wanted(pairs: Callable[[str], Pair]) -> Callable[[str], tuple[Tensor, Tensor]]:
    made: dict[str, tuple[Tensor, Tensor]] = {}
    case = {**BATCH, "prompts": 1}
    return lambda name: made.get(name) or made.setdefault(name, pairs(name).theirs(**case))


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_shows(
    pairs: Callable[[str], Pair],
    wanted: Callable[[str], tuple[Tensor, Tensor]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    family, spoil = WRONG[name]
    right = wanted(family)
    spoil(pairs(family).backbone, monkeypatch)
    assert not agree(pairs(family).ours(**{**BATCH, "prompts": 1}), right)
