"""The examples: each does what its page in docs/extend says, by the command line."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from examples.my_backbone import PLACES, Landscape
from examples.my_guide import ManyViews
from examples.my_latent_source import Variations
from examples.my_loss import Margin
from examples.my_start import KeptFrame
from examples.my_steering import LatentOffset
from examples.my_timing import Plateau
from muse import MusePipeline
from muse.backbones import load_backbone
from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.pictures import read_picture
from muse.core.types import Goal, MuseError, Reading
from muse.guides import ConvNet, Guide
from muse.schedulers import Never
from tests.toy import jobs, make, sampler, shares

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "extend").glob("*.md"))
TOY = ["fit-free", "--config", "configs/toy.yaml", "--data.limit=4", "--model.steps=20"]


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def records(folder: Path, *words: str) -> list[dict[str, Any]]:
    """The records of a short run on the toy."""
    assert main([*TOY, "--output_dir", str(folder), *words]) == 0
    return [json.loads(path.read_text()) for path in sorted((folder / "records").iterdir())]


def lead(record: dict[str, Any]) -> float:
    """How many nats the target is ahead of the next emotion in the final picture."""
    [target], p = record["target"], record["probabilities"]
    return math.log(p[target] / max(p[name] for name in p if name != target))


# --- the pages ---------------------------------------------------------------------------------


def test_every_example_has_a_page_in_the_contents() -> None:
    shown = [re.findall(r"literalinclude} \.\./\.\./(.*)", page.read_text()) for page in PAGES]
    files = {f"examples/{path.name}" for path in (ROOT / "examples").glob("my_*.py")}
    assert {name for [name] in shown} == files
    index = (ROOT / "docs" / "index.md").read_text()
    assert all(f"extend/{page.stem}" in index for page in PAGES)


COMMANDS = [
    command
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.DOTALL)
    for command in block.replace("\\\n", " ").splitlines()
]


def test_every_page_has_the_command_of_its_file() -> None:
    for page in PAGES:
        [file] = re.findall(r"literalinclude} \.\./\.\./(.*)", page.read_text())
        said = (ROOT / file).read_text().split('"""')[1].split("\n\n")[1]
        assert said.strip() in page.read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*shlex.split(command)[1:], "--print_config"]) == 0
    assert "class_path: examples.my_" in capsys.readouterr().out


# --- guide -------------------------------------------------------------------------------------


class Reversed(Guide):
    """The judge, with its classes the other way round."""

    labels = EMOTIONS[::-1]

    def __init__(self) -> None:
        super().__init__()
        self.judge = ConvNet("muse-mini/judge.safetensors")

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.judge.read(image).flip(-1)


def test_many_views_are_harder_to_deceive() -> None:
    """A pattern of 0.02 made against one reading of a picture does less to the reading of six."""
    judge = ConvNet("muse-mini/judge.safetensors").eval().requires_grad_(False)
    views = ManyViews(judge)
    pipe = MusePipeline(Landscape())
    places = ["a meadow", "a beach", "a night", "a desert"]
    generator = torch.Generator().manual_seed(0)
    options: dict[str, Any] = {"num_inference_steps": 20, "output_type": "pt"}
    image = pipe(places, generator=generator, **options).images.requires_grad_()
    anger = EMOTIONS.index("anger")
    plain = [guide.read(image).log_softmax(-1)[:, anger] for guide in (judge, views)]
    [slope] = torch.autograd.grad(plain[0].sum(), image)
    deceived = image.detach() + 0.02 * slope.sign()
    one, six = (
        guide.read(deceived).log_softmax(-1)[:, anger] - before
        for guide, before in zip((judge, views), plain, strict=True)
    )
    assert (one > 1).all()
    assert (six < one).all()
    assert six.mean() < 0.85 * one.mean()
    assert torch.allclose(ManyViews(Reversed()).read(deceived), views.read(deceived), atol=1e-5)
    alike = torch.rand(2, 3, 1, 1).expand(2, 3, 64, 64)
    assert torch.allclose(views.read(alike), judge.read(alike).log_softmax(-1), atol=1e-5)
    assert torch.equal(views.views(image)[2][0, 0, 3, 10], image[0, 0, 3, 8])


# --- backbone ----------------------------------------------------------------------------------


def test_landscapes_are_as_their_formula_says() -> None:
    """Plain samples have the place's colours and the clouds' size; inversion leads back."""
    pipe = MusePipeline(Landscape(side=32, clouds=0.2))
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    options: dict[str, Any] = {"output_type": "pt", "num_inference_steps": 60}
    made = pipe(["a night by the sea"] * 24, generator=generator, guidance_scale=1.0, **options)
    points = pipe.backbone.encode(made.images)
    expected = pipe.backbone.mean(pipe.backbone.embed(["sea, night"], (32, 32)), points)[0]
    assert torch.allclose(points.mean((0, 3)), expected[..., 0], atol=0.1)
    sky, ground = 2 * torch.tensor([PLACES["night"], PLACES["sea"]]).mean(0) - 1
    assert torch.allclose(expected[:, [0, -1], 0].T, torch.stack([sky, ground]), atol=0.01)
    clouds = points - expected
    assert clouds.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.1)
    neighbours = (clouds[..., 1:] * clouds[..., :-1]).mean() / clouds.square().mean()
    assert neighbours > 0.8, "clouds, not noise"
    grey = clouds.mean(1, keepdim=True)
    assert (clouds - grey).square().mean() < 0.1 * grey.square().mean()
    source = made.images[:2]
    back = pipe("a night by the sea", image=source, **options).images
    assert (back - source).abs().max() < 0.03


def test_landscapes_are_steered_by_the_packaged_guide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--backbone", "examples.my_backbone.Landscape", "--timing", "Always"]
    words += ["--guidance_scale", "1", "--steps", "12", "--seed", "1"]
    out = ["--out", str(tmp_path / "a.png")]
    assert main(["generate", "a meadow", "--emotion", "sadness", "--plain", *words, *out]) == 0
    found = re.search(r"sadness (\d+)% -> (\d+)% by the guide", capsys.readouterr().out)
    assert found
    assert int(found[2]) > int(found[1]) + 25
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (64, 64)


# --- timing ------------------------------------------------------------------------------------


def test_a_plateau_starts_where_the_similarity_stays(tmp_path: Path) -> None:
    for record in records(tmp_path, "--model.timing", "examples.my_timing.Plateau"):
        seen, start = record["similarity"], record["start_step"]
        assert start == len(seen) - 1
        before, last = seen[:-3], seen[-3:]
        assert max(before) > seen[0] + 1, "it has risen"
        assert max(last) <= max(before) + 1, "and stays"
        assert lead(record) > 0
    assert Plateau(patience=2).init() == Plateau(patience=5).init()


# --- loss --------------------------------------------------------------------------------------


def test_the_margin_is_reached_and_no_more_is_searched_for(tmp_path: Path) -> None:
    words = [
        "--model.plain=false",
        "--model.loss",
        "examples.my_loss.Margin",
        "--model.loss.margin",
    ]
    weak, strong = (records(tmp_path / m, *words, m) for m in ("1", "4"))
    for one, other in zip(weak, strong, strict=True):
        assert lead(one) > 0.9
        assert lead(other) > 3.5
        assert sum(one["iterations"]) < sum(other["iterations"])


def test_the_margin_by_hand() -> None:
    logits = torch.tensor([[3.0, 2.0, 0, 0, 0, 0, 0, 1.0]])
    goals = {(0,): [1.0], (1,): [1.0], (0, 1): [0.75, 0.25]}
    found = {}
    for wanted, weights in goals.items():
        target = torch.zeros(1, 8)
        target[0, list(wanted)] = torch.tensor(weights)
        found[wanted] = Margin(2.0)(Reading(logits), Goal(target, torch.zeros(1, 8))).total.item()
    assert found[0,] == pytest.approx(1.0)  # 3 leads 2 by 1
    assert found[1,] == pytest.approx(3.0)  # 2 lacks 1 and the margin of 2
    assert found[0, 1] == pytest.approx(0.25)  # 3 leads 1 by 2; 2 leads it by 1


# --- steering ----------------------------------------------------------------------------------


def test_an_offset_reaches_the_emotion_and_keeps_the_place(tmp_path: Path) -> None:
    words = ["--model.steering", "examples.my_steering.LatentOffset", "--model.emotion_scale", "1"]
    for record in records(tmp_path, "--model.plain=false", *words):
        assert lead(record) > 0
    made = make(sampler(steering=LatentOffset(), emotion_scale=1.0, steps=25), jobs(2))
    on_target, kept = shares(made)
    assert on_target >= 90
    assert kept >= 90


def test_an_offset_steps_by_its_rate_and_starts_anew() -> None:
    steering = LatentOffset(rate=0.5)
    state = steering.init(torch.ones(1, 3, 4, 4), {}, torch.Generator())
    two = {"offset": state["offset"].expand(2, 3, 4, 4)}
    slope = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    slope = slope * torch.tensor([1.0, 1e4]).view(2, 1, 1, 1)
    index = torch.tensor([0, 0])
    moved = steering.step(two, {"offset": slope}, index, index, index)
    size = moved["offset"].square().mean((1, 2, 3)).sqrt()
    assert torch.allclose(size, torch.tensor([0.5, 0.5]))
    assert ((moved["offset"] * slope).sum((1, 2, 3)) < 0).all()
    assert not steering.carry(moved)["offset"].any()


# --- latents -----------------------------------------------------------------------------------


def test_variations_share_their_noise(tmp_path: Path) -> None:
    """Two prompts that say the same, and so differ by their noise alone."""
    prompts = ["--data.prompts=[a park, the park]", "--data.emotions=[awe]", "--model.steps=6"]
    found = {}
    for name, words in {
        "0": ["examples.my_latent_source.Variations", "--model.latents.strength=0"],
        "1": ["examples.my_latent_source.Variations", "--model.latents.strength=1"],
        "own": ["GaussianNoise"],
    }.items():
        records(tmp_path / name, *prompts, "--model.latents", *words)
        plain = sorted((tmp_path / name / "plain").iterdir())
        found[name] = [np.asarray(Image.open(path).convert("RGB")) for path in plain]
    assert np.array_equal(found["0"][0], found["0"][1])
    assert not np.array_equal(found["1"][0], found["1"][1])
    assert all(map(np.array_equal, found["1"], found["own"]))


def test_the_frame_stays_and_the_middle_is_new(
    tmp_path: Path, tiny_folder: Callable[[str], Path]
) -> None:
    backbone = load_backbone(str(tiny_folder("sd")))
    pixels = torch.randint(256, (16, 16, 3), generator=torch.Generator(), dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(tmp_path / "a.png")
    job = Job("a", "a dog", None, 0, tmp_path / "a.png")
    made = sampler(
        backbone=backbone, guide=ConvNet(width=8), latents=KeptFrame(0.25), steps=5, timing=Never()
    )
    [result] = made.sample([job])
    assert result.latent is not None
    with torch.no_grad():
        source = backbone.encode(read_picture(tmp_path / "a.png", (16, 16)))
    off = (result.latent - source).abs()[0].amax(0)
    assert off.shape == (8, 8)
    frame = torch.ones(8, 8, dtype=torch.bool)
    frame[2:6, 2:6] = False
    assert not off[frame].any()
    assert off[~frame].min() > 1e-3


def test_variations_are_standard_normal_and_as_near_as_asked() -> None:
    backbone, cond = Landscape(), {"tokens": torch.zeros(1, 1, 7)}
    grid = backbone.time_grid(5, backbone.size)
    for strength in (0.0, 0.3, 0.8):
        rows = [Variations(strength)(job, backbone, grid, cond, backbone.size) for job in jobs(1)]
        drawn = []
        for row in rows[:2]:
            with pytest.raises(StopIteration) as stop:
                next(row)
            drawn.append(stop.value.value)
        alike = (drawn[0] * drawn[1]).mean().item()
        assert alike == pytest.approx(1 - strength**2, abs=0.03)
        assert drawn[0].std().item() == pytest.approx(1, abs=0.03)


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_it", "says"),
    [
        (lambda: ManyViews(ConvNet(width=8), shift=0), "shift = 0"),
        (lambda: Plateau(patience=0), "patience = 0"),
        (lambda: Plateau(gain=math.nan), "gain = nan"),
        (lambda: Margin(0.0), "margin = 0"),
        (lambda: Landscape(side=4), "side = 4"),
        (lambda: Landscape().embed(["a spoon"], (64, 64)), "names no place. Name one of beach"),
        (lambda: LatentOffset(-1.0), "rate = -1"),
        (lambda: Variations(1.5), "strength = 1.5 is out of range"),
        (lambda: KeptFrame(0.5), "frame = 0.5 is not allowed"),
        (lambda: KeptFrame(0.2, strength=0), "strength = 0 is not allowed"),
    ],
)
def test_mistakes(make_it: Any, says: str) -> None:
    with pytest.raises(MuseError, match=re.escape(says)):
        make_it()
