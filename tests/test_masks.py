"""Masks: outside of one nothing is but the source (of a generation the plain twin), in latents at
every step and in pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from muse.backbones import Backbone, load_backbone
from muse.core.emotions import EMOTIONS
from muse.core.frames import Frame, box_of, latent_mask
from muse.core.jobs import Job
from muse.core.masks import as_mask, open_mask
from muse.core.pictures import as_picture, open_picture, read_picture
from muse.core.results import Result
from muse.core.types import (
    Cond,
    Denoised,
    Goal,
    LossTerms,
    MuseError,
    Node,
    Reading,
    per_row,
)
from muse.guides import ConvNet, Guide, Similarity
from muse.latents import DDIMInversion, GaussianNoise, NullTextInversion, PartialNoise, Start
from muse.latents.base import LatentSource
from muse.losses import MultiEmotionLoss
from muse.pipeline import MusePipeline
from muse.sampling import Sampler
from muse.schedulers import DDIM, Always, DPMSolver2M, StepWindow, TimeGrid
from muse.steering import (
    BestOfN,
    EmotionWord,
    NoiseOptimization,
    ParticleResampling,
    PlugAndPlay,
    Steering,
    TokenOptimization,
    UniversalGuidance,
)
from tests.toy import jobs as toy_jobs
from tests.toy import make
from tests.toy import sampler as toy_sampler
from tests.watching import Latents

SIZE = (16, 16)
STEPS = 4
LEFT = (0, 0, 8, 16)
"""The box, in pixels, that the tests' mask leaves free."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture of noise, and masks: hard, soft, white, black, of other sizes."""
    folder = tmp_path_factory.mktemp("masks")
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "photo.png")
    hard = Image.new("L", (16, 16))
    hard.paste(255, LEFT)
    hard.save(folder / "hard.png")
    corner = Image.new("L", (16, 16))
    corner.paste(255, (0, 0, 8, 8))
    corner.save(folder / "corner.png")
    slope = np.linspace(255, 0, 12).round().astype(np.uint8)
    soft = np.tile(np.concatenate([slope, np.zeros(4, np.uint8)]), (16, 1))
    Image.fromarray(soft).save(folder / "soft.png")
    Image.new("L", (16, 16), 255).save(folder / "white.png")
    Image.new("L", (16, 16)).save(folder / "black.png")
    Image.new("L", (48, 16), 255).save(folder / "wide.png")
    hard.resize((64, 64), Image.Resampling.NEAREST).save(folder / "large.png")
    return folder


@pytest.fixture
def tiny(tiny_folder: Callable[[str], Path]) -> Callable[..., Sampler]:
    """A sampler on a tiny random pipeline, by the source of its latents and other options."""

    def of(
        latents: LatentSource, steering: Steering | None = None, family: str = "sd", **options: Any
    ) -> Sampler:
        torch.manual_seed(1)
        guide = ConvNet(width=8)
        guide.fc.weight.data *= 30
        given: dict[str, Any] = {"timing": StepWindow(0.25), "steps": STEPS, "size": SIZE}
        given |= {"guidance_scale": 3.0, "max_iterations": 2, **options}
        steers = steering or TokenOptimization(tokens=3, lr=0.1)
        parts = (load_backbone(str(tiny_folder(family))), guide, steers)
        return Sampler(*parts, loss=MultiEmotionLoss(), latents=latents, **given)

    return of


def job_of(files: Path, mask: str | None, edits: bool = True, **more: Any) -> Job:
    job = Job("a", "a dog", {"awe": 1.0}, 3, files / "photo.png" if edits else None)
    return replace(job, mask=None if mask is None else files / mask, **more)


def run(made: Sampler, *wanted: Job, slots: int = 1) -> tuple[Mapping[str, Result], Latents]:
    kept = Latents()
    found = {result.job.id: result for result in made.sample(wanted, slots, [kept])}
    for result in found.values():
        assert result.failure is None, result.failure
    return found, kept


def picture_of(result: Result) -> Tensor:
    assert result.image is not None
    return result.image


# In latents, and in pixels


@pytest.mark.parametrize("source", [DDIMInversion(), PartialNoise(0.75), NullTextInversion(1)])
def test_an_edit_is_its_source_outside_of_the_mask(
    source: LatentSource, tiny: Callable[..., Sampler], files: Path
) -> None:
    made = tiny(source)
    found, kept = run(made, job_of(files, "hard.png"))
    image, photo = picture_of(found["a"]), read_picture(files / "photo.png", SIZE)
    assert torch.equal(image[..., 8:], photo[..., 8:])
    assert ((image - photo)[..., :8].abs() > 1e-3).any(1).float().mean() > 0.9
    cond = made.backbone.embed(["a dog"], SIZE)
    latent = made.backbone.encode(photo)
    if isinstance(source, DDIMInversion):
        path = follow(made, source.invert(latent, made.setup.grid, cond))
    else:
        noise = torch.randn(latent.shape, generator=job_of(files, None).noise())
        grid = made.setup.grid
        path = [grid[i].alpha * latent + grid[i].sigma * noise for i in range(1, STEPS)]
        path = [latent, *path, latent]  # the first is not stood at
    steps = kept.of["a"]
    for x, there in zip(steps, path[-len(steps) :], strict=True):
        torch.testing.assert_close(x[..., 4:], there[..., 4:], atol=1e-6, rtol=0)
        assert (x - there)[..., :4].abs().max() > 1e-3
    assert torch.equal(steps[-1][..., 4:], latent[..., 4:])


def follow(made: Sampler, row: Any) -> Any:
    """What a row of plain predictions returns."""
    answers = None
    while True:
        try:
            asks = row.send(answers)
        except StopIteration as stop:
            return stop.value
        answers = made.answers(asks)


@pytest.mark.parametrize("solver", [DDIM(), DPMSolver2M(), DDIM(eta=1.0)])
def test_a_generation_is_its_plain_twin_outside_of_the_mask(
    solver: Any, tiny: Callable[..., Sampler], files: Path
) -> None:
    made = tiny(GaussianNoise(), scheduler=solver)
    masked = job_of(files, "hard.png", edits=False)
    plain = replace(masked, id="plain", target=None)
    found, kept = run(made, masked, plain)
    inside = (picture_of(found["a"]) - picture_of(found["plain"]))[..., :8]
    assert torch.equal(picture_of(found["a"])[..., 8:], picture_of(found["plain"])[..., 8:])
    assert (inside.abs() > 1e-6).any(1).float().mean() > 0.9
    for x, twin in zip(kept.of["a"], kept.of["plain"], strict=True):
        assert torch.equal(x[..., 4:], twin[..., 4:])
    assert not torch.equal(kept.of["a"][-1], kept.of["plain"][-1])
    unmasked, _ = run(made, replace(plain, mask=None))
    assert torch.equal(picture_of(unmasked["plain"]), picture_of(found["plain"]))


@pytest.mark.parametrize("edits", [True, False])
def test_white_is_no_mask(edits: bool, tiny: Callable[..., Sampler], files: Path) -> None:
    made = tiny(DDIMInversion() if edits else GaussianNoise())
    white, _ = run(made, job_of(files, "white.png", edits))
    none, _ = run(made, job_of(files, None, edits))
    for name in ("image", "latent"):
        assert torch.equal(getattr(white["a"], name), getattr(none["a"], name))
    assert (white["a"].trace, white["a"].cost) == (none["a"].trace, none["a"].cost)
    assert white["a"].probabilities == none["a"].probabilities


def test_intensity_0_under_a_mask_is_the_plain_twin(
    tiny: Callable[..., Sampler], files: Path
) -> None:
    made = tiny(DDIMInversion(), guidance_scale=1.0)
    masked = job_of(files, "soft.png")
    found, _ = run(
        made, replace(masked, id="none", intensity=0.0), replace(masked, id="twin", target=None)
    )
    assert torch.equal(picture_of(found["none"]), picture_of(found["twin"]))
    half, _ = run(made, replace(masked, intensity=0.5))
    less, _ = run(made, replace(masked, intensity=-0.5))
    outside = read_picture(files / "photo.png", SIZE)[..., 12:]
    for result in (found["none"], half["a"], less["a"]):
        assert torch.equal(picture_of(result)[..., 12:], outside)


def test_grey_is_between(tiny: Callable[..., Sampler], files: Path) -> None:
    """Under a slope from white to black, what changes gets less and less."""
    found, _ = run(tiny(DDIMInversion()), job_of(files, "soft.png"))
    photo = read_picture(files / "photo.png", SIZE)
    changed = (picture_of(found["a"]) - photo).abs().mean((0, 1, 2))
    assert changed[:4].mean() > 2 * changed[8:12].mean()
    assert (changed[8:12] > 0).any()
    assert not changed[12:].any()


STEERINGS: dict[str, tuple[Callable[[], Steering], bool, dict[str, Any]]] = {
    "word": (EmotionWord, True, {}),
    "guidance by x": (lambda: UniversalGuidance(strength=20.0), True, {}),
    "Plug-and-Play": (PlugAndPlay, True, {}),
    "best noise": (lambda: BestOfN(3), False, {"timing": Always()}),
    "particles": (
        lambda: ParticleResampling(3, every=0.5, start=0.5),
        False,
        {"timing": Always(), "scheduler": DDIM(1.0)},
    ),
    "noise by gradient": (
        lambda: NoiseOptimization(2, rate=0.5), False, {"timing": Always()}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STEERINGS)
def test_every_steering_stays_inside(name: str, tiny: Callable[..., Sampler], files: Path) -> None:
    steering, edits, options = STEERINGS[name]
    made = tiny(DDIMInversion() if edits else GaussianNoise(), steering(), **options)
    masked = job_of(files, "hard.png", edits)
    found, kept = run(made, masked, replace(masked, id="plain", target=None))
    assert torch.equal(picture_of(found["a"])[..., 8:], picture_of(found["plain"])[..., 8:])
    assert not torch.equal(picture_of(found["a"]), picture_of(found["plain"]))
    stood = kept.of.get("a", [])  # nowhere, where the steering moves to the end by itself
    for x, plain in zip(stood[::-1], kept.of["plain"][::-1], strict=False):
        assert torch.equal(x[..., 4:], plain[..., 4:])


@pytest.mark.parametrize("family", ["sdxl", "pixart", "sd3", "flux-dev"])
def test_every_family_stays_inside(family: str, tiny: Callable[..., Sampler], files: Path) -> None:
    made = tiny(DDIMInversion(), EmotionWord(), family, steps=2)
    found, _ = run(made, job_of(files, "hard.png"))
    photo = read_picture(files / "photo.png", SIZE)
    assert torch.equal(picture_of(found["a"])[..., 8:], photo[..., 8:])
    assert (picture_of(found["a"]) - photo)[..., :8].abs().max() > 1e-3


# Rows


class Cells(Backbone):
    """An exact toy with pictures: each cell of 2 x 2 pixels is a normal number of its own, around
    the mean of the condition's tokens. In float64, and cell by cell, so that a row is the same to
    the bit whatever it shares a call with.
    """

    size = (8, 8)

    def embed(self, prompts: Sequence[str], size: Any, negative: bool = False) -> Cond:
        rows = [torch.full((1, 3), len(prompt) / 20 - 0.5).double() for prompt in prompts]
        return {"tokens": torch.stack(rows)}

    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        return {"tokens": torch.cat([cond["tokens"], tokens.double()], 1)}

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        alpha, sigma = per_row(node.alpha, x), per_row(node.sigma, x)
        mean = 3 * cond["tokens"].mean(1)[..., None, None]
        x0 = (0.1 * alpha * x + sigma**2 * mean) / (0.1 * alpha**2 + sigma**2)
        return Denoised.from_x0(x, x0, node.alpha, node.sigma)

    def time_grid(self, steps: int, size: Any) -> TimeGrid:
        return TimeGrid.vp(steps)

    def latent_shape(self, size: Any) -> tuple[int, ...]:
        return 3, size[0] // 2, size[1] // 2

    def encode(self, image: Tensor) -> Tensor:
        return 2 * torch.nn.functional.avg_pool2d(image, 2) - 1

    def decode(self, latent: Tensor) -> Tensor:
        return (latent.repeat_interleave(2, -1).repeat_interleave(2, -2) + 1) / 2


class Colours(Guide):
    """Reads the mean colour."""

    def forward(self, image: Tensor) -> Tensor:
        angles = torch.arange(8, device=image.device) * math.pi / 4
        wheel = torch.stack([angles.cos(), angles.sin(), (2 * angles).cos()], 1).double()
        return 8 * (image.mean((2, 3))[:, None] * wheel).sum(-1)


def cells(latents: LatentSource, **options: Any) -> Sampler:
    parts = (Cells(), Colours(), TokenOptimization(tokens=2, lr=0.3), StepWindow(0.25))
    given: dict[str, Any] = {"steps": 4, "guidance_scale": 2.0, "max_iterations": 2, **options}
    loss = given.pop("loss", MultiEmotionLoss())
    return Sampler(*parts, loss, latents, **given)


@pytest.mark.parametrize("edits", [True, False])
@pytest.mark.parametrize("view", ["whole", "inside"])
def test_rows_with_and_without_masks_never_meet(edits: bool, view: Any, files: Path) -> None:
    """Bit for bit, whatever shares the calls."""
    made = cells(DDIMInversion() if edits else GaussianNoise(), mask_view=view)
    masks = ("corner.png", None, "soft.png", "hard.png", None)
    wanted = [
        replace(job_of(files, mask, edits), id=f"{i}", prompt="a dog" * (i % 2 + 1))
        for i, mask in enumerate(masks)
    ]
    wanted[-1] = replace(wanted[-1], target=None)
    together, kept = run(made, *wanted, slots=5)
    few, _ = run(made, *wanted[::-1], slots=2)
    for job in wanted:
        alone, steps = run(made, job)
        assert len(kept.of[job.id]) == 4
        for x, one in zip(kept.of[job.id], steps.of[job.id], strict=True):
            assert torch.equal(x, one)
        for other in (alone[job.id], few[job.id]):
            assert torch.equal(picture_of(together[job.id]), picture_of(other))
            assert together[job.id].trace == other.trace
            assert together[job.id].probabilities == other.probabilities
    assert not torch.equal(picture_of(together["0"]), picture_of(together["2"]))


def test_a_mask_of_another_scale_is_the_same_mask(files: Path) -> None:
    made = cells(GaussianNoise())
    one, _ = run(made, job_of(files, "hard.png", edits=False))
    other, _ = run(made, job_of(files, "large.png", edits=False))
    assert torch.equal(picture_of(one["a"]), picture_of(other["a"]))


def test_what_the_guide_looks_at(files: Path) -> None:
    """Each view brings the emotion to where it looks; what is told at the end is the whole
    picture's.
    """
    found = {}
    for view in ("whole", "inside"):
        options: dict[str, Any] = {"mask_view": view, "max_iterations": 40, "tolerance": 0.5}
        made = cells(GaussianNoise(), **options)
        [result] = run(made, job_of(files, "corner.png", edits=False))[0].values()
        read = made.answers.guide.read(picture_of(result)).softmax(-1)[0].tolist()
        assert list(result.probabilities.values()) == read
        part = made.answers.guide.read(picture_of(result)[..., :4, :4]).softmax(-1)[0]
        found[view] = result.probabilities["awe"], float(part[EMOTIONS.index("awe")])
    print(found)
    assert found["whole"][0] > found["inside"][0] + 0.2
    assert found["inside"][1] > found["whole"][1] + 0.2


class Blue(Similarity):
    """How blue a picture is, whatever the prompt."""

    def forward(self, image: Tensor, prompts: Sequence[str]) -> Tensor:
        return 100 * image.mean((2, 3))[:, 2]


class Noted(MultiEmotionLoss):
    """Keeps what it was given."""

    readings: list[Reading]

    def forward(self, reading: Reading, goal: Goal) -> LossTerms:
        self.readings.append(reading)
        return super().forward(reading, goal)


def test_the_content_is_compared_where_the_guide_looks(files: Path) -> None:
    """The similarity of the content term is that of the picture that the guide reads, whose mean
    colour its logits tell; at the same first look another one for each view.
    """
    angles = torch.arange(8) * math.pi / 4
    wheel = 8 * torch.stack([angles.cos(), angles.sin(), (2 * angles).cos()], 1).double()
    first = {}
    for view in ("whole", "inside"):
        loss = Noted(content_weight=1.0, content_floor=100.0)
        loss.readings = []
        made = cells(GaussianNoise(), mask_view=view, loss=loss, similarity=Blue())
        [result] = run(made, job_of(files, "corner.png", edits=False))[0].values()
        assert len(loss.readings) == len(result.trace.inner["total"]) >= 6
        for reading, term in zip(loss.readings, result.trace.inner["loss_content"], strict=True):
            assert reading.similarity is not None
            colour = reading.logits.detach() @ torch.linalg.pinv(wheel).T
            torch.testing.assert_close(reading.similarity.detach(), 100 * colour[:, 2])
            assert term == pytest.approx(1 - float(colour[:, 2]))
        first[view] = 100 * (1 - result.trace.inner["loss_content"][0])
    assert abs(first["whole"] - first["inside"]) > 0.1


def test_the_part_inside() -> None:
    pixels = torch.zeros(1, 1, 8, 16)
    pixels[..., 2:4, 10:16] = 0.5
    assert box_of(pixels) == (3 / 8 - 3 / 16, 10 / 16, 6 / 16)
    assert box_of(torch.ones(1, 1, 8, 16)) is None
    image = torch.rand(1, 3, 8, 16)
    frame = Frame(pixels, torch.zeros(1, 3, 8, 16), pixels, image, box_of(pixels))
    shown = frame.shown(image)
    part = image[..., 2:5, 10:16]
    assert shown.shape == image.shape
    assert part.min() <= shown.min()
    assert shown.max() <= part.max()
    assert torch.equal(replace(frame, box=None).shown(image), image)


def test_a_mask_at_the_scale_of_latents_is_twice_the_share_that_may_change() -> None:
    pixels = torch.zeros(1, 1, 4, 8)
    pixels[..., :3] = 1
    pixels[..., 0, 7] = 1
    assert latent_mask(pixels, torch.zeros(1, 4, 1, 4)).tolist() == [[[[1.0, 1.0, 0.0, 0.25]]]]


# Files


def test_masks_lie_over_their_pictures(files: Path, tmp_path: Path) -> None:
    """Scaled and cropped as the picture is, at the model's scale and at its own."""
    photo = Image.effect_noise((150, 100), 60).convert("RGB")
    photo.save(tmp_path / "photo.png")
    small = Image.new("L", (75, 50))
    small.paste(255, (25, 0, 50, 50))  # at half the photo's scale: its columns 50 to 100
    mask, source = as_mask(small, "mask"), open_picture(tmp_path / "photo.png")
    fitted = mask.fitted((16, 16), source.image.size)
    assert fitted.shape == (1, 1, 16, 16)
    columns = fitted[0, 0].amax(0)
    assert not columns[:3].any()
    assert not columns[13:].any()
    assert (columns[5:11] == 1).all()
    kept = np.asarray(mask.kept(Image.new("RGB", (100, 100), "red"), source, (16, 16)))
    own = np.asarray(photo)[:, 25:125]
    same = (kept == own).all(-1).all(0)
    assert same[:22].all()
    assert same[78:].all()
    assert (kept[:, 30:70] == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.png", "No picture at"),
        ("text.png", "can't be read as a picture"),
        ("wide.png", r"is 48x16, and what it masks 16x16\. Give a mask of the same proportions"),
        ("black.png", "is black all over, so that nothing could change"),
    ],
)
def test_masks_that_are_none(name: str, says: str, files: Path) -> None:
    """One line each, from the file and in a row, which fails alone."""
    (files / "text.png").write_text("no picture")
    with pytest.raises(MuseError, match=says) as told:
        open_mask(files / name).fitted(SIZE, (16, 16))
    assert "\n" not in str(told.value)
    made = cells(DDIMInversion(), size=SIZE)
    bad = replace(job_of(files, name), id="bad")
    found = {r.job.id: r for r in made.sample([bad, job_of(files, "hard.png")], 2)}
    assert str(found["bad"].failure) == str(told.value)
    assert found["a"].failure is None


def test_a_view_that_is_none() -> None:
    with pytest.raises(MuseError, match="mask_view 'Inside' is not allowed"):
        cells(GaussianNoise(), mask_view="Inside")


def test_white_where_nothing_is_edited(files: Path) -> None:
    edge = Image.new("L", (64, 16))
    edge.paste(255, (0, 0, 8, 16))
    with pytest.raises(MuseError, match="black all over where the picture is edited"):
        as_mask(edge, "mask").fitted((16, 16), (64, 16))


def test_points_and_sources_without_a_path_know_no_masks(files: Path) -> None:
    [found] = make(
        toy_sampler(steps=2), [replace(toy_jobs(1)[0], mask=files / "hard.png")]
    ).values()
    assert found.failure == "GaussianMixture has points, which no mask lies over."

    class Pathless(DDIMInversion):
        def forward(self, *given: Any) -> Any:
            start = yield from super().forward(*given)
            return Start(start.x)

    [found] = cells(Pathless(), size=SIZE).sample([job_of(files, "hard.png")])
    assert str(found.failure).startswith("Pathless gives no path of the picture, which a mask")


# From Python


def test_from_python(files: Path) -> None:
    """Pillow images and tensors, of edits and of pictures from noise, with rows without a mask."""
    pipe = MusePipeline(Cells(), Colours(), timing=StepWindow(0.25))
    pipe.set_progress_bar_config(disable=True)
    hard, photo = (open_picture(files / f"{name}.png").image for name in ("hard", "photo"))
    given: dict[str, Any] = {"num_inference_steps": 3, "output_type": "pt", "slots": 1}
    given["guidance_scale"] = 1.0
    start = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    small = hard.convert("L").resize((8, 8), Image.Resampling.BOX)
    mask = torch.from_numpy(np.array(small))[None, None] / 255
    made, plain, other = (
        pipe("a dog", emotion, mask_image=over, latents=start, **given).images
        for emotion, over in (("awe", hard), (None, hard), ("awe", mask))
    )
    assert torch.equal(made[..., 4:], plain[..., 4:])
    assert not torch.equal(made[..., :4], plain[..., :4])
    assert torch.equal(made, other)
    edit = pipe("a dog", ["awe", "fear"], image=photo, mask_image=hard, **given).images
    source = as_picture(photo, "image").fitted((8, 8))
    assert torch.equal(edit[..., 4:].float(), source[..., 4:].expand(2, 3, 8, 4))
    for bad, says in (
        ("hard.png", "mask_image is a str"),
        (torch.ones(1, 3, 8, 8), "Give one channel"),
        (Image.new("L", (8, 8)), "mask_image is black all over"),
        (Image.new("L", (32, 8)), "mask_image is 32x8, and what it masks 8x8"),
    ):
        with pytest.raises(MuseError, match=says):
            pipe("a dog", "awe", mask_image=bad, **given)  # type: ignore[arg-type]
