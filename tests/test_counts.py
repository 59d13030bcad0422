"""What a run costs: model calls, model rows and backward passes, counted."""

import pytest
import torch
from torch import nn

from muse.backbones import GaussianMixture
from muse.jobs import Job
from muse.schedulers import Always, ClipThreshold, Never, StepWindow
from muse.types import Denoised
from tests.toy import jobs, make, sampler

STEPS = 10


class _Counted(GaussianMixture):
    """The toy with a weight of its own, noting every call: (rows, tokens, with gradient or not)."""

    def __init__(self, flow=False):
        super().__init__(2, flow)
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.calls = []

    def denoise(self, x, node, cond):
        self.calls.append((len(x), cond["tokens"].shape[1], torch.is_grad_enabled()))
        seen = super().denoise(x, node, cond)
        return Denoised(self.weight * seen.x0, self.weight * seen.eps)


@pytest.fixture
def backwards(monkeypatch):
    """Counts calls of autograd, whichever way they are made."""
    calls = []
    original = torch.autograd.grad

    def grad(outputs, inputs, *args, **kwargs):
        calls.append(len(inputs))
        return original(outputs, inputs, *args, **kwargs)

    def backward(*args, **kwargs):
        raise AssertionError("backward() would reach every leaf")

    monkeypatch.setattr(torch.autograd, "grad", grad)
    monkeypatch.setattr(torch.autograd, "backward", backward)
    return calls


def counted(timing, count=1, slots=1, **options):
    backbone = _Counted()
    made = sampler(backbone=backbone, steps=STEPS, timing=timing, **options)
    backbone.calls.clear()
    rounds = []
    before = 0

    def after(*_):
        nonlocal before
        rounds.append(len(backbone.calls) - before)
        before = len(backbone.calls)

    made.answers.register_forward_hook(after)
    results = make(made, jobs(4)[:count], slots)
    return backbone, list(results.values()), rounds


def steered(backbone):
    """Rows that were shown to the model with tokens appended, the evaluations of the search."""
    return sum(count for count, tokens, _ in backbone.calls if tokens == 12)


def plain(backbone):
    """Rows that were shown to the model with the prompt alone."""
    return sum(count for count, tokens, _ in backbone.calls if tokens == 8)


def evaluations(*results):
    """Evaluations that the searches made: in each steered step its iterations, and the first."""
    return sum(len(result.trace.inner["step"]) for result in results)


def stepped(*results):
    """Those of them that an optimiser step may follow: not the one that ends a search anyway."""
    return sum(k < 5 for result in results for k in result.trace.inner["iteration"])


def test_a_plain_row_costs_two_rows_a_step_and_no_gradient(backwards):
    backbone, _, _ = counted(Never())
    assert backbone.calls == [(2, 8, False)] * STEPS, "both branches share one call"
    assert not backwards


def test_no_guidance_no_unconditional_branch():
    backbone, _, _ = counted(Never(), guidance_scale=1.0)
    assert backbone.calls == [(1, 8, False)] * STEPS


@pytest.mark.parametrize("start", [1, 4])
def test_a_steered_step_costs_its_evaluations_and_one_unconditional_row(backwards, start):
    """The accepted prediction is the step's own, so nothing is predicted again."""
    backbone, [result], _ = counted(StepWindow(start))
    iterations = result.trace.iterations
    assert iterations[:start] == [0] * start
    assert sum(iterations) > 0
    assert steered(backbone) == evaluations(result) == sum(iterations) + STEPS - start
    # every step has one unconditional row; only the plain ones a conditional row besides
    assert plain(backbone) == STEPS + start


def test_one_backward_per_iteration_by_the_tokens_alone(backwards):
    backbone, [result], _ = counted(StepWindow(2), tolerance=float("-inf"))
    assert result.trace.iterations == [0, 0] + [5] * (STEPS - 2)
    assert backwards == [1] * stepped(result) == [1] * 5 * (STEPS - 2)
    with_gradient = [call for call in backbone.calls if call[2]]
    assert with_gradient == [(1, 12, True)] * len(backwards)


def test_the_threshold_costs_one_plain_row_where_it_latches(backwards):
    backbone, [result], _ = counted(ClipThreshold(60.0))
    start = result.trace.start_step
    assert 0 < start < STEPS - 1
    assert len(result.trace.similarity) == start + 1
    assert steered(backbone) == evaluations(result)
    assert plain(backbone) == STEPS + start + 1
    assert len(backwards) == stepped(result)


def test_no_gradient_before_the_latch(backwards):
    backbone, [result], _ = counted(ClipThreshold(100.0))
    assert result.trace.start_step is None
    assert result.trace.iterations == [0] * STEPS
    assert not backwards
    assert not any(gradient for _, _, gradient in backbone.calls)


def test_steering_from_the_first_step_reads_the_plain_model_once():
    backbone, [result], _ = counted(Always())
    assert plain(backbone) == STEPS + 1
    assert steered(backbone) == evaluations(result) == sum(result.trace.iterations) + STEPS


def test_at_most_two_model_calls_a_round(backwards):
    backbone, results, rounds = counted(ClipThreshold(60.0), count=32, slots=7)
    assert max(rounds) == 2
    assert len(results) == 32
    shared = {tokens for count, tokens, _ in backbone.calls if count > 1}
    assert shared == {8, 12}, "rows share both calls"
    assert steered(backbone) == evaluations(*results)
    assert len(backwards) == sum(gradient for _, _, gradient in backbone.calls)
    assert len(backwards) < stepped(*results)


def test_no_gradient_ever_reaches_a_weight():
    backbone, results, _ = counted(Always(), count=4, slots=4)
    assert sum(sum(result.trace.iterations) for result in results) > 0
    assert list(backbone.parameters())
    for parameter in backbone.parameters():
        assert not parameter.requires_grad
        assert parameter.grad is None
    for buffer in backbone.buffers():
        assert not buffer.requires_grad
        assert buffer.grad is None
    assert not backbone.training


def test_every_prompt_is_encoded_once_a_run():
    made, asked = sampler(), []
    embed = made.backbone.embed
    made.backbone.embed = lambda prompts, size, negative=False: (
        asked.append((*prompts, negative)) or embed(prompts, size, negative)
    )
    prompts = ["a walk in the park", "a walk in the cemetery"]
    wanted = [Job(str(i), prompts[i % 2], {"awe": 1.0}, i) for i in range(6)]
    list(made.sample(wanted))
    assert sorted(asked) == sorted([("", True), *((prompt, False) for prompt in prompts)])
