"""Inversion and back: from clean points to noise, and by sampling to the points again."""

import pytest
import torch

from muse.backbones import BayesGuide, GaussianMixture
from muse.backbones.toy.mixture import CONTENTS
from muse.core.asks import Predict
from muse.core.types import MuseError, Node
from muse.latents import DDIMInversion
from muse.losses import MultiEmotionLoss
from muse.sampling.answers import Answers
from muse.sampling.engine import run
from muse.steering import NoSteering
from tests.toy import SIZE, sample_row


def there_and_back(flow: bool, steps: int, fixed_point: int, count: int):
    """Relative errors (count,) and the share of points that change component, guidance 1."""
    backbone = GaussianMixture(2, flow)
    grid = backbone.time_grid(steps, SIZE)
    inversion = DDIMInversion(fixed_point)
    generator = torch.Generator().manual_seed(0)
    conds = [backbone.embed([list(CONTENTS)[i % 4]], SIZE) for i in range(count)]
    points = [backbone.marginal(cond, grid[steps], generator) for cond in conds]

    def row(x, cond):
        noise, *_ = yield from inversion.invert(x, grid, cond)
        back = yield from sample_row(noise, grid, cond)
        return x, back

    answers = Answers(backbone, BayesGuide(), NoSteering(), MultiEmotionLoss(), None)
    rows = (row(x, cond) for x, cond in zip(points, conds, strict=True))
    x, back = (torch.cat(column) for column in zip(*run(rows, answers, count), strict=True))
    component, after = (backbone.posterior(p).flatten(1).argmax(1) for p in (x, back))
    error = (x - back).norm(dim=1) / x.norm(dim=1)
    return error, (component != after).double().mean().item()


@pytest.mark.parametrize("flow", [False, True])
def test_the_error_falls_as_the_steps_double(flow):
    medians = []
    for steps in (50, 100, 200):
        error, changed = there_and_back(flow, steps, 0, 64)
        medians.append(error.median().item())
        print(f"median_{steps}", medians[-1])
        print(f"changed_{steps}", changed)
        assert changed <= 0.1, "rows that end in another component"
    assert medians[1] <= 0.65 * medians[0]
    assert medians[2] <= 0.65 * medians[1]


@pytest.mark.parametrize("flow", [False, True])
def test_fixed_point_iterations_make_it_exact(flow):
    error, changed = there_and_back(flow, 50, 20, 16)
    print("median", error.median().item())
    print("max", error.max().item())
    assert error.median() <= 1e-10
    assert error.max() <= 1e-4
    assert changed == 0


@pytest.mark.parametrize("flow", [False, True])
def test_a_step_is_asked_at_the_noisier_timestep_with_the_cleaner_levels(flow):
    backbone = GaussianMixture(2, flow)
    grid = backbone.time_grid(5, SIZE)
    cond = backbone.embed(["park"], SIZE)
    x = torch.tensor([[4.0, 1.0]], dtype=torch.float64)
    asked = []

    def answer(asks):
        assert all(isinstance(ask, Predict) for ask in asks)
        asked.extend(ask.node for ask in asks)
        return [backbone.denoise(a.x, Node.stack([a.node]), a.cond) for a in asks]

    [path] = run([DDIMInversion().invert(x, grid, cond)], answer, 1)
    assert [latent.shape for latent in path] == [x.shape] * 6
    assert torch.equal(path[-1], x)
    for i, node in zip(reversed(range(5)), asked, strict=True):
        assert node.timestep == grid[i].timestep
        assert (node.alpha, node.sigma) == (grid[i + 1].alpha, grid[i + 1].sigma)


def test_below_zero_iterations_are_refused():
    with pytest.raises(MuseError, match="fixed_point = -1 is not allowed"):
        DDIMInversion(-1)
