"""The sampler equals the paper's loop written for one picture."""

from dataclasses import replace

import pytest
import torch

from muse.core.asks import Evaluate
from muse.core.emotions import EMOTIONS
from muse.schedulers import ClipThreshold, StepWindow
from tests import literal
from tests.toy import jobs, make, sampler

JOBS = jobs(1)


def first_tokens(text, job, settings):
    """S as the paper has it, random; drawn from the job's own stream."""
    noise = torch.randn(1, settings.tokens, text.shape[-1], generator=job.tokens())
    return settings.scale * text.square().mean().sqrt() * noise.to(text)


def literally(made, job, settings, start=None):
    backbone = made.backbone
    text = backbone.embed([job.prompt], (1, 1))["tokens"]
    noise = torch.randn(1, backbone.means.shape[1], generator=job.noise()).double()
    parts = backbone, made.answers.guide, sampler().answers.similarity
    grid = made.setup.grid
    [target] = job.target
    s = first_tokens(text, job, settings)
    return literal.make_picture(*parts, grid, job.prompt, target, noise, s, settings, start)


@pytest.mark.parametrize("emotion_scale", [None, 1.5])
@pytest.mark.parametrize("flow", [False, True])
def test_well_conditioned_runs_are_equal_to_the_end(flow, emotion_scale):
    """Guidance 2, a low rate and a late start: nothing here amplifies rounding, which the full
    search does (a flipped stop, Adam's sign-like first step, basins that part)."""
    settings = literal.Settings(omega=1.0, lr=0.01, iterations=2, emotion_scale=emotion_scale)
    made = sampler(
        flow, guidance_scale=2.0, emotion_scale=emotion_scale, max_iterations=2, keep="last",
        timing=StepWindow(0.5),
    )  # fmt: skip
    made.answers.steering.stepper.lr = settings.lr
    results, worst = make(made, JOBS), 0.0
    for job in JOBS:
        path, began, inherent = literally(made, job, settings, start=25)
        result = results[job.id]
        assert (result.trace.start_step, result.trace.inherent) == (began, inherent)
        worst = max(worst, (result.path - path).abs().max().item())
    print("worst", worst)
    assert worst <= 1e-8


@pytest.mark.parametrize("flow", [False, True])
def test_the_threshold_starts_both_at_the_same_step(flow):
    settings = literal.Settings(iterations=0)
    made = sampler(flow, max_iterations=0, keep="last", timing=ClipThreshold(settings.eta))
    results = make(made, JOBS)
    for job in JOBS:
        path, began, inherent = literally(made, job, settings)
        result = results[job.id]
        assert began is not None
        assert (result.trace.start_step, result.trace.inherent) == (began, inherent)
        assert torch.allclose(result.path, path, rtol=0, atol=1e-8)


@pytest.mark.parametrize("emotion_scale", [None, 3.0])
@pytest.mark.parametrize("flow", [False, True])
def test_every_iteration_of_the_full_search_from_the_same_state(flow, emotion_scale):
    """At guidance 7.5 and the toy's own rate: each of the sampler's evaluations is made again from
    its own state, with its gradient (as Adam's new mean), and each step's end from its accepted
    iterate. The tokens after Adam's step are apart by more, up to 1e-9: it divides gradients down
    to 1e-8 by themselves, which amplifies their rounding; that step is compared below.
    """
    settings = literal.Settings(emotion_scale=emotion_scale)
    made = sampler(flow, keep="last", emotion_scale=emotion_scale)
    seen = []
    made.answers.register_forward_hook(lambda _, asks, replies: seen.append((asks[0], replies)))
    worst = dict.fromkeys(["loss", "prediction", "gradient", "tokens", "next"], 0.0)
    checked = 0
    for job in JOBS[::4]:
        seen.clear()
        [result] = made.sample([job], 1)
        [target] = job.target
        evaluated = [
            (ask, reply)
            for asks, replies in seen
            for ask, reply in zip(asks, replies, strict=True)
            if isinstance(ask, Evaluate)
        ]
        for number, (ask, reply) in enumerate(evaluated):
            text = ask.cond["tokens"]
            null = made.backbone.embed([""], (1, 1), negative=True)["tokens"]
            state, unit = ask.state, ask.state["unit"]
            two = replace(settings, iterations=min(settings.iterations, ask.iteration + 1))
            history = literal.search(
                made.backbone, made.answers.guide, ask.x, ask.node, text, null,
                state["tokens"], ask.step, target, result.trace.inherent, two,
                (state["mean"], state["square"], ask.iteration) if ask.iteration else None,
            )  # fmt: skip
            (_, loss, x0, eps, _), *after = history
            guided = made.setup.guidance.seen(reply.prediction, ask.unconditional, ask.plain)
            gaps = {
                "loss": abs(loss - reply.total) / (1 + abs(loss)),
                "prediction": (guided - x0).abs().max().item(),
            }
            if after and ask.gradient:
                tokens, *_, mean = after[0]
                off = (mean - reply.proposal["mean"]).abs().max() / (1 + mean.abs().max())
                gaps["gradient"] = off.item()
                gaps["tokens"] = ((tokens - reply.proposal["tokens"]) / unit).abs().max().item()
            last_of_step = number + 1 == len(evaluated) or evaluated[number + 1][0].step > ask.step
            if last_of_step:
                node = made.setup.grid[ask.step + 1]
                moved = node.alpha * x0 + node.sigma * eps
                gaps["next"] = (moved - result.path[ask.step + 1]).abs().max().item()
                if number + 1 < len(evaluated):
                    assert torch.equal(evaluated[number + 1][0].state["tokens"], state["tokens"])
            for name, gap in gaps.items():
                worst[name] = max(worst[name], gap)
            checked += 1
    print("worst", worst)
    assert checked > 100
    assert worst.pop("tokens") <= 1e-8
    assert max(worst.values()) <= 1e-12, worst


def test_negative_prompt_inversion_is_guidance_1_with_a_scale_for_the_emotion(monkeypatch):
    """The literal loop with the prompt itself as the unconditional one, at the paper's omega."""
    settings = literal.Settings(omega=2.0, lr=0.01, iterations=2)
    made = sampler(
        guidance_scale=1.0, emotion_scale=3.0, max_iterations=2, keep="last", timing=StepWindow(0.5)
    )
    made.answers.steering.stepper.lr = settings.lr
    results = make(made, JOBS)
    embed = made.backbone.embed
    for job in JOBS:
        text = embed([job.prompt], (1, 1))
        monkeypatch.setattr(made.backbone, "embed", lambda *_, text=text, **__: text)
        path, *_ = literally(made, job, settings, start=25)
        assert (results[job.id].path - path).abs().max() <= 1e-8


def test_the_literal_loop_knows_the_same_emotions():
    assert tuple(literal.EMOTIONS) == EMOTIONS
