"""Stable Diffusion, SDXL and PixArt-alpha against diffusers' own pipelines."""

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
    DDIMInverseScheduler,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PixArtAlphaPipeline,
    PNDMScheduler,
)
from torch import Tensor

from muse.backbones.variance_preserving import scheduler_grid
from muse.core.asks import Row
from muse.core.types import Cond, MuseError, Node
from muse.latents import DDIMInversion, GaussianNoise
from muse.sampling.engine import run
from muse.schedulers import TimeGrid
from tests import tiny
from tests.conformance import BATCH, SINGLE, STEPS, Case, Pair, agree, differ

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CASES = {
    "a batch of four": BATCH,
    "a single one": SINGLE,
    "a negative prompt": Case(prompts=2, negative="ugly"),
    "no unconditional branch": Case(prompts=2, scale=1.0),
    "another aspect ratio": Case(prompts=2, size=(24, 40)),
}


@pytest.fixture(scope="module")
def pairs(tiny_folder: Callable[[str], Path]) -> Callable[[str], Pair]:
    return cache(lambda family: Pair(tiny_folder(family)))


def use(scheduler: Any, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a scheduler into both."""
    config = {**scheduler.config, "_class_name": type(scheduler).__name__}
    monkeypatch.setattr(pair.backbone, "scheduler_config", config)
    monkeypatch.setattr(pair.pipeline, "scheduler", scheduler)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart-1024"])
def test_pictures_are_diffusers_own(pairs: Callable[[str], Pair], family: str, case: str) -> None:
    pair = pairs(family)
    assert agree(pair.ours(CASES[case]), pair.theirs(CASES[case]))


@pytest.mark.parametrize("family", ["sd-v", "sdxl-v", "pixart"])
@pytest.mark.parametrize("case", ["a batch of four", "a single one"])
def test_other_variants_too(pairs: Callable[[str], Pair], family: str, case: str) -> None:
    pair = pairs(family)
    assert agree(pair.ours(CASES[case]), pair.theirs(CASES[case]))


@pytest.mark.parametrize("save", [tiny.save_stable_diffusion, tiny.save_stable_diffusion_xl])
def test_latents_of_odd_sides(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path, levels=4)
    pair = Pair(tmp_path)
    assert pair.backbone.latent_shape((40, 24)) == (4, 5, 3)
    case = Case(prompts=2, size=(40, 24))
    assert agree(pair.ours(case), pair.theirs(case))


def test_what_sdxl_is_told_of_sizes(
    pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pairs("sdxl")
    told: dict[str, Any] = {
        "original_size": (64, 48),
        "crops_coords_top_left": (3, 5),
        "target_size": (32, 30),
    }
    wanted = pair.theirs(SINGLE, **told)
    assert differ(pair.ours(SINGLE), wanted)
    for name, value in told.items():
        monkeypatch.setattr(pair.backbone, name, value)
    assert agree(pair.ours(SINGLE), wanted)


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

    def inverted(grid: TimeGrid) -> Tensor:
        return next(run(iter([DDIMInversion().invert(start, grid, cond)]), answer, 1))[0]

    grid = backbone.time_grid(STEPS, size)
    timesteps = grid.timesteps.clone()
    timesteps[2] += 20
    with torch.no_grad():
        found, spoiled = inverted(grid), inverted(replace(grid, timesteps=timesteps))
        inverse = DDIMInverseScheduler.from_config(
            backbone.scheduler_config, clip_sample=False, set_alpha_to_one=False
        )
        inverse.set_timesteps(STEPS)
        x = start
        for timestep in inverse.timesteps:
            x = inverse.step(output(pair, x, timestep, cond), timestep, x).prev_sample
    assert (found - start).norm() > 0.1 * start.norm()
    print((found - x).abs().max(), (spoiled - x).abs().max())
    torch.testing.assert_close(found, x, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(spoiled, x, atol=1e-5, rtol=1e-5)


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


class ScaledNoise(GaussianNoise):
    """Noise of another deviation than 1."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, *given: Any) -> Row[Tensor]:
        """Scaled."""
        x = yield from super().forward(*given)
        return self.scale * x


@pytest.mark.parametrize("name", SCHEDULERS)
def test_nodes_are_those_of_the_pipelines_scheduler(
    pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    family, scheduler = SCHEDULERS[name]
    pair, case = pairs(family), Case(prompts=2)
    use(scheduler, pair, monkeypatch)
    start = 1.0
    if isinstance(scheduler, EulerDiscreteScheduler):
        # Diffusers starts Euler at sigma_T * noise, an N(0, 1) of ours is a little larger.
        scheduler.set_timesteps(STEPS)
        grid = pair.backbone.time_grid(STEPS, pair.backbone.size)
        sigma = float(grid.sigmas[0] / grid.alphas[0])
        start = float(scheduler.init_noise_sigma) / (1 + sigma**2) ** 0.5
        assert start == pytest.approx(1, abs=3e-3)
    assert agree(pair.ours(case, latents=ScaledNoise(start)), pair.theirs(case))


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


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_shows(
    pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    family, spoil = WRONG[name]
    wanted = pairs(family).single
    spoil(pairs(family).backbone, monkeypatch)
    assert not agree(pairs(family).ours(SINGLE), wanted)
