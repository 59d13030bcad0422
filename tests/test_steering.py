"""Token optimisation: where it starts, and its Adam against torch's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muse.backbones import GaussianMixture
from muse.core.types import MuseError
from muse.steering import Polyak, TokenOptimization
from tests.toy import SIZE

LOSS = torch.ones(1)
SEEDS = st.integers(0, 2**31 - 1)


def begun(steering, dtype=torch.float64, seed=0, size=1.0):
    """A condition (1, 6, 16) of known RMS, and the state that steering begins with."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(1, 6, 16, generator=generator)
    tokens = size * tokens / tokens.square().mean().sqrt()
    cond = {"tokens": tokens.to(dtype)}
    return cond, steering.init(torch.zeros(1, 2), cond, generator)


def test_the_start_is_random_in_units_of_the_condition():
    steering = TokenOptimization(tokens=500, scale=0.1)
    for size in (1.0, 30.0):
        _, state = begun(steering, size=size)
        assert state["tokens"].shape == (1, 500, 16)
        assert state["unit"].item() == pytest.approx(size, rel=1e-6)
        assert (state["tokens"].std() / size).item() == pytest.approx(0.1, rel=0.03)
        assert not state["mean"].any()
        assert not state["square"].any()


def test_the_start_is_the_streams_own():
    steering = TokenOptimization()
    first, second, other = (begun(steering, seed=seed)[1]["tokens"] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ],
)
def test_the_state_is_never_below_float32(given_, kept):
    steering = TokenOptimization()
    _, state = begun(steering, dtype=given_)
    slope = {"tokens": torch.ones_like(state["tokens"])}
    new = steering.step(state, slope, LOSS, torch.tensor([0]), torch.tensor([0]))
    assert {value.dtype for value in (*state.values(), *new.values())} == {kept}


@given(SEEDS, st.integers(0, 120), st.floats(0.01, 100.0))
def test_adam_is_torchs_with_the_papers_rate(seed, i, size):
    """On S / unit, lr = 0.01 (1 - i / 100) at least 0, the same over all iterations of a step."""
    steering = TokenOptimization(lr=0.01)
    _, state = begun(steering, seed=seed, size=size)
    unit = state["unit"]
    u = (state["tokens"] / unit).clone().requires_grad_()
    adam = torch.optim.Adam([u], lr=0.01 * max(0.0, 1 - i / 100))
    generator = torch.Generator().manual_seed(seed)
    for k in range(6):
        slope = torch.randn(u.shape, generator=generator).to(u)
        u.grad = slope * unit
        adam.step()
        state = steering.step(state, {"tokens": slope}, LOSS, torch.tensor([i]), torch.tensor([k]))
        assert torch.allclose(state["tokens"] / unit, u, rtol=0, atol=1e-12)


def test_the_first_step_by_hand():
    # Adam's first step is lr * sign(gradient): 0.01 * (1 - 20 / 100) * unit
    steering = TokenOptimization(lr=0.01)
    _, state = begun(steering, size=3.0)
    slope = {"tokens": torch.full_like(state["tokens"], -7.0)}
    new = steering.step(state, slope, LOSS, torch.tensor([20]), torch.tensor([0]))
    moved = new["tokens"] - state["tokens"]
    assert torch.allclose(moved, torch.full_like(moved, 0.008 * 3), rtol=1e-6)


def test_the_rate_falls_over_steps_or_iterations_and_never_below_zero():
    moved = {}
    for over in ("step", "iteration"):
        steering = TokenOptimization(lr=0.01, decay_over=over)
        _, state = begun(steering)
        state = {**state, "mean": torch.ones_like(state["mean"]), "square": state["square"] + 1}
        slope = {"tokens": torch.ones_like(state["tokens"])}
        for i, k in ((0, 50), (50, 50), (50, 0), (200, 50), (50, 200)):
            new = steering.step(state, slope, LOSS, torch.tensor([i]), torch.tensor([k]))
            moved[over, i, k] = (state["tokens"] - new["tokens"]).mean().item()
    assert moved["step", 50, 50] == pytest.approx(moved["step", 0, 50] / 2)
    assert moved["iteration", 0, 50] == pytest.approx(moved["iteration", 50, 50])
    assert moved["step", 200, 50] == moved["iteration", 50, 200] == 0
    assert moved["step", 50, 0] > 0
    assert moved["iteration", 50, 0] == pytest.approx(0.01, rel=1e-6)


def test_moments_start_anew_at_the_first_iteration():
    steering = TokenOptimization()
    _, state = begun(steering)
    slope = {"tokens": torch.ones_like(state["tokens"])}
    dirty = {**state, "mean": state["mean"] + 9, "square": state["square"] + 9}
    at = torch.tensor([4])
    fresh = steering.step(state, slope, LOSS, at, torch.tensor([0]))
    again = steering.step(dirty, slope, LOSS, at, torch.tensor([0]))
    later = steering.step(dirty, slope, LOSS, at, torch.tensor([1]))
    assert all(torch.equal(fresh[name], again[name]) for name in fresh)
    assert not torch.equal(fresh["tokens"], later["tokens"])


def test_tokens_stand_behind_the_prompt_and_nothing_is_padded():
    backbone = GaussianMixture()
    cond = backbone.embed(["a park"], SIZE)
    steering = TokenOptimization(tokens=3)
    x = torch.ones(1, 2).double()
    state = steering.init(x, cond, torch.Generator().manual_seed(0))
    shown, extended = steering.inject(backbone, x, cond, state)
    assert shown is x
    assert cond["tokens"].shape == (1, 8, 13)
    assert torch.equal(extended["tokens"][:, :8], cond["tokens"])
    assert torch.equal(extended["tokens"][:, 8:], state["tokens"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tokens": 0}, "tokens = 0 is not allowed"),
        ({"scale": 0.0}, "scale = 0 is not allowed"),
        ({"lr": -0.1}, "lr = -0.1 is not allowed"),
        ({"lr": float("nan")}, "lr = nan is not allowed"),
        ({"lr": 0.2, "rule": Polyak()}, r"lr = 0\.2 is Adam's, and the rule is Polyak\. Set steer"),
        ({"decay_over": "iteration", "rule": Polyak()}, "or steering.decay_over to step"),
    ],
)
def test_bad_settings_are_told(options, says):
    with pytest.raises(MuseError, match=says):
        TokenOptimization(**options)
