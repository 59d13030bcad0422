"""The contracts' doors: each is used by something that could not be written without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from examples.my_watcher import Gif
from muse.backbones import BayesGuide, GaussianMixture, PlaceSimilarity, load_backbone
from muse.core.asks import Ask, Evaluate, Fork, Judge, Observe, Predict, Unroll
from muse.core.emotions import EMOTIONS, distribution
from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Cond, Denoised, Goal, Guidance, MuseError, Node, Tensors
from muse.core.watching import Watcher
from muse.guides import ClipSimilarity, EmoGen, Guide
from muse.latents import LatentSource, Start
from muse.losses import MultiEmotionLoss
from muse.pretrained.clip import as_clip
from muse.runs import Memory, Sink
from muse.runs import make as make_all
from muse.sampling.engine import run
from muse.schedulers import DDIM, Always, Moment, Never, Solver, StepWindow, TimeGrid, TimingPolicy
from muse.steering import (
    BestOfN,
    Optimization,
    ParticleResampling,
    Steered,
    Steering,
    Step,
    UniversalGuidance,
)
from tests.tiny_guides import tiny_clip
from tests.toy import SIZE, jobs, make, same, sampler
from tests.watching import Latents

JOBS = jobs(2)


def posterior(result: Result) -> float:
    """The target's exact probability."""
    assert result.image is not None
    assert result.job.target is not None
    [name] = result.job.target
    return GaussianMixture().posterior(result.image)[0].sum(0)[EMOTIONS.index(name)].item()


# --- steering as a row -------------------------------------------------------------------------


def test_guidance_by_the_latent_makes_no_prediction_twice() -> None:
    calls: Counter[int] = Counter()

    class Counted(GaussianMixture):
        def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
            calls[int(torch.is_grad_enabled())] += len(x)
            return super().denoise(x, node, cond)

    steering = UniversalGuidance(1.0)
    make(sampler(backbone=Counted(), steering=steering, timing=StepWindow(0.5), steps=8), JOBS[:1])
    assert calls == {0: 2 * 4, 1: 2 * 4}, "plain steps: two each; guided ones: two with gradient"


class RandomSearch(Optimization):
    """Emotion tokens found without a gradient: each iteration draws others beside the best."""

    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Tensors:
        return {"tokens": 0.1 * torch.randn(1, 4, 13, generator=generator).double()}

    def variables(self, state: Tensors) -> tuple[str, ...]:
        return ()

    def inject(self, backbone: Any, x: Tensor, cond: Cond, state: Tensors) -> tuple[Tensor, Cond]:
        assert not torch.is_grad_enabled()
        return x, backbone.extend(cond, state["tokens"])

    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> Tensors:
        assert not gradient
        seeds = (1000 * i + k).tolist()
        draws = [torch.randn(4, 13, generator=torch.Generator().manual_seed(s)) for s in seeds]
        return {"tokens": state["tokens"] + 0.3 * torch.stack(draws).double()}


def test_a_search_may_take_no_gradient() -> None:
    """Nothing of it is told as a gradient that is not finite."""
    made = make(sampler(steering=RandomSearch(), steps=12, max_iterations=6), JOBS)
    for result in made.values():
        assert result.trace.notes == []
    iterations = sum(sum(result.trace.iterations) for result in made.values())
    assert iterations > 6 * len(JOBS)
    plain = make(sampler(timing=Never(), steps=12), JOBS)
    gain = [posterior(made[job.id]) - posterior(plain[job.id]) for job in JOBS]
    assert sum(gain) / len(gain) > 0.05


def test_a_class_for_the_contract_before_is_told_what_changed() -> None:
    class Old(Steering):
        def variables(self, state: Tensors) -> tuple[str, ...]:
            return ()

        def inject(
            self, backbone: Any, x: Tensor, cond: Cond, state: Tensors
        ) -> tuple[Tensor, Cond]:
            return x, cond

        def step(
            self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
        ) -> Tensors:
            return state

    with pytest.raises(MuseError, match=r"Old subclasses Steering .* muse\.steering\.Optimization"):
        Old()  # type: ignore[abstract]


# --- a loss by x0, and through a whole way -----------------------------------------------------


def goal_of(job: Job) -> Goal:
    assert job.target is not None
    return Goal(distribution(job.target).double(), torch.zeros(1, 8).double())


def test_a_loss_and_its_gradient_by_x0_need_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sampler()
    monkeypatch.setattr(GaussianMixture, "denoise", lambda *_: pytest.fail("the model is asked"))
    points = [torch.tensor([[3.0, 1.0]]).double(), torch.tensor([[-2.0, 0.5]]).double()]
    asks = [Judge(x, goal_of(job), job.prompt) for x, job in zip(points, JOBS, strict=False)]
    for ask, found in zip(asks, made.answers(asks), strict=True):
        leaf = ask.x0.clone().requires_grad_()
        total = made.answers.look(leaf, [ask])[2].total
        [slope] = torch.autograd.grad(total.sum(), leaf)
        assert torch.equal(found.gradient, slope)
        assert found.total == total.item()
        assert found.finite


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_way_is_differentiated_from_its_start(scale: float) -> None:
    made = sampler(steps=6)
    nodes = [made.setup.grid[i] for i in range(7)]
    null = None if scale == 1 else made.backbone.embed([""], SIZE, negative=True)
    asks = []
    for job in JOBS[:3]:
        x = torch.randn(1, 2, generator=job.noise()).double()
        cond = made.backbone.embed([job.prompt], SIZE)
        asks.append(Unroll(x, nodes, cond, null, goal_of(job), job.prompt, Guidance(scale)))
    for ask, found in zip(asks, made.answers(asks), strict=True):
        x = leaf = ask.x.clone().requires_grad_()
        for here, there in pairwise(nodes):
            row = Node.stack([here])
            c = made.backbone.denoise(x, row, ask.cond)
            u = c if null is None else made.backbone.denoise(x, row, null)
            x0, eps = (
                getattr(u, name) + scale * (getattr(c, name) - getattr(u, name))
                for name in ("x0", "eps")
            )
            x = there.alpha * x0 + there.sigma * eps
        total = made.answers.look(x, [ask])[2].total
        [slope] = torch.autograd.grad(total.sum(), leaf)
        assert torch.allclose(found.latent, x, rtol=0, atol=1e-12)
        assert torch.allclose(found.judgement.gradient, slope, rtol=1e-9, atol=1e-12)
    [without] = made.answers([replace(asks[0], gradient=False)])
    assert not without.judgement.gradient.any()


# --- rows that hold rows -----------------------------------------------------------------------


class Given(LatentSource):
    """Noises, by job id."""

    def __init__(self, noises: list[Tensor]) -> None:
        super().__init__()
        self.noises = noises

    def forward(self, job: Job, *_: Any) -> Generator[list[Ask], list[Any], Tensor]:
        return self.noises[int(job.id)]
        yield


@pytest.mark.parametrize("slots", [1, 3, 40])
def test_the_best_of_some_noises(slots: int) -> None:
    options: dict[str, Any] = {"timing": Always(), "steps": 8}
    plain = make(sampler(**{**options, "timing": Never()}), JOBS)
    for job_id, result in make(sampler(steering=BestOfN(1), **options), JOBS, slots).items():
        assert torch.equal(result.path[-1], plain[job_id].path[-1]), "best of one is plain"
    best = make(sampler(steering=BestOfN(4), **options), JOBS, slots)
    for job in JOBS:
        stream = job.tokens()
        noises = [torch.randn(1, 2, generator=stream).double() for _ in range(3)]
        single = sampler(latents=Given(noises), **{**options, "timing": Never()})
        twins = [replace(job, id=str(i), target=None) for i in range(3)]
        [name] = job.target or {}
        others = [result.probabilities[name] for result in make(single, twins).values()]
        own = plain[job.id].probabilities[name]
        assert best[job.id].probabilities[name] == max(own, *others)


def test_inner_rows_take_slots_and_the_row_that_waits_none() -> None:
    def leaf(number: int) -> Generator[list[Any], list[Any], int]:
        [found] = yield [number]
        [found] = yield [found]
        return int(found)

    def outer(number: int) -> Generator[list[Any], list[Any], list[int]]:
        [first] = yield [Fork([leaf(10 * number + i) for i in range(3)])]
        [none] = yield [Fork([])]
        [last] = yield [number]
        [nested] = yield [Fork([outer(number - 1)])] if number else [Fork([])]
        return [*first, *none, last, *(nested[0] if nested else [])]

    widest = []

    def answer(asks: list[Any]) -> list[Any]:
        widest.append(len(asks))
        return asks

    found = list(run((outer(n) for n in range(4)), answer, 3))
    assert sorted(map(len, found)) == [4, 8, 12, 16]
    assert max(widest) == 3
    assert [0, 1, 2, 0] in found
    with pytest.raises(TypeError, match="stands alone"):
        sampler().answers([Fork([])])


def test_an_inner_rows_mistake_fails_its_job_alone() -> None:
    wrong = replace(JOBS[0], id="wrong")
    plain = replace(JOBS[1], target=None)
    made = sampler(steering=_Failing(), timing=Always(), steps=4)
    found = make(made, [wrong, plain])
    assert found["wrong"].failure == "an inner row says no"
    assert found[plain.id].failure is None


class _Failing(Steering):
    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        def inner() -> Generator[list[Ask], list[Any], None]:
            yield [Observe(step.x, "")]
            raise MuseError("an inner row says no")

        yield [Fork([inner(), step.onward(step.x, len(step.grid))])]
        raise AssertionError("the error came here")


def test_where_a_steering_moves_to_is_checked_and_shown() -> None:
    """And the latents of a picture that was moved are those that it is decoded from."""

    class Moves(Steering):
        def __init__(self, x: Tensor, node: int) -> None:
            super().__init__()
            self.given = x, node

        def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
            return Steered(None, state, *self.given)
            yield

    good = torch.ones(1, 2)
    [result] = make(sampler(steering=Moves(good, 3), timing=Always(), steps=3), JOBS[:1]).values()
    assert torch.equal(result.latent, good.double()), "in the row's own dtype"
    assert torch.equal(result.image, good.double())
    for x, node in ((torch.ones(1, 3), 3), (good, 4), (good, -1)):
        made = sampler(steering=Moves(x, node), timing=Always(), steps=3)
        [result] = make(made, JOBS[:1]).values()
        assert "Moves moved to a latent" in str(result.failure)
    with pytest.raises(MuseError, match="Give it the latent `x`, and the `node`"):
        Steered(None, {}, good)


# --- starts ------------------------------------------------------------------------------------


class Held(LatentSource):
    """A start with a source's path, of which a mask holds one dimension."""

    def __init__(self, mask: Tensor | None, nulls: bool = False) -> None:
        super().__init__()
        self.held, self.nulls = mask, nulls

    def forward(
        self, job: Job, backbone: Any, grid: TimeGrid, cond: Cond, size: Any
    ) -> Generator[list[Ask], list[Any], Start]:
        x = torch.randn(1, 2, generator=job.noise()).double()
        path = [Denoised(torch.full((1, 2), 3.0).double(), x).at(n.alpha, n.sigma)
                for n in (grid[i] for i in range(len(grid) + 1))]  # fmt: skip
        own = [backbone.embed(["a walk in the cemetery"], SIZE)] * len(grid) if self.nulls else []
        return Start(path[0], 0, path, self.held, own)
        yield


def test_a_mask_holds_the_source_at_every_step() -> None:
    mask = torch.tensor([[1.0, 0.0]])
    [held] = make(sampler(latents=Held(mask), steps=10), JOBS[:1]).values()
    [free] = make(sampler(latents=Held(torch.ones(1, 2)), steps=10), JOBS[:1]).values()
    [plain] = make(sampler(latents=Held(None), steps=10), JOBS[:1]).values()
    grid = sampler(steps=10).setup.grid
    noise = torch.randn(1, 2, generator=JOBS[0].noise()).double()
    for i in range(11):
        kept = grid[i].alpha * 3 + grid[i].sigma * noise[0, 1]
        assert held.path[i, 1].item() == pytest.approx(kept.item(), abs=1e-12)
    assert (held.path[-1, 0] - held.path[-1, 1]).abs() > 1e-3
    assert torch.equal(free.path, plain.path)
    with pytest.raises(MuseError, match="A start with a mask needs a path"):
        Start(torch.ones(1, 2), mask=mask)


def test_a_start_brings_its_own_null_conditions() -> None:
    own = make(sampler(latents=Held(None, nulls=True), steps=10), JOBS[:2])
    options = {"negative_prompt": "a walk in the cemetery"}
    said = make(sampler(latents=Held(None), steps=10, **options), JOBS[:2])
    empty = make(sampler(latents=Held(None), steps=10), JOBS[:2])
    for job in JOBS[:2]:
        assert same(own[job.id], said[job.id])
        assert not torch.equal(own[job.id].path, empty[job.id].path)


# --- rows own their settings -------------------------------------------------------------------


def test_jobs_own_their_steps_guidance_and_negative_prompt() -> None:
    """In one batch with others, and bit for bit as a sampler with these settings makes them."""
    job, other = JOBS[0], JOBS[5]
    own: dict[str, dict[str, Any]] = {
        "steps": {"steps": 7},
        "none": {"guidance_scale": 1.0},
        "strong": {"guidance_scale": 9.0},
        "negative": {"negative_prompt": "a forest"},
        "all": {"steps": 9, "guidance_scale": 3.0, "negative_prompt": "a fair"},
    }
    wanted = [replace(job, id=name, **options) for name, options in own.items()]
    found = make(sampler(steps=12), [*wanted, other], 8)
    for name, options in own.items():
        [alone] = make(sampler(**{"steps": 12, **options}), [replace(job, id=name)]).values()
        assert torch.equal(found[name].image, alone.image)
        assert found[name].trace == alone.trace
    [apart] = make(sampler(steps=12), [other]).values()
    assert same(found[other.id], apart)


def test_jobs_own_their_size(tiny_folder: Callable[[str], Path]) -> None:
    made = sampler(
        backbone=load_backbone(str(tiny_folder("sd"))), steps=2, timing=Never(),
        guide=_Flat(), loss=MultiEmotionLoss(),
    )  # fmt: skip
    job = Job("a", "a dog", None, 0)
    sizes = {"a": None, "b": (32, 16), "c": (16, 32), "d": (21, 16)}
    found = make(made, [replace(job, id=name, size=size) for name, size in sizes.items()])
    assert [found[name].image.shape[2:] for name in "abc"] == [made.setup.size, (32, 16), (16, 32)]
    assert found["d"].failure is not None
    assert "size = [21, 16] is not allowed" in found["d"].failure, "and the others are made"


class _Flat(Guide):
    def forward(self, image: Tensor) -> Tensor:
        return image.new_zeros(len(image), 8)


# --- features ----------------------------------------------------------------------------------


def test_features_are_handed_out_and_taken_in_row_by_row(
    tiny_folder: Callable[[str], Path],
) -> None:
    """With another's queries and keys, an attention's map is the other's; with its own, all is as
    it was.
    """
    backbone: Any = load_backbone(str(tiny_folder("sd")))
    names = tuple(
        name for name, _ in backbone.model.named_modules()
        if name.endswith(("attn1.to_q", "attn1.to_k"))
    )  # fmt: skip
    assert len(names) >= 4
    answers = sampler(backbone=backbone, guide=_Flat(), timing=Never()).answers
    node = backbone.time_grid(4, (16, 16))[1]
    conds = [backbone.embed([text], (16, 16)) for text in ("a dog", "the sea")]
    xs = [torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    plain = answers([Predict(x, node, c) for x, c in zip(xs, conds, strict=True)])
    taken = answers([Predict(x, node, c, names) for x, c in zip(xs, conds, strict=True)])
    for (denoised, features), alone in zip(taken, plain, strict=True):
        assert torch.allclose(denoised.eps, alone.eps, rtol=1e-4, atol=1e-5)
        assert set(features) == set(names)
        assert all(value.shape[0] == 1 for value in features.values())
    own, others = taken[1][1], taken[0][1]
    asks = [Predict(xs[1], node, conds[1], names, give) for give in (own, others)]
    (same_, kept), (moved, theirs) = answers(asks)
    assert torch.allclose(same_.eps, plain[1].eps, rtol=1e-4, atol=1e-5)
    assert (moved.eps - plain[1].eps).abs().max() > 1e-3
    for name in names:  # queries and keys, so the maps too, bit for bit
        assert torch.equal(theirs[name], others[name])
        assert torch.equal(kept[name], own[name])
    again = answers([Predict(xs[1], node, conds[1])])
    assert torch.allclose(again[0].eps, plain[1].eps, rtol=1e-4, atol=1e-5), "no hook stays"
    with pytest.raises(MuseError, match=r"has no feature 'down.*'\. Did you mean"):
        answers([Predict(xs[0], node, conds[0], ("down_block.0",))])
    with pytest.raises(MuseError, match="was given"):
        answers([Predict(xs[0], node, conds[0], (), {names[0]: torch.zeros(1, 2, 3)})])
    toy = sampler()
    cond = toy.backbone.embed(["a park"], SIZE)
    ask = Predict(torch.ones(1, 2).double(), toy.setup.grid[0], cond, ("x",))
    with pytest.raises(MuseError, match="GaussianMixture names no features"):
        toy.answers([ask])


# --- watchers ----------------------------------------------------------------------------------


class _Told(Watcher):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def iterated(
        self, job: Job, step: int, iteration: int, picture: Tensor | None, terms: Any
    ) -> None:
        self.counts["iterated"] += 1
        assert picture is None
        assert {"total", "target"} <= set(terms)

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> None:
        self.counts["stepped"] += 1
        assert picture is None

    def answered(self) -> None:
        self.counts["answered"] += 1

    def finished(self, result: Result) -> None:
        self.counts["finished"] += 1


def test_watchers_are_told_everything_and_change_nothing() -> None:
    told, kept = _Told(), Latents()
    made = sampler(steps=10)
    results = {result.job.id: result for result in made.sample(JOBS, 5, [told, kept])}
    looks = sum(len(result.trace.inner["step"]) for result in results.values())
    steps = {"stepped": 10 * len(JOBS), "finished": len(JOBS), "iterated": looks}
    assert {name: told.counts[name] for name in steps} == steps
    assert told.counts["answered"] >= 10
    for job_id, result in make(made, JOBS).items():
        assert same(result, results[job_id])
        assert torch.equal(torch.cat(kept.of[job_id]), result.path[1:])


class _StopsAfter(Watcher):
    """Stops the rows once so many pictures are done, or so many rounds of calls were made."""

    def __init__(self, pictures: int = 1000, rounds: int = 1000) -> None:
        self.pictures, self.rounds = pictures, rounds

    @property
    def stopped(self) -> bool:
        return self.pictures <= 0 or self.rounds <= 0

    def finished(self, result: Result) -> None:
        self.pictures -= 1

    def answered(self) -> None:
        self.rounds -= 1


class _Folder(Sink):
    """Keeps whole pictures, as a run's folder does."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Result] = []

    def save(self, result: Result, backbone: Any) -> None:
        self.kept.append(result)


def test_what_was_stopped_is_kept_by_those_alone_who_want_it() -> None:
    folder, memory = _Folder(), Memory()
    for sink in (folder, memory):
        make_all(sampler(steps=6), JOBS, sink, 2, [_StopsAfter(3)])
    assert 3 <= len(folder.kept) <= 4
    assert all(result.whole for result in folder.kept)
    assert len(memory.results) == len(JOBS)
    assert sum(result.whole for result in memory.results.values()) == len(folder.kept)


@pytest.mark.parametrize("steering", [BestOfN(3), ParticleResampling(3)])
def test_rows_within_a_row_that_were_stopped_make_no_whole_picture(steering: Steering) -> None:
    """In the middle of their way, whatever the row that holds them says."""
    options: dict[str, Any] = {"timing": Always(), "scheduler": DDIM(1.0), "steps": 8}
    folder, whole = _Folder(), _Folder()
    make_all(sampler(steering=steering, **options), JOBS[:1], folder, 1, [_StopsAfter(rounds=6)])
    make_all(sampler(steering=steering, **options), JOBS[:1], whole, 1, [_StopsAfter()])
    assert not folder.kept
    assert [result.whole for result in whole.kept] == [True]


class _Shown(Watcher):
    """Keeps the pictures that it is shown."""

    wants_pictures = True

    def __init__(self) -> None:
        self.pictures: list[Tensor] = []

    def iterated(
        self, job: Job, step: int, iteration: int, picture: Tensor | None, terms: Any
    ) -> None:
        assert picture is not None

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> None:
        assert picture is not None
        assert torch.equal(picture, denoised.x0)  # the toy's preview is the point itself
        self.pictures.append(picture)


def test_pictures_are_made_for_watchers_that_want_them_alone() -> None:
    decoded: Counter[str] = Counter()

    class Counted(GaussianMixture):
        def decode(self, latent: Tensor) -> Tensor:
            decoded["rows"] += len(latent)
            return super().decode(latent)

    made = sampler(backbone=Counted(), steps=6, timing=Never())
    shown = _Shown()
    [plain] = list(made.sample(JOBS[:1]))
    assert decoded["rows"] == 1, "the final picture"
    [watched] = list(made.sample(JOBS[:1], 1, [shown]))
    assert decoded["rows"] == 1 + 1 + 6
    assert len(shown.pictures) == 6
    assert same(plain, watched)
    steered = sampler(steps=6, timing=Always())
    list(steered.sample(JOBS[:1], 1, [_Shown()]))


def test_a_gif_of_a_picture_taking_shape(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    from PIL import Image

    made = sampler(
        backbone=load_backbone(str(tiny_folder("sd"))), guide=_Flat(), steps=4, timing=Never()
    )
    list(made.sample([Job("a-dog", "a dog", None, 0)], 1, [Gif(str(tmp_path / "gifs"))]))
    with Image.open(tmp_path / "gifs" / "a-dog.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 4
        assert gif.size == made.setup.size[::-1]
    list(sampler(steps=3).sample(JOBS[:1], 1, [Gif(str(tmp_path / "points"))]))
    assert not (tmp_path / "points").exists(), "points are no pictures"


# --- faults of the contracts before ------------------------------------------------------------


class Later(TimingPolicy):
    """Begins to look at the third step."""

    def init(self) -> int:
        return 0

    def needs_similarity(self, state: int) -> bool:
        return state >= 3

    def forward(self, state: int, moment: Moment) -> tuple[bool, int]:
        return moment.similarity is not None and moment.similarity > 40, state + 1


def test_a_timing_may_begin_to_look_later() -> None:
    for result in make(sampler(timing=Later(), steps=12), JOBS).values():
        assert result.trace.similarity
        assert all(value is not None for value in result.trace.similarity)
        assert result.trace.start_step is not None
        assert result.trace.start_step >= 3
    with pytest.raises(MuseError, match="reads a similarity"):
        sampler(timing=Later(), similarity=None)


def test_parts_that_two_samplers_share_are_frozen_until_both_have_ended() -> None:
    guide = _Learned()
    guide.hook = lambda: None
    first, second = (sampler(guide=guide, steps=2).sample(JOBS[:2], 1) for _ in range(2))
    next(first)
    next(second)
    first.close()
    assert (guide.training, guide.weight.requires_grad) == (False, False)
    second.close()
    assert (guide.training, guide.weight.requires_grad) == (True, True)
    with torch.inference_mode():
        made = sampler(guide=_Learned(), steps=2)
    made.answers.guide.hook = lambda: None
    assert len(list(made.sample([replace(JOBS[0], target=None)]))) == 1


def test_parts_are_as_they_were_before_and_after() -> None:
    guide = _Learned()
    guide.train()
    seen = []
    guide.hook = lambda: seen.append((guide.training, guide.weight.requires_grad))
    made = sampler(guide=guide, steps=3, timing=Always())
    assert (guide.training, guide.weight.requires_grad) == (True, True), "building changes nothing"
    rows = made.sample(JOBS[:2], 1)
    next(rows)
    assert not guide.training
    rows.close()
    assert (guide.training, guide.weight.requires_grad) == (True, True)
    assert set(seen) == {(False, False)}
    assert guide.weight.grad is None


class _Learned(BayesGuide):
    hook: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, image: Tensor) -> Tensor:
        self.hook()
        return self.weight * super().forward(image)


def test_a_clip_that_two_share_reads_each_picture_once(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only where somebody reads the answer."""
    clip = as_clip(tiny_clip())
    calls: Counter[str] = Counter()
    read, compare = clip._image, ClipSimilarity.forward
    monkeypatch.setattr(clip, "text", lambda texts: torch.ones(len(texts), clip.width))

    def counted(image: Tensor) -> Tensor:
        calls["read"] += 1
        return read(image)

    def compared(self: ClipSimilarity, image: Tensor, prompts: Any) -> Tensor:
        calls["compared"] += 1
        return compare(self, image, prompts)

    monkeypatch.setattr(clip, "_image", counted)
    monkeypatch.setattr(ClipSimilarity, "forward", compared)
    made = sampler(
        backbone=load_backbone(str(tiny_folder("sd"))), guide=EmoGen(clip),
        similarity=ClipSimilarity(clip), loss=MultiEmotionLoss(content_weight=1.0), steps=4,
        timing=StepWindow(0.5), max_iterations=0,
    )  # fmt: skip
    list(made.sample([Job("a", "a dog", {"awe": 1.0}, 0)]))
    # The step before steering is read (and compared: the loss wants the similarity of then), each
    # of the two steered steps, and the final picture, which nobody compares.
    assert calls == {"read": 1 + 2 + 1, "compared": 1 + 2}


def test_similar_emotions_in_traces_are_the_losss() -> None:
    """Of fear the ring has excitement and sadness; of one polarity sadness alone."""
    job = Job("a", "a walk in the park", {"fear": 1.0}, 0)
    found = {}
    for rule in ("ring", "same_polarity"):
        loss = MultiEmotionLoss(0.0, 0.0, similar_rule=rule)
        [result] = make(sampler(loss=loss, timing=Always(), steps=3), [job]).values()
        found[rule] = result.trace.inner["p_similar"]
    assert len(found["ring"]) == len(found["same_polarity"]), "the terms weigh nothing"
    pairs = zip(found["ring"], found["same_polarity"], strict=True)
    assert all(ring > polar for ring, polar in pairs)


def test_a_place_is_a_whole_word() -> None:
    similarity = PlaceSimilarity()
    fair = GaussianMixture().means[8:9]
    assert similarity(fair, ["a day at the fair"]).item() > 60
    assert similarity(fair, ["a fairy in a parking lot"]).item() == 0


def test_a_guide_of_another_width_is_told() -> None:
    class Six(Guide):
        def forward(self, image: Tensor) -> Tensor:
            return image.new_zeros(len(image), 6)

    with pytest.raises(MuseError, match="Six gives 6 logits for 8 labels"):
        make(sampler(guide=Six(), timing=Always(), steps=2), JOBS[:1])


class Wrong(Steering):
    """Returns something else, in the way that it is told to."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, step: Step, state: Tensors) -> Any:
        if self.how == "no generator":
            return Steered(step.plain, state)
        return self._row(step)

    def _row(self, step: Step) -> Generator[Any, Any, Any]:
        if self.how == "no list":
            yield Judge(step.x, step.goal, "")
        return step.x
        yield


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no generator", "Wrong.forward is no generator. Let it yield lists of asks"),
        ("other kind", "Wrong.forward returned a Tensor. Return a Steered."),
    ],
)
def test_a_steering_that_returns_something_else_is_told(how: str, says: str) -> None:
    [result] = make(sampler(steering=Wrong(how), timing=Always(), steps=2), JOBS[:1]).values()
    assert result.failure is not None
    assert says in result.failure


def test_other_parts_that_return_something_else_are_told() -> None:
    class Late(LatentSource):
        def forward(self, *_: Any) -> Generator[list[Ask], list[Any], Start]:
            return Start(torch.ones(1, 2).double(), 99)
            yield

    class NoRow(LatentSource):
        def forward(self, *_: Any) -> Any:
            return torch.ones(1, 2).double()

    class Alone(Solver):
        def forward(self, denoised: Denoised, *_: Any) -> Any:
            return denoised.x0

    for options, says in (
        ({"latents": Late()}, "Late starts at node 99, and there are 4 steps. Use 0 to 3."),
        ({"latents": NoRow()}, "NoRow.forward is no generator"),
        ({"scheduler": Alone()}, "Alone.forward returned a Tensor. Return a tuple."),
    ):
        [result] = make(sampler(steps=4, **options), JOBS[:1]).values()
        assert says in str(result.failure)
    with pytest.raises(MuseError, match="A row yielded a Judge"):
        make(sampler(steering=Wrong("no list"), timing=Always(), steps=2), JOBS[:1])


def test_what_a_steering_judges_is_recorded() -> None:
    class Judging(Steering):
        needs_plain = True

        def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
            guided = step.guidance.mixed((yield from step.predicted()), step.unconditional)
            [found] = yield [Judge(guided.x0, step.goal, step.job.prompt)]
            step.note(0, found)
            node = step.node
            moved = guided.x0 - 0.5 * found.gradient
            return Steered(Denoised.from_x0(step.x, moved, node.alpha, node.sigma), state)

    told = _Told()
    [result] = sampler(steering=Judging(), timing=Always(), steps=6).sample(JOBS[:1], 1, [told])
    assert result.trace.inner["step"] == list(range(6))
    assert told.counts["iterated"] == 6
    [plain] = make(sampler(timing=Never(), steps=6), JOBS[:1]).values()
    assert posterior(result) > posterior(plain)


def test_rows_of_other_guidance_share_a_call() -> None:
    """Each is mixed by its own scale."""
    made = sampler(steps=4)
    x, node = torch.ones(1, 2).double(), made.setup.grid[1]
    cond = made.backbone.embed(["a park"], SIZE)
    state = made.answers.steering.init(x, cond, torch.Generator())
    goal = goal_of(JOBS[0])
    guided = [Guidance(scale) for scale in (1.0, 7.5)]
    seen = made.answers([Predict(x, node, cond)])[0]
    asks = [
        Evaluate(x, node, cond, seen, state, goal, "a park", 1, guidance=guidance)
        for guidance in (*guided, *guided)
    ]
    replies = made.answers([*asks, Observe(x, "a park")])
    assert replies[0].total == replies[2].total
    assert replies[0].total != replies[1].total
    for ask, reply in zip(asks, replies, strict=False):
        assert made.answers([ask])[0].total == reply.total
