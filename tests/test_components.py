"""What every component promises, over everything that the registry knows."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from muse.backbones import Backbone, GaussianMixture
from muse.backbones.toy.mixture import CONTENTS
from muse.commands.components import swappable
from muse.commands.interfaces import interfaces
from muse.core.asks import Evaluate, Observe, Predict
from muse.core.emotions import EMOTIONS, distribution
from muse.core.jobs import Job
from muse.core.registry import available, summary
from muse.core.types import Denoised, Goal, Node, Reading, cat_rows
from muse.guides import Guide, Similarity
from muse.latents import LatentSource
from muse.losses import EmotionLoss
from muse.schedulers import ClipThreshold, Moment, Never, TimingPolicy
from muse.steering import (
    LBFGS,
    Adam,
    GaussNewton,
    LineSearch,
    NoSteering,
    Optimization,
    Polyak,
    Steering,
    StepRule,
)
from tests import components
from tests.components import _PictureToy
from tests.toy import SIZE, at, jobs, make, same, sampler

SEEDS = st.integers(0, 2**31 - 1)
JOBS = jobs(1)
KINDS = [
    (Backbone, components.BACKBONES),
    (Guide, components.GUIDES),
    (Similarity, components.SIMILARITIES),
    (TimingPolicy, components.TIMINGS),
    (EmotionLoss, components.LOSSES),
    (Steering, components.STEERINGS),
    (LatentSource, components.LATENTS),
]


@pytest.mark.parametrize(("base", "known"), KINDS)
def test_every_component_has_an_entry(base, known):
    own = {name for name, cls in available(base).items() if cls.__module__.startswith("muse.")}
    assert own - set(components.TESTED_ELSEWHERE) == set(known), "add it to tests/components.py"
    assert all(isinstance(make(), available(base)[name]) for name, make in known.items())


def test_what_the_source_says_is_what_the_registry_knows():
    """Nothing is imported for `muse components`, and yet nothing is missing, too many or other."""
    known = {}
    for option, base in interfaces().items():
        classes = {n: c for n, c in available(base).items() if c.__module__.startswith("muse.")}
        known[option] = summary(base), {name: summary(cls) for name, cls in classes.items()}
    assert swappable() == known


def test_other_packages_parts_are_imported_and_listed(monkeypatch):
    class Announced(ClipThreshold):
        """Of another package."""

    monkeypatch.setattr("muse.commands.components.entry_points", lambda group: [group])
    assert swappable()["timing"][1]["Announced"] == "Of another package."


def pictures(name, seed, count):
    """What a guide or similarity of this name reads: points for the toy's, else pictures."""
    generator = torch.Generator().manual_seed(seed)
    if name in ("BayesGuide", "PlaceSimilarity"):
        return 3 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    return torch.rand(count, 3, 48, 48, generator=generator)


@pytest.mark.parametrize("name", components.GUIDES)
def test_guides_read_rows_apart_and_pass_gradients(name):
    guide = components.GUIDES[name]().eval().requires_grad_(False)
    assert sorted(guide.labels) == sorted(EMOTIONS)
    image = pictures(name, 0, 5).requires_grad_()
    logits = guide.read(image)
    assert logits.shape == (5, 8)
    assert logits.isfinite().all()
    assert logits.dtype == image.dtype
    [slope] = torch.autograd.grad(logits.log_softmax(-1)[:, 0].sum(), image)
    assert slope.isfinite().all()
    assert (slope.flatten(1).abs().amax(1) > 0).all()
    single = torch.cat([guide.read(image[i : i + 1]) for i in range(5)])
    assert torch.allclose(single, logits, rtol=1e-4, atol=1e-5)
    assert torch.allclose(guide.read(image.flip(0)), logits.flip(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", components.SIMILARITIES)
def test_similarities_are_per_row_within_100_and_differentiable(name, monkeypatch):
    similarity = components.SIMILARITIES[name]().eval().requires_grad_(False)
    if name == "ClipSimilarity":  # a text tower without a tokenizer: words by their length

        def text(texts):
            ids = torch.tensor([[1, len(text) % 50 + 2, 52, 53] for text in texts])
            output = similarity.clip.model.get_text_features(input_ids=ids)
            return getattr(output, "pooler_output", output)

        monkeypatch.setattr(similarity.clip, "text", text)
    prompts = ["a park", "a day at the fair", "one forest", "a park"]
    image = pictures(name, 1, 4).requires_grad_()
    found = similarity(image, prompts)
    assert found.shape == (4,)
    assert (found.abs() <= 100).all()
    [slope] = torch.autograd.grad(found.sum(), image)
    assert slope.isfinite().all()
    assert (slope.flatten(1).abs().amax(1) > 0).all()
    single = torch.cat([similarity(image[i : i + 1], [prompts[i]]) for i in range(4)])
    assert torch.allclose(single, found, rtol=1e-4, atol=1e-4)
    assert not torch.equal(similarity(image[:1], ["the cemetery"]), found[:1])


@pytest.mark.parametrize("name", components.TIMINGS)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12))
def test_timing_keeps_nothing_about_a_row(name, similarities):
    policy = components.TIMINGS[name]()

    def decide():
        state, made = policy.init(), []
        for i, value in enumerate(similarities):
            seen = value if policy.needs_similarity(state) else None
            steer, state = policy(state, Moment(i, len(similarities), seen))
            made.append(steer)
        return made

    first = decide()
    assert all(isinstance(steer, bool) for steer in first)
    assert decide() == first


@pytest.mark.parametrize("name", components.LOSSES)
@given(SEEDS)
def test_losses_treat_rows_apart(name, seed):
    loss = components.LOSSES[name]()
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(4, 8, generator=generator, dtype=torch.float64)
    target = torch.randn(4, 8, generator=generator, dtype=torch.float64).softmax(-1)
    inherent = torch.eye(8, dtype=torch.float64)[:4]
    similarity = 100 * torch.rand(2, 4, generator=generator, dtype=torch.float64)
    order = torch.randperm(4, generator=generator)
    found = loss(Reading(logits, similarity[0]), Goal(target, inherent, similarity[1]))
    moved = loss(
        Reading(logits[order], similarity[0][order]),
        Goal(target[order], inherent[order], similarity[1][order]),
    )
    assert found.total.shape == (4,)
    assert "target" in found.terms
    assert torch.equal(found.total[order], moved.total)
    assert all(torch.equal(found.terms[key][order], moved.terms[key]) for key in found.terms)


OPTIMIZATIONS = ["TextShift", "TokenOptimization"]
RULES = {
    "Adam": lambda: Adam(0.2),
    "GaussNewton": GaussNewton,
    "LBFGS": LBFGS,
    "LineSearch": LineSearch,
    "Polyak": lambda: Polyak(growth=1.5),
}

# --- steering ----------------------------------------------------------------------------------


def asks(name, count=3, **options):
    """A sampler, and what its rows ask at their first evaluation."""
    options = {"steering": components.STEERINGS[name](), **options}
    made = sampler(steps=20, **options)
    asked = []
    for number, job in enumerate(JOBS[:count]):
        cond = made.backbone.embed([job.prompt], SIZE)
        null = made.backbone.embed([""], SIZE, negative=True)
        node = made.setup.grid[8]
        x = made.backbone.marginal(cond, node, job.noise())
        [unconditional] = made.answers.predict([Predict(x, node, null)])
        goal = Goal(distribution(job.target).double(), torch.zeros(1, 8).double(), None)
        state = made.answers.steering.init(x, cond, job.tokens())
        ask = Evaluate(
            x, node, cond, unconditional, state, goal, job.prompt, number, 0,
            guidance=made.setup.guidance,
        )  # fmt: skip
        asked.append(ask)
    return made, asked


def copied(rows):
    return {name: value.clone() for name, value in rows.items()}


@pytest.mark.parametrize("name", OPTIMIZATIONS)
def test_nothing_passed_in_is_changed(name):
    made, asked = asks(name)
    before = [(ask.x.clone(), copied(ask.cond), copied(ask.state)) for ask in asked]
    replies = made.answers(asked)
    for ask, (x, cond, state), reply in zip(asked, before, replies, strict=True):
        assert torch.equal(ask.x, x)
        assert all(torch.equal(ask.cond[key], cond[key]) for key in cond)
        assert all(torch.equal(ask.state[key], state[key]) for key in state)
        assert ask.state.keys() == reply.proposal.keys()
        for key, value in reply.proposal.items():
            assert value.shape == state[key].shape
            assert value.dtype == state[key].dtype
            assert not value.requires_grad
            assert value.isfinite().all()
        assert reply.state is ask.state
        assert reply.finite
        moved = any(not torch.equal(reply.proposal[key], state[key]) for key in state)
        assert moved == reply.steppable == bool(made.answers.steering.variables(state))


def test_every_search_and_rule_is_here():
    for base, known in ((Optimization, OPTIMIZATIONS), (StepRule, RULES)):
        ours = {name for name, cls in available(base).items() if cls.__module__.startswith("muse.")}
        assert ours == set(known)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", OPTIMIZATIONS)
def test_a_step_of_many_rows_is_the_step_of_each(name, rule):
    steering = getattr(components.steering, name)(rule=RULES[rule]())
    _, asked = asks(name, 5, steering=steering)
    generator = torch.Generator().manual_seed(0)
    state = cat_rows([ask.state for ask in asked])
    i, k = torch.tensor([0, 9, 120, 3, 3]), torch.tensor([0, 2, 1, 0, 7])
    loss = torch.tensor([3.0, 0.1, 2.0, -1.0, 0.5])
    for _ in range(3):
        slopes = {
            key: torch.randn(state[key].shape, generator=generator).to(state[key])
            for key in steering.variables(state)
        }
        new = steering.step(state, slopes, loss, i, k)
        for row in range(5):
            one = slice(row, row + 1)
            alone = steering.step(
                {key: value[one] for key, value in state.items()},
                {key: value[one] for key, value in slopes.items()},
                loss[one],
                i[one],
                k[one],
            )
            assert all(torch.equal(alone[key], new[key][one]) for key in new)
        state = new


@pytest.mark.parametrize("name", OPTIMIZATIONS)
@pytest.mark.parametrize("flow", [False, True])
def test_one_small_step_lowers_the_loss(name, flow):
    made, asked = asks(name, 8, backbone=GaussianMixture(2, flow))
    made.answers.steering.stepper.lr = 1e-3
    first = made.answers(asked)
    after = made.answers(
        [
            replace(ask, state=reply.proposal, iteration=1)
            for ask, reply in zip(asked, first, strict=True)
        ]
    )
    for before, reply in zip(first, after, strict=True):
        assert reply.total < before.total


@pytest.mark.parametrize("name", components.STEERINGS)
@pytest.mark.parametrize("flow", [False, True])
def test_never_is_no_steering_bit_for_bit(name, flow):
    backbone = GaussianMixture(2, flow)
    never = make(
        sampler(backbone=backbone, steps=12, timing=Never(), steering=components.STEERINGS[name]()),
        JOBS,
    )
    plain = make(sampler(backbone=backbone, steps=12), [replace(job, target=None) for job in JOBS])
    for policy in components.TIMINGS.values():
        made = sampler(backbone=backbone, steps=12, timing=policy(), steering=NoSteering())
        for job_id, result in make(made, JOBS).items():
            assert torch.equal(result.path, never[job_id].path)
            assert torch.equal(result.path, plain[job_id].path)


@pytest.mark.parametrize("name", components.TIMINGS)
def test_rows_steer_exactly_when_the_policy_says(name):
    policy = components.TIMINGS[name]()
    for result in make(sampler(steps=12, timing=policy, tolerance=float("-inf")), JOBS).values():
        state, said = policy.init(), []
        seen = iter(result.trace.similarity)
        for i in range(12):
            value = next(seen) if policy.needs_similarity(state) else None
            steer, state = policy(state, Moment(i, 12, value))
            said.append(5 if steer else 0)
        assert result.trace.iterations == said
        assert next(seen, None) is None
        assert result.trace.start_step == (said.index(5) if 5 in said else None)


# --- backbones ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", components.BACKBONES)
@settings(max_examples=10)
@given(SEEDS)
def test_backbones_keep_shapes_types_and_the_identity(name, seed):
    backbone = components.BACKBONES[name]().eval().requires_grad_(False)
    size = backbone.size
    prompts = [f"a {place}" for place in CONTENTS]
    cond = backbone.embed(prompts, size)
    assert all(len(value) == 4 for value in cond.values())
    shape = (4, *backbone.latent_shape(size))
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator).to(cond["tokens"]).requires_grad_()
    width = cond["tokens"].shape[-1]
    tokens = torch.randn(4, 3, width, generator=generator).to(x).requires_grad_()
    extended = backbone.extend(cond, tokens)
    assert extended["tokens"].shape[1] == cond["tokens"].shape[1] + 3
    grid = backbone.time_grid(10, size)
    index = torch.randint(0, 10, (4,), generator=generator)
    node = Node.stack([grid[i] for i in index.tolist()])
    seen = backbone.denoise(x, node, extended)
    assert seen.x0.shape == seen.eps.shape == x.shape
    assert seen.x0.dtype == x.dtype
    assert torch.allclose(seen.at(node.alpha, node.sigma), x, rtol=0, atol=1e-5)
    image = backbone.decode(seen.x0)
    slopes = torch.autograd.grad(image.square().sum(), [x, tokens])
    assert all(slope.isfinite().all() for slope in slopes)
    order = torch.randperm(4, generator=generator)
    moved = backbone.denoise(
        x[order],
        Node(node.timestep[order], node.alpha[order], node.sigma[order]),
        {key: value[order] for key, value in extended.items()},
    )
    assert torch.allclose(moved.x0, seen.x0[order], rtol=0, atol=1e-5)


class _Adapted(GaussianMixture):
    """The toy as a model that answers in one parameterisation and is adapted from it."""

    def __init__(self, flow, parameterisation):
        super().__init__(2, flow)
        self.parameterisation = parameterisation

    def denoise(self, x, node, cond):
        exact = super().denoise(x, node, cond)
        alpha, sigma = node.alpha[:, None], node.sigma[:, None]
        output = {
            "eps": exact.eps,
            "v": alpha * exact.eps - sigma * exact.x0,
            "flow": exact.eps - exact.x0,
            "x0": exact.x0,
        }[self.parameterisation]
        return getattr(Denoised, f"from_{self.parameterisation}")(x, output, node.alpha, node.sigma)


@pytest.mark.parametrize(
    ("flow", "parameterisation"),
    [(False, "eps"), (False, "v"), (False, "x0"), (True, "flow"), (True, "x0")],
)
def test_adapters_agree(flow, parameterisation):
    options = {"steps": 20, "timing": Never()}
    exact = make(sampler(flow, **options), JOBS)
    adapted = make(sampler(backbone=_Adapted(flow, parameterisation), **options), JOBS)
    for name, result in adapted.items():
        assert torch.allclose(result.path, exact[name].path, rtol=0, atol=1e-8)


# --- where x_T comes from ----------------------------------------------------------------------


@pytest.mark.parametrize("name", components.LATENTS)
@pytest.mark.parametrize("flow", [False, True])
def test_latents_start_every_row_by_its_job_alone(name, flow, tmp_path):
    source = components.LATENTS[name]()
    backbone = _PictureToy(2, flow)
    wanted = []
    for number, job in enumerate(JOBS):
        if source.needs_picture:
            path = tmp_path / f"{number}.png"
            Image.new("RGB", (8, 8), (20 + 25 * number, 128, 0)).save(path)
            job = replace(job, image=path)
        wanted.append(job)
    made = sampler(
        backbone=backbone, latents=source, steps=8, timing=ClipThreshold(100.0), size=(8, 8)
    )
    together, alone = make(made, wanted), {}
    for job in wanted:
        alone.update(make(made, [job], 1))
    for job in wanted:
        assert together[job.id].failure is None
        first = together[job.id].path[0]
        assert first.shape == (2,)
        assert first.dtype == torch.float64
        assert first.isfinite().all()
        assert same(together[job.id], alone[job.id])
    assert len({tuple(result.path[0].tolist()) for result in together.values()}) == len(wanted)


def test_inversion_leads_back_to_the_picture(tmp_path):
    """With guidance 1 and never steered: the picture's point comes back."""
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), (247, 146, 0)).save(path)
    job = Job("a", "a park", None, 0, path)
    made = sampler(
        backbone=_PictureToy(),
        latents=components.LATENTS["DDIMInversion"](),
        guidance_scale=1.0,
        steps=200,
        size=(8, 8),
    )
    result = make(made, [job])["a"]
    point = torch.tensor([[10 * 247 / 255 - 5, 10 * 146 / 255 - 5]]).double()  # its contentment
    assert torch.allclose(result.image, point, atol=0.05)


def test_a_missing_picture_fails_its_job_alone(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (8, 8), (230, 128, 0)).save(good)
    pair = [replace(JOBS[0], image=good), replace(JOBS[1], image=bad)]
    source = components.LATENTS["DDIMInversion"]()
    found = make(sampler(backbone=_PictureToy(), latents=source, steps=4, size=(8, 8)), pair)
    assert found[JOBS[0].id].failure is None
    assert "No picture at" in found[JOBS[1].id].failure


def test_observations_are_of_the_row_itself():
    made = sampler()
    x = made.backbone.means[[0, 9, 18]]
    seen = made.answers([Observe(x[i : i + 1], f"a {list(CONTENTS)[i]}") for i in range(3)])
    for i, observation in enumerate(seen):
        assert torch.equal(observation.image, x[i : i + 1])
        assert torch.equal(observation.logits, made.answers.guide.read(x[i : i + 1]))
        assert observation.similarity > 60


def test_rows_at_many_nodes_share_a_call():
    backbone = GaussianMixture()
    grid = backbone.time_grid(20, SIZE)
    cond = backbone.embed(["park", "park"], SIZE)
    x = torch.ones(2, 2, dtype=torch.float64)
    both = backbone.denoise(x, Node.stack([grid[3], grid[12]]), cond)
    for row, i in enumerate((3, 12)):
        alone = backbone.denoise(x, at(grid[i], 2), cond)
        assert torch.equal(both.x0[row], alone.x0[row])
