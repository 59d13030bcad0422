"""What is searched starts from a prompt with the emotion's word in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from muse.backbones import load_backbone
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.guides import ConvNet
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import Always
from muse.steering import (
    Steering,
    TextShift,
    TextUpdate,
    TokenOptimization,
    TokensAndLatent,
    TrainingFreeGuidance,
    UniversalGuidance,
)

TEMPLATE = "{prompt}, {emotion}"
KINDS: dict[str, Callable[[str | None], Steering]] = {
    "tokens": lambda template: TokenOptimization(tokens=2, lr=0.05, template=template),
    "shift": lambda template: TextShift(template=template),
    "update": lambda template: TextUpdate(0.5, every=2, template=template),
    "guided": lambda template: UniversalGuidance(1.0, template=template),
    "training-free": lambda template: TrainingFreeGuidance(0.5, iterations=1, template=template),
    "both": lambda template: TokensAndLatent(TokenOptimization(tokens=2, template=template)),
}


@pytest.mark.parametrize("rest", [0, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_what_the_model_is_told(
    tiny_folder: Callable[[str], Path], kind: str, rest: int
) -> None:
    """The latent is that of a job whose own prompt says the word; and of one that doesn't where
    less of the emotion is wanted.
    """
    backbone = load_backbone(str(tiny_folder("sd")))
    torch.manual_seed(0)
    guide = ConvNet(width=8)
    job = Job("a", "a b", {"awe": 1.0}, seed=0)

    def made(template: str | None, job: Job) -> Tensor:
        sampler = Sampler(
            backbone, guide, KINDS[kind](template), Always(),
            MultiEmotionLoss(inherent_weight=0, similar_weight=0), GaussianNoise(),
            steps=4, max_iterations=2, tolerance=9.0, longest_rest=rest, size=(16, 16),
        )  # fmt: skip
        [result] = sampler.sample([job])
        assert result.failure is None
        assert isinstance(result.latent, Tensor)
        return result.latent

    said = made(None, replace(job, prompt="a b, awe"))
    torch.testing.assert_close(made(TEMPLATE, job), said, atol=1e-4, rtol=0)
    assert (made(None, job) - said).abs().max() > 1e-2
    less = replace(job, intensity=-1.0)
    assert torch.equal(made(TEMPLATE, less), made(None, less))


def test_prompts_with_the_word_are_known_before_a_run() -> None:
    job = Job("a", "a b", {"awe": 0.4, "fear": 0.6}, 0)
    for kind in KINDS.values():
        assert list(kind(TEMPLATE).prompts(job)) == ["a b, fear and awe"]
        assert list(kind(None).prompts(job)) == []
    with pytest.raises(MuseError, match=r"template = 'a \{mood\}' is not allowed"):
        TokenOptimization(template="a {mood}")
