"""Eq. 7 and the DDIM step by hand, the four parameterisations, guidance, and rows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muse.core.types import Denoised, Guidance, MuseError, Node, cat_rows, mix, per_row, split_rows

SEEDS = st.integers(0, 2**31 - 1)


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x0, eps (5, 3, 2) and an angle (5,) well inside (0, pi/2)."""
    generator = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, 5, 3, 2, generator=generator, dtype=torch.float64)
    return x0, eps, 0.1 + 1.3 * torch.rand(5, generator=generator, dtype=torch.float64)


def close(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.allclose(first, second, rtol=0, atol=1e-12)


def test_eq_7_by_hand():
    # alpha_bar = 0.64: x0 = (x - 0.6 eps) / 0.8
    x, eps = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.5]])
    seen = Denoised.from_eps(x, eps, torch.tensor(0.8), torch.tensor(0.6))
    assert seen.x0.tolist() == [[pytest.approx(1.75), pytest.approx(-1.625)]]
    assert torch.equal(seen.eps, eps)
    # DDIM to alpha_bar = 0.96: sqrt(0.96) x0 + 0.2 eps
    moved = seen.at(torch.tensor(0.96**0.5), torch.tensor(0.2))
    assert moved.tolist() == [[pytest.approx(1.914643), pytest.approx(-1.492168)]]


def test_each_parameterisation_by_hand():
    x, output = torch.tensor([[2.0]]), torch.tensor([[1.0]])
    a, s = torch.tensor(0.8), torch.tensor(0.6)
    v = Denoised.from_v(x, output, a, s)
    assert (v.x0.item(), v.eps.item()) == (pytest.approx(1.0), pytest.approx(2.0))
    flow = Denoised.from_flow(x, output, torch.tensor(0.75), torch.tensor(0.25))
    assert (flow.x0.item(), flow.eps.item()) == (pytest.approx(1.75), pytest.approx(2.75))
    x0 = Denoised.from_x0(x, output, a, s)
    assert (x0.x0.item(), x0.eps.item()) == (pytest.approx(1.0), pytest.approx(2.0))


@given(SEEDS)
def test_variance_preserving_parameterisations_agree(seed):
    x0, eps, angle = drawn(seed)
    alpha, sigma = angle.cos(), angle.sin()
    a, s = per_row(alpha, x0), per_row(sigma, x0)
    x = a * x0 + s * eps
    for seen in (
        Denoised.from_eps(x, eps, alpha, sigma),
        Denoised.from_v(x, a * eps - s * x0, alpha, sigma),
        Denoised.from_x0(x, x0, alpha, sigma),
    ):
        assert close(seen.x0, x0)
        assert close(seen.eps, eps)
        assert close(seen.at(alpha, sigma), x)


@given(SEEDS)
def test_flow_parameterisations_agree(seed):
    x0, eps, angle = drawn(seed)
    sigma = angle / 2
    alpha = 1 - sigma
    x = per_row(alpha, x0) * x0 + per_row(sigma, x0) * eps
    for seen in (
        Denoised.from_eps(x, eps, alpha, sigma),
        Denoised.from_flow(x, eps - x0, alpha, sigma),
        Denoised.from_x0(x, x0, alpha, sigma),
    ):
        assert close(seen.x0, x0)
        assert close(seen.eps, eps)
        assert close(seen.at(alpha, sigma), x)


@given(SEEDS)
def test_the_identity_holds_whatever_a_model_answers(seed):
    x, output, angle = drawn(seed)
    alpha, sigma = angle.cos(), angle.sin()
    for make in (Denoised.from_eps, Denoised.from_v, Denoised.from_x0):
        assert close(make(x, output, alpha, sigma).at(alpha, sigma), x)
    assert close(Denoised.from_flow(x, output, 1 - sigma, sigma).at(1 - sigma, sigma), x)


@given(SEEDS)
def test_at_is_the_ddim_step_and_the_euler_step(seed):
    x, output, angle = drawn(seed)
    alpha, sigma = angle.cos(), angle.sin()
    bar, bar_next = per_row(alpha**2, x), per_row((angle / 2).cos() ** 2, x)
    # Song et al. 2021, Eq. 12 with eta = 0
    ddim = bar_next.sqrt() * (x - (1 - bar).sqrt() * output) / bar.sqrt()
    ddim = ddim + (1 - bar_next).sqrt() * output
    moved = Denoised.from_eps(x, output, alpha, sigma).at((angle / 2).cos(), (angle / 2).sin())
    assert close(moved, ddim)
    time, time_next = angle / 2, angle / 3
    euler = x + per_row(time_next - time, x) * output
    assert close(Denoised.from_flow(x, output, 1 - time, time).at(1 - time_next, time_next), euler)


@given(SEEDS, st.floats(-2, 10))
def test_guidance_keeps_the_identity_and_its_two_fixed_cases(seed, scale):
    x, output, angle = drawn(seed)
    alpha, sigma = angle.cos(), angle.sin()
    first = Denoised.from_eps(x, output, alpha, sigma)
    second = Denoised.from_eps(x, output.flip(0), alpha, sigma)
    guided = mix(first, second, scale)
    assert torch.allclose(guided.at(alpha, sigma), x, rtol=0, atol=1e-10)
    # the paper's Eq. 6: (1 + omega) c - omega u with omega = scale - 1
    paper = scale * first.eps - (scale - 1) * second.eps
    assert torch.allclose(guided.eps, paper, rtol=0, atol=1e-11)
    assert close(mix(first, second, 1.0).eps, first.eps)
    assert torch.equal(mix(first, second, 0.0).x0, second.x0)
    assert mix(first, None, scale) is first


@given(st.integers(1, 6))
def test_split_undoes_cat(count):
    rows = [{"a": torch.full((1, 2), float(i)), "b": torch.tensor([i])} for i in range(count)]
    for before, after in zip(rows, split_rows(cat_rows(rows), count), strict=True):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert split_rows(cat_rows([{}] * count), count) == [{}] * count


def test_stacked_nodes_keep_integer_timesteps():
    nodes = [Node(torch.tensor(t), torch.tensor(0.6), torch.tensor(0.8)) for t in (981, 1)]
    stacked = Node.stack(nodes)
    assert stacked.timestep.tolist() == [981, 1]
    assert stacked.timestep.dtype == torch.int64
    assert stacked.alpha.shape == stacked.sigma.shape == (2,)


def test_a_guided_mix_without_its_unconditional_part_is_refused() -> None:
    """It would be an unguided one, silently."""
    one = Denoised(torch.zeros(1, 2), torch.ones(1, 2))
    assert Guidance(1.0).mixed(one, None) is one
    with pytest.raises(MuseError, match=r"A guidance scale of 7\.5 mixes with .*`Step\.guided`"):
        Guidance(7.5).mixed(one, None)
