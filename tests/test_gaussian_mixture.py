"""The exact toy: its predictions against autograd of its density, and its samples against its
moments."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muse.backbones import BayesGuide, GaussianMixture, PlaceSimilarity
from muse.backbones.toy.mixture import CONTENTS, INHERENT, SCALE
from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError, Node
from muse.schedulers import TimeGrid
from tests.toy import SIZE, at, conditions, sample_plain

SEEDS = st.integers(0, 2**31 - 1)
KINDS = [(dimension, flow) for dimension in (2, 6) for flow in (False, True)]


def scene(dimension, flow, seed, rows=16):
    """Random points at random nodes, under prompts with random tokens appended."""
    backbone = GaussianMixture(dimension, flow)
    generator = torch.Generator().manual_seed(seed)
    names = list(CONTENTS)
    prompts = [names[i % 4] for i in range(rows)]
    tokens = torch.randn(rows, 3, 13, generator=generator, dtype=torch.float64)
    cond = backbone.extend(backbone.embed(prompts, SIZE), 0.3 * tokens)
    grid = backbone.time_grid(1000, SIZE)
    index = torch.randint(1, len(grid), (rows,), generator=generator)
    node = Node(grid.timesteps[index], grid.alphas[index], grid.sigmas[index])
    x = 3 * torch.randn(rows, dimension, generator=generator, dtype=torch.float64)
    return backbone, x, node, cond


@pytest.mark.parametrize(("dimension", "flow"), KINDS)
@given(SEEDS)
def test_eps_is_the_score(dimension, flow, seed):
    backbone, x, node, cond = scene(dimension, flow, seed)
    x.requires_grad_()
    [score] = torch.autograd.grad(backbone.log_density(x, node, cond).sum(), x)
    eps = backbone.denoise(x, node, cond).eps
    assert torch.allclose(eps, -node.sigma[:, None] * score, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("dimension", "flow"), KINDS)
@given(SEEDS)
def test_x0_and_eps_make_x(dimension, flow, seed):
    backbone, x, node, cond = scene(dimension, flow, seed)
    seen = backbone.denoise(x, node, cond)
    assert torch.allclose(seen.at(node.alpha, node.sigma), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("flow", [False, True])
def test_the_density_integrates_to_one(flow):
    backbone = GaussianMixture(2, flow)
    node = backbone.time_grid(50, SIZE)[30]
    axis = torch.linspace(-9, 9, 361, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    cond = conditions(backbone, "fair", len(points))
    total = backbone.log_density(points, at(node, len(points)), cond).exp().sum() * 0.05**2
    assert total.item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dimension", [2, 6])
def test_finite_at_both_ends(dimension):
    backbone = GaussianMixture(dimension, flow=True)
    grid = backbone.time_grid(50, SIZE)
    cond = conditions(backbone, "park", 5)
    x = torch.linspace(-4, 4, 5 * dimension, dtype=torch.float64).view(5, dimension)
    noise, clean = (backbone.denoise(x, at(grid[i], 5), cond) for i in (0, 50))
    assert grid[0].alpha == 0
    assert grid[50].sigma == 0
    prior_mean = (backbone.log_weights(cond).exp()[..., None] * backbone.means).sum(1)
    assert torch.allclose(noise.eps, x)
    assert torch.allclose(noise.x0, prior_mean)
    assert torch.allclose(clean.x0, x)
    assert torch.equal(clean.eps, torch.zeros_like(x))


def test_the_table_of_components():
    backbone = GaussianMixture()
    distances = torch.cdist(backbone.means, backbone.means)
    assert distances[~torch.eye(32, dtype=torch.bool)].min() > 2.5 * SCALE
    weights = backbone.log_weights(backbone.embed(list(CONTENTS), SIZE)).exp()
    weights = weights.unflatten(1, (4, 8))
    assert torch.allclose(weights.sum((1, 2)), torch.ones(4).double())
    for row, inherent in enumerate(CONTENTS.values()):
        assert weights[row, row].sum() > 0.99, "a prompt names its place"
        shares = weights[row, row] / weights[row, row].sum()
        assert shares[EMOTIONS.index(inherent)] == pytest.approx(INHERENT)
        assert shares.min().item() == pytest.approx((1 - INHERENT) / 7)
    anywhere = backbone.log_weights(backbone.embed([""], SIZE, negative=True)).exp()
    assert torch.allclose(anywhere.unflatten(1, (4, 8)).sum(2), torch.full((1, 4), 0.25).double())


@pytest.mark.parametrize("dimension", [2, 6])
def test_the_posterior_and_the_guide_by_hand(dimension):
    backbone, guide = GaussianMixture(dimension), BayesGuide(dimension)
    p = backbone.posterior(backbone.means)
    assert torch.equal(p.flatten(1).argmax(1), torch.arange(32))
    # between two components the odds are even, and one standard deviation off they are
    # exp((d_second^2 - d_first^2) / 2 s^2)
    first, second = backbone.means[0], backbone.means[2]
    middle = backbone.posterior((first + second)[None] / 2)[0, 0]
    assert middle[0].item() == pytest.approx(middle[2].item())
    step = SCALE * (second - first) / (second - first).norm()
    apart = (second - first).norm()
    odds = backbone.posterior((first + step)[None]).flatten(1)[0]
    by_hand = ((apart - SCALE) ** 2 - SCALE**2) / (2 * SCALE**2)
    assert (odds[0] / odds[2]).log().item() == pytest.approx(by_hand.item(), rel=1e-9)
    x = torch.randn(20, dimension, generator=torch.Generator().manual_seed(0)).double() * 3
    assert torch.allclose(guide(x).softmax(-1), backbone.posterior(x).sum(1), rtol=1e-9)


def test_the_similarity_by_hand():
    backbone, similarity = GaussianMixture(), PlaceSimilarity()
    nowhere = torch.tensor([[1e3, 1e3]]).double()
    assert similarity(nowhere, ["a park"]).item() == pytest.approx(0, abs=1e-6)
    x = backbone.means[:1]  # the park's amusement
    g = (-((x - backbone.means) ** 2).sum(-1) / (2 * (0.25**2 + 0.6**2))).exp()
    for i, name in enumerate(CONTENTS):
        by_hand = 100 * g[8 * i : 8 * i + 8].sum() / (g.sum() + 0.5)
        assert similarity(x, [f"a {name}"]).item() == pytest.approx(by_hand.item())
    assert similarity(x, ["a park"]).item() > 60


def test_tokens_can_move_emotion_and_place():
    """Appended tokens draw attention away from the prompt: they steer, and can do harm."""
    backbone = GaussianMixture()
    cond = backbone.embed(["park"], SIZE)
    basis = backbone.tokens
    anger = basis[0] + 2 * basis[5 + EMOTIONS.index("anger")]
    steered = backbone.log_weights(backbone.extend(cond, anger.expand(1, 4, 13))).exp()
    assert steered.unflatten(1, (4, 8)).sum(1)[0, EMOTIONS.index("anger")] > 0.95
    fair = basis[0] + 3 * basis[1 + list(CONTENTS).index("fair")]
    moved = backbone.log_weights(backbone.extend(cond, fair.expand(1, 4, 13))).exp()
    assert moved.unflatten(1, (4, 8)).sum(2)[0, 1] > 0.95


@pytest.mark.parametrize("prompt", ["a dog", "a park at the fair", "parking"])
def test_prompts_that_name_no_single_place(prompt):
    with pytest.raises(MuseError, match="Name exactly one of park, fair, cemetery, forest"):
        GaussianMixture().embed([prompt], SIZE)


def test_a_line_is_too_little():
    with pytest.raises(MuseError, match="dimension = 1 is not allowed"):
        GaussianMixture(1)


# --- samples -----------------------------------------------------------------------------------


def moments(backbone, prompt, node):
    """Exact mean (d,) and covariance (d, d) at a node."""
    w = backbone.log_weights(conditions(backbone, prompt, 1)).exp()[0]
    mean = (w[:, None] * backbone.means).sum(0)
    apart = backbone.means - mean
    unit = torch.eye(backbone.means.shape[1], dtype=torch.float64)
    covariance = (w[:, None, None] * apart[:, :, None] * apart[:, None, :]).sum(0)
    covariance = covariance + SCALE**2 * unit
    return node.alpha * mean, node.alpha**2 * covariance + node.sigma**2 * unit


def standard_errors(x, mean, covariance):
    """How far sample mean and covariance are off, in standard errors: (d,) and (d, d)."""
    apart = x - mean
    products = apart[:, :, None] * apart[:, None, :]
    off = (x.mean(0) - mean) / (covariance.diagonal() / len(x)).sqrt()
    return off, (products.mean(0) - covariance) / (products.var(0) / len(x)).sqrt()


def refined(grid: TimeGrid, factor: int, flow: bool) -> TimeGrid:
    """The same way with every step cut in `factor`: the limit that the steps approximate."""
    time = grid.sigmas if flow else torch.atan2(grid.sigmas, grid.alphas)
    share = torch.arange(factor, dtype=torch.float64) / factor
    time = torch.cat([(time[:-1, None] + time.diff()[:, None] * share).flatten(), time[-1:]])
    return TimeGrid(time, 1 - time, time) if flow else TimeGrid(time, time.cos(), time.sin())


def draw(flow, prompt, steps, normal=False, seed=0, count=2000):
    backbone = GaussianMixture(2, flow)
    grid = backbone.time_grid(steps, SIZE)
    cond = conditions(backbone, prompt, count)
    generator = torch.Generator().manual_seed(seed)
    x = backbone.marginal(cond, grid[0], generator)
    if normal:
        x = torch.randn(x.shape, generator=generator).to(x)
    return backbone, grid, x, cond


@pytest.mark.parametrize("flow", [False, True])
def test_the_marginal_is_the_marginal(flow):
    for i in (0, 25, 50):
        backbone, grid, _, cond = draw(flow, "park", 50)
        x = backbone.marginal(cond, grid[i], torch.Generator().manual_seed(1))
        off, spread = standard_errors(x, *moments(backbone, "park", grid[i]))
        assert off.abs().max() < 3
        assert spread.abs().max() < 3


@pytest.mark.parametrize("prompt", ["", "park"])
@pytest.mark.parametrize("flow", [False, True])
def test_samples_have_the_mixtures_moments(flow, prompt):
    """Means at 50 and 200 steps, covariances at 200, within 3 standard errors."""
    for steps in (50, 200):
        backbone, grid, x, cond = draw(flow, prompt, steps)
        mean, covariance = moments(backbone, prompt, grid[steps])
        sample = sample_plain(backbone, grid, x, cond)
        off, spread = standard_errors(sample, mean, covariance)
        print(f"off_{steps}", off.abs().max().item())
        print(f"spread_{steps}", spread.abs().max().item())
        assert off.abs().max() < 3
        assert steps < 200 or spread.abs().max() < 3


@pytest.mark.parametrize("prompt", ["", "park"])
@pytest.mark.parametrize("flow", [False, True])
def test_fifty_steps_cost_less_than_a_tenth_of_the_variance(flow, prompt):
    """The covariance trace at 50 steps is within 10 %: of the exact one for the whole mixture; for
    one prompt of the limit of many steps from the same noise, as its sampling error is 5 %."""
    backbone, grid, x, cond = draw(flow, prompt, 50)
    mean, covariance = moments(backbone, prompt, grid[50])

    def trace(points):
        return (points - mean).square().sum(1).mean() / covariance.trace()

    limit = trace(sample_plain(backbone, refined(grid, 8, flow), x, cond)) if prompt else 1.0
    ratio = (trace(sample_plain(backbone, grid, x, cond)) / limit).item()
    print("trace", ratio)
    assert 0.9 < ratio < 1.1


@pytest.mark.parametrize("flow", [False, True])
def test_the_error_halves_as_the_steps_double(flow):
    """The error is the median distance to where the same noise ends when the way is cut in
    1,600 steps: the steps' own error, free of sampling error. DDIM and Euler are of first order."""
    errors = []
    for steps in (50, 100, 200):
        backbone, grid, x, cond = draw(flow, "", steps, count=128)
        limit = sample_plain(backbone, refined(grid, 1600 // steps, flow), x, cond)
        errors.append((sample_plain(backbone, grid, x, cond) - limit).norm(dim=1).median().item())
    print("errors", errors)
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 0.6 * errors[1]


def test_a_standard_normal_start_is_biased_in_vp_and_exact_in_flow():
    """SD's schedule begins at alpha = 0.07, so N(0, I) pulls the mean towards the origin."""
    off = {}
    for flow in (False, True):
        backbone, grid, x, cond = draw(flow, "park", 100, normal=True)
        mean, covariance = moments(backbone, "park", grid[100])
        sample = sample_plain(backbone, grid, x, cond)
        off[flow], _ = standard_errors(sample, mean, covariance)
        inward = (sample.mean(0) @ mean) / mean.square().sum()
        assert flow or inward < 0.99
    assert off[False].abs().max() > 6
    assert off[True].abs().max() < 3
