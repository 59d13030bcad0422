"""Null-text inversion: against the published loop, and what comes back under guidance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from muse.backbones import Backbone, load_backbone
from muse.core.asks import Match
from muse.core.jobs import Job
from muse.core.pictures import read_picture
from muse.core.types import MuseError, Node
from muse.guides import ConvNet
from muse.latents import DDIMInversion, LatentSource, NullTextInversion, Start
from muse.mini import render
from muse.sampling.engine import run
from muse.schedulers import Never
from tests.components import _PictureToy
from tests.toy import make, sampler

PROMPT = "a walk in the park"
SIZE = (8, 8)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    Image.new("RGB", SIZE, (247, 146, 0)).save(tmp_path / "a.png")
    return Job("a", PROMPT, None, 0, tmp_path / "a.png")


def started(source: LatentSource, made: Any, job: Job, scale: float) -> Start:
    """Where the source lets a job start."""
    cond = made.backbone.embed([job.prompt], SIZE)
    job = replace(job, guidance_scale=scale)
    row = source(job, made.backbone, made.setup.grid, cond, SIZE)
    [start] = run([row], made.answers, 1)
    return start


def published(made: Any, path: list[Tensor], scale: float, lr: float) -> tuple[list[Tensor], int]:
    """The published loop for one picture: the loss is that of the guided step, by autograd. The
    fitted tokens, and how many iterations were made.
    """
    backbone, grid = made.backbone, made.setup.grid
    text, null = backbone.embed([PROMPT], SIZE), backbone.embed([""], SIZE, negative=True)
    unit, x, tokens = text["tokens"].square().mean().sqrt(), path[0], null["tokens"]
    found, count = [], 0
    for i in range(len(grid)):
        node, there = Node.stack([grid[i]]), grid[i + 1]

        def guided(leaf: Tensor, x: Tensor = x, node: Node = node, there: Node = there) -> Tensor:
            c, u = (backbone.denoise(x, node, {"tokens": t}) for t in (text["tokens"], leaf))
            x0, eps = u.x0 + scale * (c.x0 - u.x0), u.eps + scale * (c.eps - u.eps)
            return there.alpha * x0 + there.sigma * eps

        leaf = tokens.clone().requires_grad_()
        adam = torch.optim.Adam([leaf], lr=lr * float(unit) * (1 - i / 100), eps=1e-8 * float(unit))
        for _ in range(10):
            loss = torch.nn.functional.mse_loss(guided(leaf), path[i + 1])
            # Adam steps by sign and scale: in units of the embedding, its gradient is unit * slope.
            [slope] = torch.autograd.grad(loss, leaf)
            leaf.grad = unit**2 * slope
            adam.step()
            count += 1
            if loss < 1e-5 + i * 2e-5:
                break
        tokens = leaf.detach()
        found.append(tokens)
        with torch.no_grad():
            x = guided(tokens)
    return found, count


@pytest.mark.parametrize("flow", [False, True])
def test_it_is_the_published_loop(job: Job, flow: bool) -> None:
    made = sampler(backbone=_PictureToy(2, flow), steps=20, size=SIZE)
    asked: list[Match] = []
    answer = made.answers.forward

    def spy(asks: Any) -> Any:
        asked.extend(ask for ask in asks if isinstance(ask, Match))
        return answer(asks)

    made.answers.forward = spy  # type: ignore[method-assign]
    start = started(NullTextInversion(lr=0.1), made, job, 7.5)
    wanted, count = published(made, list(start.path), 7.5, 0.1)
    assert len(start.nulls) == 20
    for null, tokens in zip(start.nulls, wanted, strict=True):
        assert (null["tokens"] - tokens).abs().max() <= 1e-8
    assert len(asked) == count
    assert 20 < count < 200, "some steps end early, others don't at once"


def decibels(off: Tensor) -> float:
    """PSNR of a range of 1."""
    return -10 * math.log10(float(off.square().mean()))


@pytest.mark.parametrize("flow", [False, True])
def test_the_picture_comes_back_under_guidance(job: Job, flow: bool) -> None:
    """At 7.5 within 3 dB of what guidance 1 returns, and 15 dB above no remedy."""
    options: dict[str, Any] = {"backbone": _PictureToy(2, flow), "steps": 25, "size": SIZE}
    point = torch.tensor([[10 * 247 / 255 - 5, 10 * 146 / 255 - 5]]).double()

    def kept(source: LatentSource, scale: float) -> float:
        made = sampler(latents=source, guidance_scale=scale, timing=Never(), **options)
        [result] = make(made, [job]).values()
        assert result.failure is None
        assert result.image is not None
        return decibels(result.image - point)

    fitted = kept(NullTextInversion(lr=0.1), 7.5)  # most of the toy's tokens are 0: a small unit
    drifted, alone = kept(DDIMInversion(), 7.5), kept(DDIMInversion(), 1.0)
    print("fitted", fitted, "drifted", drifted, "guidance 1", alone)
    assert fitted >= alone - 3
    assert fitted >= drifted + 15


def test_a_scene_comes_back_at_guidance_1(tmp_path: Path) -> None:
    """Negative-prompt inversion with 3 fixed-point iterations, in 20 steps, where the iteration has
    all but converged (46.6 dB); docs/editing.md has 50 steps, over 160 scenes.
    """
    backbone = load_backbone("muse-mini")
    scene = render(32_000_000)
    Image.fromarray(scene.image).save(tmp_path / "a.png")
    job = Job("a", scene.caption, None, 0, tmp_path / "a.png")
    with torch.no_grad():
        source = backbone.decode(backbone.encode(read_picture(tmp_path / "a.png", backbone.size)))

    made = sampler(
        backbone=backbone, guide=ConvNet(width=8), latents=DDIMInversion(3), steps=20,
        timing=Never(), guidance_scale=1.0, emotion_scale=4.0,
    )  # fmt: skip
    [result] = make(made, [job]).values()
    assert result.image is not None
    kept = decibels(result.image.clamp(0, 1) - source.clamp(0, 1))
    print("guidance 1", kept)
    assert kept >= 40


@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart-1024", "sd3", "flux-schnell"])
def test_every_family_has_a_negative_condition_to_fit(
    tiny_folder: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    """And pictures that are fitted in one call come out as each alone does."""
    backbone = load_backbone(str(tiny_folder(family)))
    jobs = []
    for seed in range(2 if family == "sd" else 1):
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.randint(256, (16, 16, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / f"{seed}.png")
        jobs.append(Job(str(seed), "two cats", None, seed, tmp_path / f"{seed}.png"))
    options: dict[str, Any] = {
        "backbone": backbone, "guide": ConvNet(width=8), "steps": 3, "size": (16, 16),
        "timing": Never(), "guidance_scale": 3.0,
    }  # fmt: skip

    def off(source: LatentSource, *some: Job) -> dict[str, float]:
        found = make(sampler(latents=source, **options), list(some))
        assert [result.failure for result in found.values()] == [None] * len(some)
        with torch.no_grad():
            sources = {job.id: latent_of(backbone, job) for job in some}
        ends: dict[str, Any] = {name: result.latent for name, result in found.items()}
        return {name: float((ends[name] - source).norm()) for name, source in sources.items()}

    null = NullTextInversion(iterations=4, lr=0.1, tolerance=0, fixed_point=1)
    fitted, drifted = off(null, *jobs), off(DDIMInversion(1), *jobs)
    print(fitted, drifted)
    assert all(fitted[name] < drifted[name] for name in fitted)
    if family == "sd":
        assert off(null, jobs[0])["0"] == pytest.approx(fitted["0"], rel=0.01)


def latent_of(backbone: Backbone, job: Job) -> Tensor:
    assert job.image is not None
    return backbone.encode(read_picture(job.image, (16, 16)))


def test_a_distance_and_its_gradient_are_each_rows_own() -> None:
    made = sampler(backbone=_PictureToy(), steps=10, size=SIZE)
    generator = torch.Generator().manual_seed(0)
    asks = []
    for i, prompt in ((2, "a park"), (7, "the fair"), (4, "")):
        x, wanted = torch.randn(2, 1, 2, generator=generator, dtype=torch.float64)
        cond = made.backbone.embed([prompt], SIZE, negative=True)
        asks.append(Match(x, made.setup.grid[i], cond, made.setup.grid[i + 1], wanted))
    for ask, found in zip(asks, made.answers(asks), strict=True):
        leaf = ask.cond["tokens"].clone().requires_grad_()
        seen = made.backbone.denoise(ask.x, Node.stack([ask.node]), {"tokens": leaf})
        reached = ask.there.alpha * seen.x0 + ask.there.sigma * seen.eps
        loss = torch.nn.functional.mse_loss(reached, ask.wanted)
        [slope] = torch.autograd.grad(loss, leaf)
        assert found.distance == pytest.approx(loss.item(), rel=1e-12)
        assert slope.abs().max() > 0
        torch.testing.assert_close(found.gradient, slope, rtol=1e-9, atol=1e-15)


def test_what_it_refuses(job: Job) -> None:
    for options, says in (
        ({"iterations": 0}, "iterations = 0 is not allowed"),
        ({"lr": 0.0}, "lr = 0 is not allowed"),
        ({"tolerance": -1.0}, "tolerance = -1 is not allowed"),
        ({"tolerance": float("nan")}, "tolerance = nan is not allowed"),
        ({"fixed_point": -1}, "fixed_point = -1 is not allowed"),
    ):
        with pytest.raises(MuseError, match=says):
            NullTextInversion(**options)
    made = sampler(
        backbone=_PictureToy(), latents=NullTextInversion(), steps=4, size=SIZE, timing=Never(),
        guidance_scale=1.0,
    )  # fmt: skip
    own = replace(job, id="own", guidance_scale=3.0)
    found = make(made, [job, own, replace(own, id="none", image=None)])
    assert found["own"].failure is None, "a job's own scale counts"
    assert found[job.id].failure == (
        "NullTextInversion fits the negative condition, and guidance_scale 1 reads none. Use "
        "another guidance_scale, or DDIMInversion."
    )
    assert "has no picture to start from" in str(found["none"].failure)
