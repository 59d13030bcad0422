"""Stable Diffusion, as editing and batching need it; its pictures are in
`tests/test_conformance_vp.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from muse.backbones import StableDiffusion
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.guides import ConvNet
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import StepWindow
from muse.steering import TokenOptimization

STEPS = 8


@pytest.fixture(scope="module", params=["sd", "sd-v"])
def folder(request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]) -> Path:
    """A tiny pipeline in the diffusers layout, of eps or v."""
    return tiny_folder(request.param)


def test_rows_never_meet(folder: Path) -> None:
    # Late, because the search amplifies rounding; on the exact toy rows are equal bit for bit.
    torch.manual_seed(1)
    made = Sampler(
        StableDiffusion(str(folder)), ConvNet(width=8), TokenOptimization(lr=0.05),
        StepWindow(0.87), MultiEmotionLoss(), GaussianNoise(), steps=STEPS, max_iterations=1,
    )  # fmt: skip
    jobs = [Job(e, "a dog", {e: 1.0}, i) for i, e in enumerate(["awe", "fear", "anger"])]
    alone = {result.job.id: result.image for job in jobs for result in made.sample([job])}
    for result in made.sample(jobs, slots=3):
        torch.testing.assert_close(result.image, alone[result.job.id], atol=1e-3, rtol=0)


def test_decode_is_not_clamped(folder: Path) -> None:
    picture = StableDiffusion(str(folder)).decode(50 * torch.randn(1, 4, 8, 8))
    assert picture.min() < 0 or picture.max() > 1


def test_sizes_must_fit_the_autoencoder(folder: Path) -> None:
    backbone = StableDiffusion(str(folder))
    assert backbone.size == (16, 16)
    assert backbone.latent_shape((32, 16)) == (4, 16, 8)
    with pytest.raises(MuseError, match="multiples of 2"):
        backbone.latent_shape((33, 16))
