"""Time grids against diffusers, timing policies against hand-made moments (Eq. 9 and 10)."""

import math
from fractions import Fraction

import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import example, given
from hypothesis import strategies as st

from muse.core.types import Denoised, MuseError
from muse.schedulers import Always, ClipThreshold, Moment, Never, StepWindow, TimeGrid


def diffusers_ddim(steps: int) -> DDIMScheduler:
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        steps_offset=1,
        set_alpha_to_one=False,
        clip_sample=False,
    )
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("steps", [1, 20, 30, 50, 200])
def test_vp_nodes_are_diffusers(steps):
    scheduler, grid = diffusers_ddim(steps), TimeGrid.vp(steps)
    assert len(grid) == steps
    assert grid.timesteps[:-1].tolist() == scheduler.timesteps.tolist()
    assert not grid.timesteps.is_floating_point()
    bar = scheduler.alphas_cumprod.double()
    assert torch.allclose(grid.alphas[:-1] ** 2, bar[grid.timesteps[:-1]], rtol=1e-5)
    assert grid.alphas[-1] ** 2 == pytest.approx(float(scheduler.final_alpha_cumprod), rel=1e-6)
    assert torch.allclose(grid.alphas**2 + grid.sigmas**2, torch.ones(steps + 1).double())


def test_fifty_steps_are_981_to_1_and_end_short_of_clean():
    grid = TimeGrid.vp(50)
    assert grid.timesteps[:-1].tolist() == list(range(981, 0, -20))
    assert grid[50].sigma == pytest.approx(0.00085**0.5, rel=1e-6), "alphas_cumprod[0], not 1"
    assert 0.068 < grid[0].alpha < 0.08, "N(0, I) is not exactly the marginal here"


def test_advance_is_diffusers_step():
    scheduler, grid = diffusers_ddim(50), TimeGrid.vp(50)
    generator = torch.Generator().manual_seed(0)
    for i, timestep in enumerate(scheduler.timesteps):
        x, output = torch.randn(2, 3, 4, generator=generator)
        expected = scheduler.step(output, timestep, x)
        seen = Denoised.from_eps(x, output, grid[i].alpha, grid[i].sigma)
        scale = expected.pred_original_sample.abs().max()
        assert torch.allclose(seen.x0, expected.pred_original_sample, rtol=0, atol=1e-6 * scale)
        assert torch.allclose(grid.advance(seen, i), expected.prev_sample, rtol=0, atol=1e-5)


def test_flow_nodes_by_hand():
    grid = TimeGrid.flow(4)
    assert grid.sigmas.tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert grid.alphas.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert grid.timesteps.tolist() == [1000, 750, 500, 250, 0]
    # shift 3 brings 1/2 to 3/4
    assert TimeGrid.flow(2, shift=3).sigmas.tolist() == [1, 0.75, 0]


@given(st.integers(1, 1000), st.floats(0.2, 12))
@example(steps=1, shift=0.2)
def test_noise_falls_from_node_to_node(steps, shift):
    flow = TimeGrid.flow(steps, shift)
    for grid in (flow, TimeGrid.vp(steps)):
        assert (grid.sigmas.diff() <= 0).all()
        assert (grid.alphas.diff() >= 0).all()
        assert ((grid.timesteps >= 0) & (grid.timesteps <= 1000)).all()
        assert ((grid.alphas >= 0) & (grid.sigmas <= 1)).all()
    assert (flow.sigmas.diff() < 0).all()
    assert TimeGrid.vp(steps).timesteps.max() < 1000, "an index into the training schedule"


@pytest.mark.parametrize("make", [TimeGrid.vp, TimeGrid.flow])
@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_steps_out_of_range(make, steps):
    with pytest.raises(MuseError, match=f"steps = {steps} is not allowed. Use 1 to 1000"):
        make(steps)


def decisions(policy, similarities):
    """What a policy decides at each step, given the similarity where it asks for one."""
    state, made = policy.init(), []
    for step, value in enumerate(similarities):
        looks = policy.needs_similarity(state)
        moment = Moment(step, len(similarities), value if looks else None)
        steer, state = policy(state, moment)
        made.append(steer)
    return made


def test_eq_10_latches_at_the_first_step_at_or_above_eta():
    policy = ClipThreshold(24.0)
    assert decisions(policy, [10.0, 23.9, 24.0, 30.0]) == [False, False, True, True]
    assert decisions(policy, [10.0, 25.0, 3.0, -5.0]) == [False, True, True, True], "no unlatching"
    assert decisions(policy, [10.0, 11.0, 12.0]) == [False] * 3
    assert decisions(policy, [99.0]) == [True]
    assert policy.needs_similarity(False)
    assert not policy.needs_similarity(True)


def test_latest_start_forces_the_latch():
    policy = ClipThreshold(24.0, latest_start=0.4)
    assert decisions(policy, [0.0] * 5) == [False, False, True, True, True]
    assert decisions(policy, [30.0, 0.0, 0.0]) == [True] * 3


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(-100, 100))
def test_a_latch_is_a_running_maximum(similarities, eta):
    highest = [max(similarities[: i + 1]) for i in range(len(similarities))]
    assert decisions(ClipThreshold(eta), similarities) == [value >= eta for value in highest]


def test_fixed_policies():
    assert decisions(Always(), [0.0] * 4) == [True] * 4
    assert decisions(Never(), [100.0] * 4) == [False] * 4
    assert decisions(StepWindow(0.25, 0.75), [0.0] * 4) == [False, True, True, False]
    assert decisions(StepWindow(0.5), [0.0] * 4) == [False, False, True, True]
    assert decisions(StepWindow(), [0.0] * 4) == [True] * 4
    for policy in (Always(), Never(), StepWindow(0.1)):
        assert not policy.needs_similarity(policy.init()), "spares the decoding"


@pytest.mark.parametrize("steps", [1, 12, 28, 50, 100, 1000])
def test_a_share_means_the_first_step_at_or_past_it(steps):
    """To the step, for every hundredth: i / n and what was typed are rounded alike."""
    for hundredth in range(100):
        share = float(f"0.{hundredth:02}")
        first = math.ceil(Fraction(hundredth, 100) * steps)
        expected = [step >= first for step in range(steps)]
        assert decisions(StepWindow(share), [0.0] * steps) == expected
        assert decisions(ClipThreshold(1.0, latest_start=share), [0.0] * steps) == expected
        if hundredth:
            assert decisions(StepWindow(stop=share), [0.0] * steps) == [not e for e in expected]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ClipThreshold(101), "eta = 101 is out of range. Use -100 to 100"),
        (lambda: ClipThreshold(float("nan")), "out of range"),
        (lambda: ClipThreshold(20, latest_start=6),
         "latest_start = 6 is not allowed. Use a share of the steps, from 0 to below 1 (step 5 of"),
        (lambda: ClipThreshold(20, latest_start=-0.1), "latest_start = -0.1"),
        (lambda: ClipThreshold(20, latest_start=1), "latest_start = 1"),
        (lambda: ClipThreshold(20, latest_start=float("nan")), "latest_start = nan"),
        (lambda: ClipThreshold(20, look_ahead=-1), "look_ahead = -1"),
        (lambda: StepWindow(5), "StepWindow from 5 to 1 is not allowed. Use shares of the steps"),
        (lambda: StepWindow(0, 30), "0 <= start < stop <= 1: step 5 of 50 is 0.1."),
        (lambda: StepWindow(-0.1), "0 <= start < stop"),
        (lambda: StepWindow(0.3, 0.3), "0 <= start < stop"),
    ],
)  # fmt: skip
def test_bad_settings_are_told_in_one_line(make, says):
    with pytest.raises(MuseError) as caught:
        make()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
