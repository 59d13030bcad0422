"""Plug-and-Play: what is injected, where, for how long; and the emotion's word, its prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor
from PIL import Image
from torch import Tensor

from muse.backbones import PipelineBackbone, load_backbone
from muse.cli import main
from muse.core.asks import Predict
from muse.core.jobs import Job
from muse.core.types import Cond, Denoised, MuseError, Node
from muse.guides import ConvNet
from muse.latents import DDIMInversion, GaussianNoise, PartialNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import Always, Never
from muse.steering import EmotionWord, PlugAndPlay, Steering
from muse.steering.plug_and_play import layers

STEPS = 5
UNETS = ["sd", "sdxl"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """An edit of a picture of noise."""
    pixels = torch.randint(256, (16, 16, 3), generator=torch.Generator(), dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(tmp_path / "a.png")
    return Job("a", "two cats", {"fear": 1.0}, 0, tmp_path / "a.png")


def pipeline_sampler(backbone: Any, steering: Steering, **options: Any) -> Sampler:
    torch.manual_seed(0)
    return Sampler(
        backbone, ConvNet(width=8), steering, options.pop("timing", Always()), MultiEmotionLoss(),
        options.pop("latents", DDIMInversion(1, "")), steps=STEPS, **options,
    )  # fmt: skip


def made(sampler: Sampler, *jobs: Job, slots: int = 4) -> list[Tensor]:
    """Final latents, in the order of the jobs."""
    results = {result.job.id: result for result in sampler.sample(jobs, slots)}
    assert [result.failure for result in results.values()] == [None] * len(jobs)
    return [results[job.id].latent for job in jobs]  # type: ignore[misc]


# --- what is injected --------------------------------------------------------------------------


@contextmanager
def maps_of(backbone: PipelineBackbone) -> Iterator[list[dict[str, Tensor]]]:
    """The attention maps of every call of the model, by the module that made them."""
    calls: list[dict[str, Tensor]] = []
    names = {part: name for name, part in backbone.model.named_modules()}
    scores = Attention.get_attention_scores

    def keep(self: Any, query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
        found = scores(self, query, key, mask)
        calls[-1][names[self]] = found.detach().clone()
        return found

    handle = backbone.model.register_forward_pre_hook(lambda *_: calls.append({}))
    before = backbone.model.attn_processors
    backbone.model.set_attn_processor(AttnProcessor())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attention, "get_attention_scores", keep)
        yield calls
    handle.remove()
    backbone.model.set_attn_processor(before)


@pytest.mark.parametrize("family", UNETS)
def test_the_maps_are_the_sources_bit_for_bit_while_they_are_injected(
    tiny_folder: Callable[[str], Path], job: Job, family: str
) -> None:
    backbone = load_backbone(str(tiny_folder(family)))
    steering = PlugAndPlay(attention=0.6, features=0.8)
    sampler = pipeline_sampler(backbone, steering, latents=DDIMInversion(0, ""))
    with maps_of(backbone) as calls:
        made(sampler, job)
    # 5 of the inversion, 1 for the goal (both branches in a call), then 4 steps with the source
    assert len(calls) == STEPS + 1 + 4 * 2 + 1
    injected = {name for own, _ in layers(backbone.feature_names)[1:] for name in own}
    injected = {name.rpartition(".")[0] for name in injected}
    assert injected
    others = {name for name in calls[0] if name.endswith("attn1")} - injected
    assert others
    for step in range(4):
        source, edit = calls[STEPS + 1 + 2 * step : STEPS + 3 + 2 * step]
        for name in sorted(injected):
            twice = torch.cat([source[name], source[name]])  # both branches of the guidance
            assert torch.equal(edit[name], twice) == (step < 3), name
        for name in sorted(others) if step else []:  # at the first, latents are the same
            assert not torch.equal(edit[name], torch.cat([source[name], source[name]]))


@pytest.mark.parametrize("family", UNETS)
def test_what_is_switched_off_changes_the_picture(
    tiny_folder: Callable[[str], Path], job: Job, family: str
) -> None:
    backbone = load_backbone(str(tiny_folder(family)))
    shares = {"both": (0.6, 0.8), "attention": (0.6, 0.0), "features": (0.0, 0.8), "none": (0, 0)}
    found = {
        name: made(pipeline_sampler(backbone, PlugAndPlay(*both)), job)[0]
        for name, both in shares.items()
    }
    [word] = made(pipeline_sampler(backbone, EmotionWord()), job)
    assert torch.equal(found["none"], word), "nothing but the word is left"
    names = list(found)
    for i, first in enumerate(names):
        for second in names[:i]:
            assert (found[first] - found[second]).abs().max() > 1e-3, (first, second)


def literal(backbone: PipelineBackbone, path: list[Tensor], job: Job, pnp: PlugAndPlay) -> Tensor:
    """Plug-and-Play as published: source, unconditional and conditional branch in one batch, whose
    attention and residual blocks read the first row; by an attention processor and a forward hook
    of the test's own.
    """
    model, grid = backbone.model, backbone.time_grid(STEPS, (16, 16))
    names = {part: name for name, part in model.named_modules()}
    known = layers(backbone.feature_names)
    first = len(known) // 3
    wanted = {name.rpartition(".")[0] for own, _ in known[first:] for name in own}
    now = {"attention": False, "features": False}

    class FromTheSource(AttnProcessor):
        def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **more: Any) -> Tensor:
            if not (now["attention"] and names[attn] in wanted):
                return super().__call__(attn, hidden_states, *args, **more)
            query, key = (
                attn.head_to_batch_dim(part(hidden_states[:1]).expand(3, -1, -1))
                for part in (attn.to_q, attn.to_k)
            )
            weights = (query @ key.mT * attn.scale).softmax(-1)
            values = weights @ attn.head_to_batch_dim(attn.to_v(hidden_states))
            found: Tensor = attn.to_out[0](attn.batch_to_head_dim(values))
            return found / attn.rescale_output_factor

    def residual(module: Any, inputs: Any, output: Tensor) -> Tensor:
        return output[:1].expand(3, -1, -1, -1) if now["features"] else output

    before = model.attn_processors
    model.set_attn_processor(FromTheSource())
    handle = model.get_submodule(known[first][1]).register_forward_hook(residual)
    null = backbone.embed([""], (16, 16), negative=True)
    text = backbone.embed([f"{job.prompt}, fear"], (16, 16))
    cond = {name: torch.cat([null[name], null[name], text[name]]) for name in null}
    x = path[0]
    for i in range(STEPS):
        now["attention"] = i < int(STEPS * pnp.attention)
        now["features"] = i < int(STEPS * pnp.features)
        eps = backbone.denoise(torch.cat([path[i], x, x]), Node.stack([grid[i]] * 3), cond).eps
        _, u, c = eps.split(1)
        mixed = u + 7.5 * (c - u)
        x0 = (x - grid[i].sigma * mixed) / grid[i].alpha
        x = Denoised(x0, mixed).at(grid[i + 1].alpha, grid[i + 1].sigma)
    handle.remove()
    model.set_attn_processor(before)
    return x.float()


@pytest.mark.parametrize("family", UNETS)
def test_it_is_the_published_loop(
    tiny_folder: Callable[[str], Path], job: Job, family: str
) -> None:
    """With attention processors of its own and three rows in one batch: what modules put out says
    the same.
    """
    backbone = load_backbone(str(tiny_folder(family))).requires_grad_(False)
    pnp = PlugAndPlay(attention=0.6, features=0.8)
    kept: list[list[Tensor]] = []

    class Kept(DDIMInversion):
        def forward(self, *args: Any) -> Any:
            start = yield from super().forward(*args)
            kept.append(list(start.path))
            return start

    sampler = pipeline_sampler(backbone, pnp, latents=Kept(1, ""), guidance_scale=7.5)
    [found] = made(sampler, job)
    wanted = literal(backbone, kept[0], job, pnp)
    print((found - wanted).norm() / wanted.norm())
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()


def test_rows_never_meet(tiny_folder: Callable[[str], Path], job: Job, tmp_path: Path) -> None:
    """Edits at different steps, of different pictures, among pictures that aren't steered."""
    backbone = load_backbone(str(tiny_folder("sd")))
    pixels = torch.randint(256, (16, 16, 3), generator=torch.Generator(), dtype=torch.uint8)
    Image.fromarray(255 - pixels.numpy()).save(tmp_path / "b.png")
    other = replace(job, id="b", image=tmp_path / "b.png", target={"awe": 1.0})
    jobs = [job, other, replace(job, id="c", target=None), replace(other, id="d", steps=4)]
    sampler = pipeline_sampler(backbone, PlugAndPlay(), emotion_scale=3.0, guidance_scale=2.0)
    alone = [made(sampler, one)[0] for one in jobs]
    assert (alone[0] - alone[2]).abs().max() > 0.05
    for found, wanted in zip(made(sampler, *jobs, slots=3), alone, strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-3, rtol=0)


def test_the_source_is_asked_at_its_own_latents_under_its_own_text(
    tiny_folder: Callable[[str], Path], job: Job
) -> None:
    """And only while something is injected, with no more than that handed out."""
    backbone = load_backbone(str(tiny_folder("sd")))
    asked: list[Predict] = []
    sampler = pipeline_sampler(backbone, PlugAndPlay(), guidance_scale=1.0)
    answers = sampler.answers.forward

    def spy(asks: Any) -> Any:
        asked.extend(ask for ask in asks if isinstance(ask, Predict) and ask.take)
        return answers(asks)

    sampler.answers.forward = spy  # type: ignore[method-assign]
    made(sampler, job)
    empty = backbone.embed([""], (16, 16), negative=True)
    assert len(asked) == 4
    assert [len(ask.take) for ask in asked] == [5, 5, 1, 1]
    assert all(torch.equal(ask.cond["tokens"], empty["tokens"]) for ask in asked)
    assert [int(ask.node.timestep) for ask in asked] == sampler.setup.grid.timesteps[:4].tolist()


# --- which layers ------------------------------------------------------------------------------


def names_of(blocks: list[tuple[int, int]]) -> list[str]:
    """The modules of a decoder: for each block of three layers, how deep its attention is."""
    found = []
    for u, (count, depth) in enumerate(blocks):
        for r in range(count):
            found.append(f"up_blocks.{u}.resnets.{r}.conv2")
            for t in range(depth):
                stem = f"up_blocks.{u}.attentions.{r}.transformer_blocks.{t}"
                found += [f"{stem}.{a}.{p}" for a in ("attn1", "attn2") for p in ("to_q", "to_k")]
    return found


def test_the_published_layers_of_stable_diffusion() -> None:
    """Features of layer 4, attention of layers 4 to 11."""
    known = layers(names_of([(3, 0), (3, 1), (3, 1), (3, 1)]))
    assert len(known) == 12
    assert known[len(known) // 3][1] == "up_blocks.1.resnets.1.conv2"
    attended = [name.split(".transformer")[0] for own, _ in known[4:] for name in own[::2]]
    assert attended == [
        f"up_blocks.{u}.attentions.{r}" for u in (1, 2, 3) for r in range(3) if (u, r) != (1, 0)
    ]
    assert all(".attn1." in name for own, _ in known for name in own)
    sdxl = layers(names_of([(3, 10), (3, 2), (3, 0)]))
    assert sdxl[len(sdxl) // 3][1] == "up_blocks.1.resnets.0.conv2"


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["pixart", "sd3", "flux-schnell"])
def test_transformers_are_refused(tiny_folder: Callable[[str], Path], family: str) -> None:
    backbone = load_backbone(str(tiny_folder(family)))
    with pytest.raises(MuseError, match=r"into the decoder of a UNet, and \w+ has none\. Use Stab"):
        pipeline_sampler(backbone, PlugAndPlay())


def test_what_it_refuses(tiny_folder: Callable[[str], Path], job: Job) -> None:
    backbone = load_backbone(str(tiny_folder("sd")))
    for latents in (GaussianNoise(), PartialNoise()):
        with pytest.raises(MuseError, match=r"gives no path\. Use DDIMInversion\."):
            pipeline_sampler(backbone, PlugAndPlay(), latents=latents)
    with pytest.raises(MuseError, match=r"layer = 4 is out of range\. The decoder has 4: use 0 to"):
        pipeline_sampler(backbone, PlugAndPlay(layer=4))
    with pytest.raises(MuseError, match=r"attention = 1\.5 is out of range"):
        PlugAndPlay(attention=1.5)
    with pytest.raises(MuseError, match=r"features = nan is out of range"):
        PlugAndPlay(features=float("nan"))
    [first] = made(pipeline_sampler(backbone, PlugAndPlay(layer=0)), job)
    [second] = made(pipeline_sampler(backbone, PlugAndPlay()), job)
    assert not torch.equal(first, second)


# --- the word ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_the_word_is_the_prompt_with_it(tiny_folder: Callable[[str], Path], scale: float) -> None:
    """And the plain twin is without it."""
    backbone = load_backbone(str(tiny_folder("sd")))
    options: dict[str, Any] = {"latents": GaussianNoise(), "guidance_scale": scale}
    job = Job("a", "two cats", {"awe": 0.3, "fear": 0.7}, 4)
    sampler = pipeline_sampler(backbone, EmotionWord(), **options)
    word, twin = made(sampler, job, replace(job, id="twin", target=None))
    plain = pipeline_sampler(backbone, EmotionWord(), **options, timing=Never())
    said, unsaid = made(
        plain, replace(job, prompt="two cats, fear and awe"), replace(job, id="unsaid")
    )
    torch.testing.assert_close(word, said, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(twin, unsaid, atol=1e-5, rtol=1e-5)
    assert (word - twin).abs().max() > 1e-2


@pytest.mark.parametrize("steering", [EmotionWord(), PlugAndPlay()])
def test_the_word_stays_where_nothing_is_looked_at(
    tiny_folder: Callable[[str], Path], job: Job, steering: Steering
) -> None:
    backbone = load_backbone(str(tiny_folder("sd")))
    whole, late = (
        made(pipeline_sampler(backbone, steering, look_until=until), job) for until in (1.0, 0.4)
    )
    assert torch.equal(late[0], whole[0])


def test_the_word_may_have_a_scale_of_its_own(tiny_folder: Callable[[str], Path]) -> None:
    """c + w (c_word - c) at guidance 1, by hand for one step."""
    backbone = load_backbone(str(tiny_folder("sd")))
    job = Job("a", "two cats", {"fear": 1.0}, 4)
    sampler = pipeline_sampler(
        backbone, EmotionWord("{emotion}: {prompt}"), latents=GaussianNoise(), guidance_scale=1.0,
        emotion_scale=3.0,
    )  # fmt: skip
    [found] = made(sampler, replace(job, steps=1))
    grid = backbone.time_grid(1, (16, 16))
    x = torch.randn(1, 4, 8, 8, generator=job.noise())

    def at(prompt: str) -> Denoised:
        cond: Cond = backbone.embed([prompt], (16, 16))
        with torch.no_grad():
            return backbone.denoise(x, Node.stack([grid[0]]), cond)

    plain, word = at("two cats"), at("fear: two cats")
    wanted = Denoised(
        plain.x0 + 3 * (word.x0 - plain.x0), plain.eps + 3 * (word.eps - plain.eps)
    ).at(grid[1].alpha, grid[1].sigma)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    "template",
    ["", "{prompt}", "{prompt}, {mood}", "{emotion", "{emotion:>9}", "{}{emotion}"],
)
def test_templates_that_are_none(template: str) -> None:
    for steering in (EmotionWord, PlugAndPlay):
        with pytest.raises(MuseError, match=r"template = .* is not allowed\. Use a text with"):
            steering(template=template)


def test_a_prompt_with_the_word_that_no_model_reads_ends_a_run_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model.steering=EmotionWord", "--model.steering.template=an image of {emotion}"]
    folder = tmp_path / "run"
    config = str(Path(__file__).parent.parent / "configs" / "toy.yaml")
    code = main(["fit-free", "--config", config, "--output_dir", str(folder), *words])
    assert code == 2
    assert "Prompt 'an image of amusement' names 0 of the toy's places" in capsys.readouterr().err
