"""What a run costs: model calls, model rows and backward passes, counted."""

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

import muse.sampling.prompts
from muse.backbones import GaussianMixture, StableDiffusion, load_backbone
from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.results import Cost
from muse.core.types import Denoised
from muse.guides import ClipSimilarity, Guide, TimmClassifier, ZeroShotClip
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.sampling.arithmetic import arithmetic
from muse.schedulers import Always, ClipThreshold, Never, StepWindow
from muse.steering import TokenOptimization
from tests.tiny_guides import worded_clip
from tests.toy import jobs, make, sampler

STEPS = 10


class _Counted(GaussianMixture):
    """The toy with a weight of its own, noting every call: (rows, tokens, with gradient or not),
    and, once for each way back through it, `ways_back`.
    """

    def __init__(self, flow=False):
        super().__init__(2, flow)
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.calls, self.ways_back = [], 0
        self.frozen = set()

    def denoise(self, x, node, cond):
        self.calls.append((len(x), cond["tokens"].shape[1], torch.is_grad_enabled()))
        self.frozen.add((self.weight.requires_grad, self.training))
        seen = super().denoise(x, node, cond)
        if seen.x0.requires_grad:
            seen.x0.register_hook(self._gone_back)
        return Denoised(self.weight * seen.x0, self.weight * seen.eps)

    def _gone_back(self, gradient):
        self.ways_back += 1


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


def again(*results):
    """Steps that search after one that found nothing to do: their first evaluation is made without
    gradient, and made again.
    """
    return sum(
        a == 0 < b
        for result in results
        for a, b in pairwise(result.trace.iterations[result.trace.start_step :])
    )


def stepped(*results):
    """Those that an optimiser step may follow: neither one that ends a search anyway, nor the first
    of a step that finds nothing to do as the one before it.
    """
    found = 0
    for result in results:
        steps = result.trace.iterations[result.trace.start_step :]
        found += sum(k < 5 for k in result.trace.inner["iteration"])
        found -= sum(a == 0 == b for a, b in pairwise(steps))
    return found


def test_a_plain_row_costs_two_rows_a_step_and_no_gradient():
    backbone, _, _ = counted(Never())
    assert backbone.calls == [(2, 8, False)] * STEPS, "both branches share one call"
    assert not backbone.ways_back


def test_no_guidance_no_unconditional_branch():
    backbone, _, _ = counted(Never(), guidance_scale=1.0)
    assert backbone.calls == [(1, 8, False)] * STEPS


@pytest.mark.parametrize("start", [1, 4])
def test_a_steered_step_costs_its_evaluations_and_one_unconditional_row(start):
    """The accepted prediction is the step's own, so nothing is predicted again."""
    backbone, [result], _ = counted(StepWindow(start / STEPS))
    iterations = result.trace.iterations
    assert iterations[:start] == [0] * start
    assert sum(iterations) > 0
    assert evaluations(result) == sum(iterations) + STEPS - start
    assert steered(backbone) == evaluations(result) + again(result)
    assert backbone.ways_back == stepped(result)
    # every step has one unconditional row; only the plain ones a conditional row besides
    assert plain(backbone) == STEPS + start


def test_one_backward_per_iteration_by_the_tokens_alone():
    backbone, [result], _ = counted(StepWindow(0.2), tolerance=float("-inf"))
    assert result.trace.iterations == [0, 0] + [5] * (STEPS - 2)
    assert backbone.ways_back == stepped(result) == 5 * (STEPS - 2)
    with_gradient = [call for call in backbone.calls if call[2]]
    assert with_gradient == [(1, 12, True)] * backbone.ways_back


def test_the_threshold_costs_one_plain_row_where_it_latches():
    backbone, [result], _ = counted(ClipThreshold(60.0))
    start = result.trace.start_step
    assert 0 < start < STEPS - 1
    assert len(result.trace.similarity) == start + 1
    assert steered(backbone) == evaluations(result) + again(result)
    assert plain(backbone) == STEPS + start + 1
    assert backbone.ways_back == stepped(result)


def test_no_gradient_before_the_latch():
    backbone, [result], _ = counted(ClipThreshold(100.0))
    assert result.trace.start_step is None
    assert result.trace.iterations == [0] * STEPS
    assert not backbone.ways_back
    assert not any(gradient for _, _, gradient in backbone.calls)


def test_steering_from_the_first_step_reads_the_plain_model_once():
    backbone, [result], _ = counted(Always())
    assert plain(backbone) == STEPS + 1
    assert evaluations(result) == sum(result.trace.iterations) + STEPS
    assert steered(backbone) == evaluations(result) + again(result)


def test_rows_of_one_kind_share_a_model_call():
    backbone, results, rounds = counted(ClipThreshold(60.0), count=32, slots=7)
    assert max(rounds) == 1
    assert len(results) == 32
    shared = {tokens for count, tokens, _ in backbone.calls if count > 1}
    assert shared == {8, 12}, "rows share both calls"
    assert max(count for count, _, _ in backbone.calls) <= 2 * 7, "both branches of seven rows"
    assert steered(backbone) == evaluations(*results) + again(*results)
    assert backbone.ways_back == sum(gradient for _, _, gradient in backbone.calls)
    assert backbone.ways_back < stepped(*results)


def test_one_clip_pass_serves_guide_and_similarity(tiny_folder, monkeypatch):
    """Of each picture that is looked at, with gradient or without, and only then."""
    clip, passes = worded_clip(), []
    read = clip.model.get_image_features
    monkeypatch.setattr(
        clip.model, "get_image_features", lambda **given: (passes.append(1), read(**given))[1]
    )
    words = {emotion: [emotion] for emotion in EMOTIONS}
    made = Sampler(
        load_backbone(str(tiny_folder("sd"))), ZeroShotClip(clip, words, ["a {}"]),
        TokenOptimization(2), ClipThreshold(-100.0), MultiEmotionLoss(content_weight=1.0),
        GaussianNoise(), ClipSimilarity(clip), steps=3, max_iterations=2, size=(16, 16),
    )  # fmt: skip
    passes.clear()
    [result] = made.sample([Job("a", "a dog", {"awe": 1.0}, 0)], 1)
    assert result.failure is None
    assert result.trace.iterations == [2, 2, 2]
    assert len(passes) == result.cost.decodings + result.cost.decoder_gradients > 9


def test_no_gradient_ever_reaches_a_weight():
    backbone, results, _ = counted(Always(), count=4, slots=4)
    assert sum(sum(result.trace.iterations) for result in results) > 0
    assert list(backbone.parameters())
    assert backbone.frozen == {(False, False)}
    for value in (*backbone.parameters(), *backbone.buffers()):
        assert value.grad is None


@pytest.fixture
def asked(monkeypatch):
    """The prompts that the toy encodes, each with whether it is the negative one."""
    found, embed = [], GaussianMixture.embed

    def noted(self, prompts, size, negative=False):
        found.extend((prompt, negative) for prompt in prompts)
        return embed(self, prompts, size, negative)

    monkeypatch.setattr(GaussianMixture, "embed", noted)
    return found


TOKENS = 8 * 13 * 8
"""Bytes of a prompt that the toy has encoded."""
PROMPTS = ["a walk in the park", "a walk in the cemetery"]
ONCE = sorted([("", True), *((prompt, False) for prompt in PROMPTS)])


def test_every_prompt_is_encoded_once_until_the_sampler_is_moved_or_cast(asked):
    made = sampler(steps=3)
    wanted = [Job(str(i), PROMPTS[i % 2], {"awe": 1.0}, i) for i in range(6)]
    for _ in range(2):
        list(made.sample(wanted))
    assert sorted(asked) == ONCE
    asked.clear()
    nn.ModuleList([made]).to(torch.float32)  # as Lightning does, from above
    [first, *_] = made.sample(wanted)
    assert first.image.dtype == torch.float32
    assert sorted(asked) == ONCE
    asked.clear()
    made.backbone.to(torch.float64)  # by itself
    list(made.sample(wanted[:1]))
    with torch.autocast("cpu", torch.bfloat16):
        list(made.sample(wanted[:1]))
    assert asked == [(PROMPTS[0], False), ("", True)] * 2


def test_encoded_prompts_are_kept_by_their_last_use(asked, monkeypatch):
    monkeypatch.setattr(muse.sampling.prompts, "KEPT", 6 * TOKENS)
    embed = sampler().prompts
    for i in range(5):
        embed("", True)
        embed(f"park {i}")
    assert embed.room == 5
    assert len(asked) == 6
    embed("park 0")
    assert len(asked) == 6
    embed("park 5")
    embed("", True)
    assert len(asked) == 7
    embed("park 0")
    embed("park 1")
    assert asked[7:] == [("park 1", False)]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_encodes_every_prompt_once(asked, tmp_path, precision):
    """Its check, its plain twins and its jobs together."""
    config = str(Path(__file__).parent.parent / "configs" / "toy.yaml")
    words = ["--model.steps=2", f"--data.prompts=[{', '.join(PROMPTS)}]", "--data.emotions=[awe]"]
    where = ["--output_dir", str(tmp_path / "run"), "--trainer.precision", precision]
    assert main(["fit-free", "--config", config, *words, *where]) == 0
    assert len(list((tmp_path / "run/plain").iterdir())) == 2
    assert sorted(asked) == ONCE


def test_many_prompts_are_encoded_once_each(asked, tmp_path, monkeypatch):
    """Where all are kept, and where they go through in portions, which changes no picture."""
    config = str(Path(__file__).parent.parent / "configs" / "toy.yaml")
    prompts = [f"park {i}" for i in range(8)]
    jobs = [
        {"id": f"{prompt}-{emotion}".replace(" ", ""), "prompt": prompt, "emotion": emotion}
        for emotion in ("awe", "fear")
        for prompt in prompts
    ]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, jobs)))
    words = ["--model.steps=2", f"--data.jobs={tmp_path / 'jobs.jsonl'}"]
    found = []
    for name, kept in (("whole", muse.sampling.prompts.KEPT), ("portions", 4 * TOKENS)):
        monkeypatch.setattr(muse.sampling.prompts, "KEPT", kept)
        asked.clear()
        run = tmp_path / name
        assert main(["fit-free", "--config", config, *words, "--output_dir", str(run)]) == 0
        assert sorted(asked) == sorted([("", True), *((prompt, False) for prompt in prompts)])
        records = [json.loads(path.read_text()) for path in sorted(run.glob("records/*.json"))]
        assert len(records) == 16
        found.append([(r["id"], r["plain"], r["probabilities"], r["trace"]) for r in records])
    assert found[0] == found[1]


class _Flat(Guide):
    """One matrix product over all pixels, or none."""

    def __init__(self, pixels):
        super().__init__()
        self.layer = nn.Linear(pixels, 8) if pixels else None

    def forward(self, image):
        if self.layer is None:
            return image.flatten(1)[:, :8]
        return self.layer(image.flatten(1))


def test_operations_are_those_of_the_networks(tiny_folder):
    """A guide of one product of 3 H W numbers with 8 adds twice as many operations to a look, and
    as many again on its way back to the picture.
    """
    backbone = StableDiffusion(str(tiny_folder("sd")))
    height, width = backbone.size
    pixels = 3 * height * width

    def operations(guide):
        parts = TokenOptimization(), Always(), MultiEmotionLoss(), GaussianNoise()
        made = Sampler(backbone, guide, *parts).requires_grad_(False)
        return arithmetic(made)

    bare, read = operations(_Flat(0)), operations(_Flat(pixels))
    assert read.decodings - bare.decodings == 2 * 8 * pixels
    assert read.decoder_gradients - bare.decoder_gradients == 2 * (2 * 8 * pixels)
    assert (read.predictions, read.gradients) == (bare.predictions, bare.gradients)
    timm = operations(TimmClassifier("resnet10t", options={"channels": [8, 8, 8, 8]}))
    assert timm.decodings > bare.decodings, "which asks its own transform for values"
    # back through frozen weights costs about as much as there; attention twice as much
    assert 1.8 < bare.gradients / bare.predictions < 2.6
    assert 1.8 < bare.decoder_gradients / bare.decodings < 2.6
    assert read.of(asdict(Cost(2, 3, 5, 7))) == (
        2 * read.predictions + 3 * read.gradients
        + 5 * read.decodings + 7 * read.decoder_gradients
    )  # fmt: skip
