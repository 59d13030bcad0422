"""The methods that muse is compared with, on every family: each changes the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from muse.backbones import Backbone, load_backbone
from muse.core.jobs import Job
from muse.core.results import Result
from muse.guides import ConvNet
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import Always
from muse.steering import (
    BestOfN,
    NoiseOptimization,
    NoSteering,
    ParticleResampling,
    Steering,
    TextUpdate,
    TrainingFreeGuidance,
    UniversalGuidance,
    ZeroOrderSearch,
)

STEPS = 3
BY_GRADIENT: dict[str, Callable[[], Steering]] = {
    "UniversalGuidance": lambda: UniversalGuidance(5.0, 1, 1, 0.1),
    "TrainingFreeGuidance": lambda: TrainingFreeGuidance(1.0, 0.5),
    "TextUpdate": lambda: TextUpdate(0.5, every=1),
    "NoiseOptimization": lambda: NoiseOptimization(2, 0.1),
}
BY_CHOICE: dict[str, Callable[[], Steering]] = {
    "BestOfN": lambda: BestOfN(8),
    "ParticleResampling": lambda: ParticleResampling(8, every=0.5, start=0.5),
    "ZeroOrderSearch": lambda: ZeroOrderSearch(2, 6, 0.3),
}
METHODS = {**BY_GRADIENT, **BY_CHOICE}


@pytest.fixture(scope="module", params=["sd", "sdxl", "pixart", "sd3", "flux-dev", "flux-schnell"])
def run(
    request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]
) -> Callable[[Steering], Result]:
    """A picture of a family under a method, told to by a random guide of strong opinions."""
    backbone: Backbone = load_backbone(str(tiny_folder(request.param)))
    torch.manual_seed(1)
    guide = ConvNet(width=8)
    guide.fc.weight.data *= 30

    def made(steering: Steering) -> Result:
        sampler = Sampler(
            backbone, guide, steering, Always(), MultiEmotionLoss(), GaussianNoise(), steps=STEPS,
            guidance_scale=3.0, size=(16, 16),
        )  # fmt: skip
        [result] = sampler.sample([Job("a", "a dog", {"awe": 1.0}, 0)], 8)
        assert result.failure is None
        return result

    return made


@pytest.fixture(scope="module")
def plain(run: Callable[[Steering], Result]) -> Result:
    """The same without any."""
    return run(NoSteering())


def picture(result: Result) -> Tensor:
    assert result.image is not None
    assert result.image.isfinite().all()
    return result.image


@pytest.mark.parametrize("name", METHODS)
def test_every_family_is_steered(
    run: Callable[[Steering], Result], plain: Result, name: str
) -> None:
    found = run(METHODS[name]())
    apart = (picture(found) - picture(plain)).abs().max()
    gain = found.probabilities["awe"] - plain.probabilities["awe"]
    print(f"{name}: pictures {apart:.1e} apart, awe {gain:+.4f}")
    assert apart > 3e-4  # three times what the conformance tests allow
    assert found.trace.start_step == 0
    if name in BY_GRADIENT:
        assert found.cost.gradients > 0
    else:  # chosen by the guide, the row's own noise among them
        assert found.cost.gradients == 0
        assert gain >= 0
