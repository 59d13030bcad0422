"""Solvers: diffusers' own steps, the toy's exact path, rows apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
)
from torch import Tensor

from examples.my_solver import AdamsBashforth
from muse.backbones import Backbone, GaussianMixture, load_backbone
from muse.backbones.variance_preserving import scheduler_grid
from muse.core.types import Cond, Denoised, MuseError, Node
from muse.latents import DDIMInversion, GaussianNoise
from muse.schedulers import DDIM, DPMSolver2M, Solver, TimeGrid
from tests.toy import conditions, jobs, make, same, sampler

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SCHEDULERS: dict[str, tuple[Any, Solver]] = {
    "DDIM leading": (DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1), DDIM()),
    "DDIM trailing": (
        DDIMScheduler(**BETAS, clip_sample=False, timestep_spacing="trailing"),
        DDIM(),
    ),
    "DDIM eta 1": (DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1), DDIM(eta=1.0)),
    "Euler": (EulerDiscreteScheduler(**BETAS), DDIM()),
    "DPM-Solver++ 2M": (DPMSolverMultistepScheduler(**BETAS), DPMSolver2M()),
}
SOLVERS = {"DDIM": DDIM(), "eta 1": DDIM(1.0), "2M": DPMSolver2M(), "my own": AdamsBashforth()}


def solved(
    solver: Solver, backbone: Backbone, grid: TimeGrid, x: Tensor, cond: Cond, seed: int = 0
) -> Tensor:
    """The last latent of one row, by ours."""
    state, generator = solver.init(), torch.Generator().manual_seed(seed)
    for i in range(len(grid)):
        denoised = backbone.denoise(x, Node.stack([grid[i]]), cond)
        x, state = solver(denoised, state, grid, i, generator)
    return x


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [10, 20])
@torch.no_grad()
def test_they_are_diffusers(
    tiny_folder: Callable[[str], Path], name: str, prediction: str, steps: int
) -> None:
    family = {"epsilon": "sd", "v_prediction": "sd-v"}[prediction]
    backbone: Any = load_backbone(str(tiny_folder(family)))
    scheduler, solver = SCHEDULERS[name]
    scheduler = type(scheduler).from_config(scheduler.config, prediction_type=prediction)
    grid = scheduler_grid({**scheduler.config, "_class_name": type(scheduler).__name__}, steps)
    cond = backbone.embed(["a dog"], (16, 16))
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    found = solved(solver, backbone, grid, x, cond)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    if isinstance(scheduler, EulerDiscreteScheduler):  # there x is x0 + sigma / alpha noise
        x = x / grid[0].alpha.float()
    for t in scheduler.timesteps:
        shown = scheduler.scale_model_input(x, t)
        output = backbone.model(shown, t, encoder_hidden_states=cond["tokens"]).sample
        options: dict[str, Any] = {}
        if isinstance(solver, DDIM) and solver.eta:
            noise = torch.randn(x.shape, generator=generator)
            options = {"eta": solver.eta, "variance_noise": noise}
        x = scheduler.step(output, t, x, **options).prev_sample
    assert (found - x).norm() <= 1e-5 * x.norm()


def test_second_order_takes_half_the_steps() -> None:
    """At Karras nodes, where DPM-Solver++ is at home: 10 of its steps end nearer to the exact path
    than 20 of DDIM's. (At leading nodes, evenly spaced in time, DDIM's 20 are nearer.)
    """
    backbone, rows = GaussianMixture(), 64
    cond = conditions(backbone, "a walk in the park", rows)
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0)).double()
    karras = DPMSolverMultistepScheduler(**BETAS, use_karras_sigmas=True)
    config = {**karras.config, "_class_name": type(karras).__name__}

    def end(solver: Solver, steps: int) -> Tensor:
        grid, state, at = scheduler_grid(config, steps), solver.init(), x
        for i in range(len(grid)):
            node = Node(*(value.expand(rows) for value in vars(grid[i]).values()))
            denoised = backbone.denoise(at, node, cond)
            at, state = solver(denoised, state, grid, i, torch.Generator())
        return at

    truth = end(DDIM(), 1000)
    second, first = (
        (end(solver, steps) - truth).norm(dim=1).mean().item()
        for solver, steps in ((DPMSolver2M(), 10), (DDIM(), 20))
    )
    print(second, first)
    assert second < 0.9 * first


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("flow", [False, True])
def test_rows_are_apart_bit_for_bit(name: str, flow: bool) -> None:
    made = sampler(flow, steps=10, max_iterations=2, scheduler=SOLVERS[name])
    wanted = jobs(1)
    alone = {job.id: make(made, [job], 1)[job.id] for job in wanted}
    for slots in (3, 8):
        for job_id, result in make(made, wanted[::-1], slots).items():
            assert same(result, alone[job_id])
    assert all(result.path.isfinite().all() for result in alone.values() if result.path is not None)


def test_a_node_that_stands_twice_is_passed() -> None:
    """1,000 leading steps of 1,000 with an offset of 1 are clamped to 999, 999, 998, ..."""
    grid = TimeGrid.vp(1000)
    assert grid[0].timestep == grid[1].timestep
    solver, x = DPMSolver2M(), torch.ones(1, 2).double()
    state = solver.init()
    for i in range(4):
        denoised = Denoised.from_eps(x, 0.5 * x, grid[i].alpha, grid[i].sigma)
        x, state = solver(denoised, state, grid, i, torch.Generator())
        assert x.isfinite().all()


def test_noise_is_the_rows_own_stream() -> None:
    """Not that of x_T, nor that of S: the same start, other steps."""
    [job] = jobs(1)[:1]
    plain, noisy = (make(sampler(steps=8, scheduler=DDIM(eta)), [job])[job.id] for eta in (0, 1))
    assert plain.path is not None
    assert noisy.path is not None
    assert torch.equal(plain.path[0], noisy.path[0])
    assert not torch.equal(plain.path[1], noisy.path[1])
    draws = [torch.randn(4, generator=g()) for g in (job.noise, job.tokens, job.steps_noise)]
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[1], draws[2])


# --- the model's own ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheduler", "wanted"),
    [
        (DDIMScheduler(clip_sample=False), DDIM),
        (DDIMScheduler(), None),  # clips
        (EulerDiscreteScheduler(), DDIM),
        (DPMSolverMultistepScheduler(), DPMSolver2M),
        (DPMSolverMultistepScheduler(solver_order=3), None),
        (DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"), None),
        (PNDMScheduler(), None),
        (DDPMScheduler(), None),
    ],
)
def test_a_pipelines_scheduler_is_taken_over_where_it_is_one_of_ours(
    tiny_folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    scheduler: Any,
    wanted: type[Solver] | None,
) -> None:
    backbone: Any = load_backbone(str(tiny_folder("sd")))
    config = {**scheduler.config, "_class_name": type(scheduler).__name__}
    monkeypatch.setattr(backbone, "scheduler_config", config)
    if wanted is None:
        with pytest.raises(MuseError, match="is none of ours"):
            backbone.solver()
    else:
        assert type(backbone.solver()) is wanted


def test_pipeline_is_a_word_for_the_models_own() -> None:
    assert isinstance(sampler(scheduler="pipeline").solver, DDIM)
    assert isinstance(sampler().solver, DDIM)


def test_an_inversion_refuses_what_it_cannot_undo() -> None:
    for solver, told in ((DDIM(0.5), "DDIM with eta 0.5"), (DPMSolver2M(), "DPMSolver2M")):
        with pytest.raises(MuseError, match=f"undoes DDIM's steps, and the scheduler is {told}"):
            sampler(latents=DDIMInversion(), scheduler=solver)
        sampler(latents=GaussianNoise(), scheduler=solver)
    with pytest.raises(MuseError, match="is out of range"):
        DDIM(1.5)
