"""The loops that speed is measured by do what the sampler does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.references import KINDS, Lockstep, make
from muse.backbones import load_backbone
from muse.core.asks import Evaluate, Evaluation
from muse.core.jobs import Job
from muse.core.types import Node
from muse.guides import ClipSimilarity, ConvNet
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.sampling.sampler import frozen
from muse.schedulers import ClipThreshold
from muse.steering import TokenOptimization
from tests import toy
from tests.tiny_guides import worded_clip

JOBS = [Job("dog", "a dog", {"awe": 1.0}, 0), Job("sea", "the sea", {"fear": 1.0}, 1)]
KIND = {name[:2]: kind for name, kind in KINDS.items()}


@pytest.fixture(params=[100.0, None], ids=["floor", "no floor"])
def tiny(tiny_folder: Callable[[str], Path], request: pytest.FixtureRequest) -> Sampler:
    """A tiny Stable Diffusion with every term of the loss, steered from the first step on; the
    content's floor given, or where the picture stood when steering began.
    """
    torch.manual_seed(1)
    guide = ConvNet(width=8)
    guide.fc.weight.data *= 30
    return Sampler(
        load_backbone(str(tiny_folder("sd"))), guide, TokenOptimization(3, lr=0.05),
        ClipThreshold(-100.0), MultiEmotionLoss(content_weight=50.0, content_floor=request.param),
        GaussianNoise(), ClipSimilarity(worded_clip()), steps=3, guidance_scale=3.0,
        max_iterations=2, size=(16, 16),
    )  # fmt: skip


def gaps(sampler: Sampler, job: Job, kind: str) -> dict[str, float]:
    """The largest differences of prediction, loss (to its size) and gradient by S / unit, at the
    sampler's own states.
    """
    seen: list[tuple[Evaluate, Evaluation]] = []
    hook = sampler.answers.register_forward_hook(
        lambda _, given, found: seen.extend(zip(given[0], found, strict=True))
    )
    [result] = sampler.sample([job], 1)
    hook.remove()
    assert result.failure is None
    steepest, worst = 0.0, dict.fromkeys(("prediction", "loss", "gradient"), 0.0)
    looks = [pair for pair in seen if isinstance(pair[0], Evaluate)]
    assert len(looks) >= 6
    run = Lockstep(sampler, KIND[kind], [job])
    for ask, reply in looks:
        run.x, run.unit = ask.x, ask.state["unit"]
        run.target, run.inherent = ask.goal.target, ask.goal.inherent
        if ask.goal.similarity is not None:
            run.floor = ask.goal.similarity
        leaf = (ask.state["tokens"] / run.unit).requires_grad_()
        node = Node.stack([ask.node])
        with frozen(sampler):
            empty = ask.unconditional if KIND[kind].caches else None
            found, loss = run.evaluated(node, leaf, empty)
            [slope] = torch.autograd.grad(loss.sum(), leaf)
        theirs = sampler.setup.guidance.mixed(reply.prediction, ask.unconditional)
        worst["prediction"] = max(worst["prediction"], _apart(found.x0, theirs.x0))
        worst["loss"] = max(worst["loss"], abs(loss.item() - reply.total) / (1 + abs(reply.total)))
        if ask.gradient:
            by_unit = reply.gradient["tokens"] * run.unit
            worst["gradient"] = max(worst["gradient"], _apart(slope, by_unit))
            steepest = max(steepest, slope.abs().max().item())
    print(worst, steepest)
    assert steepest > 1e-2, "there is a gradient to compare"
    return worst


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return (one - other).abs().max().item()


@pytest.mark.parametrize("kind", ["R0", "R1", "R2"])
def test_at_the_same_states_a_tiny_pipeline_gives_the_same(tiny: Sampler, kind: str) -> None:
    assert max(gaps(tiny, JOBS[0], kind).values()) <= 1e-4


@pytest.mark.parametrize("kind", ["R0", "R1", "R2"])
def test_and_the_toy_to_rounding(kind: str) -> None:
    made = toy.sampler(timing=ClipThreshold(-100.0), steps=8)
    for job in toy.jobs(1)[:3]:
        assert max(gaps(made, job, kind).values()) <= 1e-12


def test_whole_pictures_are_the_samplers(tiny: Sampler) -> None:
    """Alone, with weights trainable or frozen, the branch cached or not, and two in lockstep."""
    theirs = {result.job.id: result.image for result in tiny.sample(JOBS, 1)}
    plain = {job.id: Job(job.id, job.prompt, None, job.seed) for job in JOBS}
    steered = {result.job.id: result.image for result in tiny.sample(plain.values(), 1)}
    assert all(_apart(theirs[name], steered[name]) > 1e-2 for name in theirs)  # type: ignore[arg-type]
    kinds = [KIND["R0"], KIND["R1"], KIND["R2"], type(KIND["R2"])(caches=True, rows=2)]
    for kind in kinds:
        ours = make(tiny, kind, JOBS)
        for name, picture in ours.items():
            apart = _apart(picture, theirs[name])  # type: ignore[arg-type]
            print(kind, name, apart)
            assert apart <= 1e-4, (kind, name)
