"""Steering every backbone: the gradient reaches S alone, every iteration lowers the loss, and
nothing else moves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from muse.backbones import load_backbone
from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Node, cat_rows
from muse.guides import ConvNet
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.sampling.sampler import frozen
from muse.schedulers import StepWindow
from muse.steering import TokenOptimization
from tests.tiny import FAMILIES
from tests.watching import Latents

SIZE = (16, 16)
STEPS = 4
LATCH = 2
ITERATIONS = 3


@pytest.fixture(scope="module", params=FAMILIES)
def made(request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]) -> Sampler:
    """A sampler on a tiny backbone of each family, guided by a random ConvNet of strong opinions:
    what an iteration changes is far above rounding.
    """
    backbone = load_backbone(str(tiny_folder(request.param)))
    torch.manual_seed(1)
    guide = ConvNet(width=8)
    guide.fc.weight.data *= 30
    return Sampler(
        backbone, guide, TokenOptimization(tokens=3, lr=0.05), StepWindow(LATCH / STEPS),
        MultiEmotionLoss(), GaussianNoise(), steps=STEPS, guidance_scale=3.0,
        max_iterations=ITERATIONS, size=SIZE,
    )  # fmt: skip


def run(made: Sampler, job: Job) -> tuple[list[Tensor], Result]:
    """The latent after every step, and the result."""
    kept = Latents()
    [result] = made.sample([job], watchers=[kept])
    assert result.failure is None
    return kept.of[job.id], result


def leaves(value: Tensor) -> set[int]:
    """The ids of all tensors that a gradient of `value` would reach."""
    found, waiting, seen = set(), [value.grad_fn], set()
    while waiting:
        function = waiting.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        if hasattr(function, "variable"):
            found.add(id(function.variable))
        waiting += [before for before, _ in function.next_functions]
    return found


def two_rows(made: Sampler) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """S of two rows, and S -> each row's x0 and log-likelihood of awe; the rows differ in prompt,
    noise and node.
    """
    backbone = made.backbone
    grid = made.setup.grid
    cond = cat_rows([backbone.embed([prompt], SIZE) for prompt in ("a dog", "b")])
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, *backbone.latent_shape(SIZE), generator=generator)
    tokens = 0.1 * torch.randn(2, 3, cond["tokens"].shape[-1], generator=generator)
    node = Node.stack([grid[2], grid[0]])

    def evaluate(s: Tensor) -> tuple[Tensor, Tensor]:
        denoised = backbone.denoise(x, node, backbone.extend(cond, s))
        logits = made.answers.guide.read(backbone.preview(denoised.x0))
        return denoised.x0, logits.log_softmax(-1)[:, 2]

    return tokens.requires_grad_(), evaluate


def test_the_gradient_reaches_s_and_only_s(made: Sampler) -> None:
    tokens, evaluate = two_rows(made)
    with frozen(made):  # as while it samples
        _, told = evaluate(tokens)
        assert leaves(told) == {id(tokens)}
        [slope] = torch.autograd.grad(told.sum(), tokens)
    assert slope.isfinite().all()
    assert (slope.abs().amax(-1) > 0).all(), "every token of every row"
    assert all(p.grad is None for p in made.parameters())


def test_s_of_one_row_never_moves_another(made: Sampler) -> None:
    tokens, evaluate = two_rows(made)
    x0, told = evaluate(tokens)
    [slope] = torch.autograd.grad(told[0], tokens)
    assert slope[0].abs().max() > 0
    assert slope[1].abs().max() == 0
    changed = tokens.detach().clone()
    changed[1] *= -100
    moved = (evaluate(changed)[0] - x0).abs().flatten(1).amax(1) / x0.abs().flatten(1).amax(1)
    assert moved[0] <= 1e-6
    assert moved[1] > 1e-5


def test_every_iteration_lowers_the_loss_and_steps_before_are_plain(made: Sampler) -> None:
    plain, _ = run(made, Job("plain", "a dog", None, 0))
    steered, result = run(made, Job("steered", "a dog", {"awe": 1.0}, 0))
    assert result.trace.start_step == LATCH
    for step in range(STEPS):
        assert torch.equal(steered[step], plain[step]) == (step < LATCH), f"step {step}"
    inner = result.trace.inner
    for step in range(LATCH, STEPS):  # within a step all iterates are of one latent
        pairs = zip(inner["step"], inner["loss_target"], strict=True)
        loss = [value for at, value in pairs if at == step]
        print(f"step {step}: {loss}")
        assert len(loss) == 1 + ITERATIONS
        assert all(after < before for before, after in pairwise(loss)), f"step {step}"
