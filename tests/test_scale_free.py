"""A search without a rate has no unit: neither the loss's nor the text embedding's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from muse.backbones import Backbone, load_backbone
from muse.core.jobs import Job
from muse.core.types import Goal, LossTerms, Reading
from muse.guides import ConvNet
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import StepWindow
from muse.steering import LBFGS, LineSearch, Polyak, StepRule, TokenOptimization
from tests.tiny import FAMILIES
from tests.watching import Latents

TIMES = 8.0
RULES: dict[str, Callable[[], StepRule]] = {
    "Polyak": Polyak,
    "Polyak, growth": lambda: Polyak(growth=1.5),
    "LBFGS": LBFGS,
    "LineSearch": LineSearch,
}


class Louder(MultiEmotionLoss):
    """So many times as large."""

    def forward(self, reading: Reading, goal: Goal) -> LossTerms:
        found = super().forward(reading, goal)
        return LossTerms(TIMES * found.total, found.terms)


class Wider:
    """A backbone whose text embedding is so many times as large, and whose denoiser undoes that."""

    def __init__(self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
        embed, denoise = backbone.embed, backbone.denoise

        def wider(*given: Any, **options: Any) -> dict[str, Tensor]:
            cond = embed(*given, **options)
            return {**cond, "tokens": TIMES * cond["tokens"]}

        def undone(x: Tensor, node: Any, cond: Any) -> Any:
            return denoise(x, node, {**cond, "tokens": cond["tokens"] / TIMES})

        monkeypatch.setattr(backbone, "embed", wider)
        monkeypatch.setattr(backbone, "denoise", undone)


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]) -> Backbone:
    """Each family's."""
    found: Backbone = load_backbone(str(tiny_folder(request.param)))
    return found


def path(
    backbone: Backbone, rule: StepRule, loss: MultiEmotionLoss, tolerance: float = 0.3
) -> tuple[Tensor, dict[str, list[float]]]:
    """The latents of a short way, and what its inner iterations found; a random guide of strong
    opinions, so that the search has something to do.
    """
    torch.manual_seed(1)
    guide = ConvNet(width=8)
    guide.fc.weight.data *= 30
    made = Sampler(
        backbone, guide, TokenOptimization(3, rule=rule), StepWindow(0.3), loss, GaussianNoise(),
        steps=3, guidance_scale=3.0, max_iterations=2, tolerance=tolerance, size=(16, 16),
    )  # fmt: skip
    kept = Latents()
    [result] = made.sample([Job("a", "a dog", {"awe": 1.0}, 0)], watchers=[kept])
    assert result.failure is None
    assert sum(result.trace.iterations) >= 2, "there is a search to compare"
    return torch.cat(kept.of["a"]), result.trace.inner


@pytest.mark.parametrize("name", RULES)
def test_neither_the_loss_nor_s_has_a_unit(
    backbone: Backbone, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = RULES[name]
    as_it_is, found = path(backbone, rule(), MultiEmotionLoss())
    assert found["total"][1] < found["total"][0], "and the search moves"
    louder, _ = path(backbone, rule(), Louder(), TIMES * 0.3)
    torch.testing.assert_close(louder, as_it_is, rtol=1e-6, atol=1e-6)
    Wider(backbone, monkeypatch)
    wider, _ = path(backbone, rule(), MultiEmotionLoss())
    torch.testing.assert_close(wider, as_it_is, rtol=1e-6, atol=1e-6)


def test_an_aim_of_its_own_has_one(tiny_folder: Callable[[str], Path]) -> None:
    """Which is why half the tolerance is aimed at: the comparison above can fail."""
    sd, rule = load_backbone(str(tiny_folder("sd"))), Polyak(aim=0.15, reach=9.0)
    as_it_is, _ = path(sd, rule, MultiEmotionLoss())
    louder, _ = path(sd, rule, Louder(), TIMES * 0.3)
    assert (louder - as_it_is).abs().max() > 1e-5


def test_the_aim_lies_below_the_tolerance_whatever_its_sign() -> None:
    rule = Polyak(reach=100.0)
    slope = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    for tolerance, aim in ((0.3, 0.15), (-2.0, -3.0), (0.0, 0.0)):
        state = {**rule.init(slope), "tolerance": slope.new_tensor([tolerance])}
        move, after = rule(slope, state, slope.new_tensor([5.0]), slope[:, 0], slope[:, 0])
        torch.testing.assert_close(move, -(5.0 - aim) / 25 * slope)
        assert after["tolerance"].item() == tolerance
