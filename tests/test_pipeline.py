"""`MusePipeline`: diffusers' meanings, and the pictures of `muse generate` and `muse edit`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline, StableDiffusionPipeline
from PIL import Image
from torchvision.transforms.functional import to_pil_image

import muse
from muse import MusePipeline
from muse.backbones import BayesGuide, GaussianMixture, PipelineBackbone, PlaceSimilarity
from muse.cli import main
from muse.core.jobs import Job
from muse.core.registry import available
from muse.core.types import MuseError
from muse.guides import ClipSimilarity, ConvNet, GuideEnsemble
from muse.latents import DDIMInversion, NullTextInversion, PartialNoise
from muse.losses import MultiEmotionLoss
from muse.pipeline.inputs import noise_of
from muse.presets.building import built, laid
from muse.pretrained.packaged import locate
from muse.runs.deciding import described
from muse.sampling import Sampler
from muse.schedulers import Always, ClipThreshold, StepWindow
from muse.steering import BestOfN, ParticleResampling, TextShift, TokenOptimization
from tests.tiny import FAMILIES
from tests.toy import sampler

ROOT = Path(__file__).parent.parent
PROMPTS = ["a dog in a park", "a boat on a beach"]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def mini() -> MusePipeline:
    pipe = MusePipeline.from_pretrained("muse-mini")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def diffusers_pipe() -> Any:
    """Diffusers' own pipeline on muse-mini, with DDIM."""
    pipe = StableDiffusionPipeline.from_pretrained(
        locate("muse-mini"), torch_dtype=torch.float32, safety_checker=None
    )
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def toy() -> MusePipeline:
    pipe = MusePipeline(
        GaussianMixture(),
        BayesGuide(),
        PlaceSimilarity(),
        TokenOptimization(lr=0.2),
        ClipThreshold(60),
        MultiEmotionLoss(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


# --- diffusers' meanings -----------------------------------------------------------------------


STARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "one generator": lambda: {"generator": seeded(1)},
    "a list of them": lambda: {"generator": [seeded(1), seeded(2)]},
    "latents": lambda: {"latents": torch.randn(2, 8, 12, 16, generator=seeded(3))},
    "torch's own generator": dict,
}


@pytest.mark.parametrize(
    ("start", "options"),
    [
        ("one generator", {"negative_prompt": ""}),
        ("a list of them", {"guidance_scale": 1.0}),
        ("latents", {"guidance_scale": 3.0, "height": 96, "width": 128}),
        ("torch's own generator", {"num_images_per_prompt": 2, "negative_prompt": "a cat"}),
        ("latents", {"negative_prompt": ["a cat", "a house"], "height": 96, "width": 128}),
    ],
)
def test_plain_pictures_are_diffusers(
    mini: MusePipeline, diffusers_pipe: Any, start: str, options: dict[str, Any]
) -> None:
    """With equal arguments; one negative prompt may serve for all."""
    torch.manual_seed(5)
    options = {"guidance_scale": 4.0, **options, "num_inference_steps": 4, "output_type": "pt"}
    found = mini(PROMPTS, **options, **STARTS[start]()).images
    if isinstance(options.get("negative_prompt"), str):
        options["negative_prompt"] = [options["negative_prompt"]] * 2
    torch.manual_seed(5)
    expected = diffusers_pipe(PROMPTS, **options, **STARTS[start]()).images
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("sd-v", "sdxl-v")])
def test_every_family_is_diffusers_own_where_nothing_is_said(
    tiny_folder: Callable[[str], Path], family: str
) -> None:
    """The backbone by the folder's index, x_T from the generator, guidance by default."""
    folder = tiny_folder(family)
    mine = MusePipeline.from_pretrained(str(folder))
    theirs: Any = DiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    options: dict[str, Any] = {"num_inference_steps": 3, "output_type": "pt"}
    options |= {"height": 32, "width": 32}
    found = mine("a b", generator=seeded(0), **options).images
    if "PixArt" in type(theirs).__name__:
        options |= {"clean_caption": False, "use_resolution_binning": False}
    expected = theirs("a b", generator=seeded(0), **options).images
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_guidance_left_out_is_diffusers_own() -> None:
    for cls in available(PipelineBackbone).values():  # type: ignore[type-abstract]
        default = signature(cls.pipeline_class.__call__).parameters["guidance_scale"].default
        distilled = cls.__name__ == "Flux"  # there it isn't classifier-free guidance
        assert cls.default_guidance_scale == (1 if distilled else default)


def test_output_types(mini: MusePipeline, diffusers_pipe: Any) -> None:
    """Each is what diffusers returns under that name."""
    options: dict[str, Any] = {"num_inference_steps": 1, "guidance_scale": 4.0}
    for kind in ("pil", "np", "pt", "latent"):
        found, expected = (
            pipe(PROMPTS[0], generator=seeded(0), output_type=kind, **options).images
            for pipe in (mini, diffusers_pipe)
        )
        assert type(found) is type(expected)
        if kind == "pil":
            assert [picture.size for picture in found] == [(128, 128)]
            found, expected = ([np.asarray(one) for one in pair] for pair in (found, expected))
            assert np.abs(np.float32(found) - np.float32(expected)).max() <= 1
        else:
            assert found.shape == expected.shape
            assert found.dtype == expected.dtype
            assert abs(found - expected).max() <= 1e-3


def test_a_callback_sees_and_replaces_latents_as_in_diffusers(
    mini: MusePipeline, diffusers_pipe: Any
) -> None:
    """Both pipelines are led the same way by one callback; ours sees rows apart."""
    seen: dict[int, list[tuple[int, int]]] = {}

    def callback(pipe: Any, step: int, timestep: torch.Tensor, kwargs: dict[str, Any]) -> Any:
        if pipe is mini:
            assert kwargs["latents"].shape == (1, 8, 16, 16)
            seen.setdefault(kwargs["row"], []).append((step, int(timestep)))
        return {"latents": kwargs["latents"] * 0.9} if step == 1 else {}

    options = {"num_inference_steps": 3, "output_type": "pt", "guidance_scale": 2.0}
    found, expected = (
        pipe(PROMPTS, generator=seeded(0), callback_on_step_end=callback, **options).images
        for pipe in (mini, diffusers_pipe)
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert seen == {row: [(0, 667), (1, 334), (2, 1)] for row in (0, 1)}
    untouched = mini(PROMPTS, generator=seeded(0), **options).images
    assert (found - untouched).abs().max() > 0.01


def test_an_interrupt_ends_a_call_as_in_diffusers(mini: MusePipeline, diffusers_pipe: Any) -> None:
    """The picture so far is decoded, with what the callback returned; the next call is whole."""
    seen: list[int] = []

    def callback(pipe: Any, step: int, timestep: torch.Tensor, kwargs: dict[str, Any]) -> Any:
        if pipe is mini:
            seen.append(step)
        pipe._interrupt = step == 1
        return {"latents": kwargs["latents"] * 0.9} if step == 1 else {}

    options = {"num_inference_steps": 5, "output_type": "pt", "guidance_scale": 2.0}
    found, expected = (
        pipe(PROMPTS, generator=seeded(0), callback_on_step_end=callback, **options).images
        for pipe in (mini, diffusers_pipe)
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert sorted(seen) == [0, 0, 1, 1]
    assert mini.interrupt
    whole = mini(PROMPTS, generator=seeded(0), **options).images
    assert not mini.interrupt
    torch.testing.assert_close(
        whole, diffusers_pipe(PROMPTS, generator=seeded(0), **options).images, atol=1e-4, rtol=0
    )


def stop(pipe: Any, step: int, *_: Any) -> dict[str, Any]:
    pipe._interrupt = True
    return {}


@pytest.mark.parametrize("slots", [1, 3])
def test_an_interrupt_ends_steered_rows_and_those_that_wait(toy: MusePipeline, slots: int) -> None:
    """Those that wait come out as they would begin; nobody is told to steer earlier."""
    latents = torch.randn(3, 2, generator=seeded(0))
    options: dict[str, Any] = {"num_inference_steps": 6, "output_type": "latent"}
    options |= {"latents": latents, "callback_on_step_end": stop, "slots": slots}
    made = toy(["a park"] * 3, "awe", **options)
    moved = [not torch.equal(*pair) for pair in zip(made.images.float(), latents, strict=True)]
    assert moved == [row < slots for row in range(3)]
    assert [len(trace.iterations) for trace in made.traces] == [int(one) for one in moved]
    options |= {"output_type": "pil", "timing": Always()}
    assert len(toy(["a park"] * 3, ["awe", None, "fear"], **options).images) == 3


def test_an_edit_that_waits_when_a_call_is_interrupted_stays_its_source(mini: MusePipeline) -> None:
    given = mini(PROMPTS, num_inference_steps=4, output_type="pt", generator=seeded(0)).images
    options: dict[str, Any] = {"num_inference_steps": 6, "output_type": "pt", "slots": 1}
    made = mini(PROMPTS, image=given, callback_on_step_end=stop, **options).images
    source = mini.backbone.decode(mini.backbone.encode(given)).clamp(0, 1)
    torch.testing.assert_close(made[1], source[1], atol=1e-5, rtol=0)
    assert (made[0] - source[0]).abs().max() > 0.1, "one step from noise"


# --- muse's own commands -----------------------------------------------------------------------


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


def test_it_is_the_picture_of_muse_generate_and_muse_edit(
    mini: MusePipeline, tmp_path: Path
) -> None:
    """Bit for bit, with the seed in a generator and otherwise the defaults of both."""
    out, edited = tmp_path / "dog.png", tmp_path / "fear.png"
    words = ["--seed", "3", "--plain", "false", "--steps", "7", "--max_iterations", "1"]
    assert main(["generate", PROMPTS[0], "--emotion", "awe", *words, "--out", str(out)]) == 0
    options: dict[str, Any] = {"num_inference_steps": 7, "max_iterations": 1}
    made = mini(PROMPTS[0], "awe", generator=seeded(3), **options)
    assert np.array_equal(np.asarray(made.images[0]), pixels(out))
    [start] = made.start_steps
    assert start is not None
    assert made.traces[0].inner["p_target"]
    assert sum(made.probabilities[0].values()) == pytest.approx(1)

    ask = ["edit", str(out), "--prompt", PROMPTS[0], "--emotion", "fear", "--out", str(edited)]
    assert main([*ask, *words, "--timing.start", "0.8"]) == 0
    options["timing"] = StepWindow(0.8)
    with Image.open(out) as picture:
        edit = mini(PROMPTS[0], "fear", image=picture, generator=seeded(3), **options)
    assert np.array_equal(np.asarray(edit.images[0]), pixels(edited))


# --- rows --------------------------------------------------------------------------------------


def test_lists_broadcast_and_rows_are_as_alone(toy: MusePipeline) -> None:
    """Float64 on the toy: bit for bit."""
    emotions = ["awe", None, {"fear": 3, "sadness": 1}, "fear:0.75,sadness:0.25"]
    options: dict[str, Any] = {"num_inference_steps": 12, "output_type": "pt"}
    made = toy("a park", emotions, generator=[seeded(i) for i in (0, 1, 2, 2)], **options)
    assert made.images.dtype == torch.float64
    assert torch.equal(made.images[2], made.images[3])
    for row, seed in enumerate((0, 1, 2, 2)):
        alone = toy("a park", emotions[row], generator=seeded(seed), **options)
        assert torch.equal(made.images[row], alone.images[0])
        assert made.traces[row] == alone.traces[0]
    assert made.start_steps[1] is None
    assert None not in (made.start_steps[0], made.start_steps[2])
    prompts = ["a park", "a fair", "a forest", "a park"]
    places = toy(prompts, "awe", generator=seeded(0), slots=2, **options)
    assert torch.equal(places.images[0], made.images[0])
    posterior = GaussianMixture().posterior(places.images).sum(2).argmax(1)
    assert posterior.tolist() == [0, 1, 3, 0]


def test_one_generator_draws_all_and_each_row_has_tokens_of_its_own(toy: MusePipeline) -> None:
    options: dict[str, Any] = {"num_inference_steps": 6, "output_type": "pt", "timing": Always()}
    same = torch.zeros(1, 2)
    pair = toy(["a park"] * 2, "awe", latents=same, generator=seeded(4), **options).images
    assert not torch.equal(pair[0], pair[1])
    again = toy(["a park"] * 2, "awe", latents=same, generator=seeded(4), slots=1, **options)
    assert torch.equal(pair, again.images)
    plain = toy(["a park"] * 2, latents=same, generator=seeded(4), **options).images
    assert torch.equal(plain[0], plain[1])
    generator = seeded(4)
    first, second = (toy("a park", generator=generator, **options).images for _ in range(2))
    assert not torch.equal(first, second), "the stream goes on, as in diffusers"


def test_a_tuple_instead_of_an_output(toy: MusePipeline) -> None:
    images, traces, probabilities = toy("a park", num_inference_steps=2, return_dict=False)
    assert images[0].mode == "RGB"
    assert len(traces) == len(probabilities) == 1


# --- parts -------------------------------------------------------------------------------------


def test_another_model_needs_a_guide_for_an_emotion_alone(
    tiny_folder: Callable[[str], Path],
) -> None:
    """Nothing but the search is muse-mini's, and parts may be put in later."""
    pipe = MusePipeline.from_pretrained(str(tiny_folder("sd")), dtype=torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    assert pipe.backbone.model.dtype == torch.bfloat16
    assert pipe.guide is pipe.similarity is pipe.timing is None
    assert pipe.options.keys() == {"max_iterations", "tolerance"}
    assert not pipe.loss.needs_similarity
    plain = pipe("a b", num_inference_steps=2, generator=seeded(0))
    assert plain.probabilities == [{}]
    with pytest.raises(MuseError, match=r"no guide to steer to an emotion\. Give one"):
        pipe("a b", "awe", num_inference_steps=2)
    torch.manual_seed(0)
    pipe.guide = ConvNet(width=8)
    made = pipe("a b", "awe", num_inference_steps=5, max_iterations=1, generator=seeded(0))
    assert made.start_steps == [1], "a fifth of the steps"
    assert made.traces[0].iterations == [0, 1, 1, 1, 1]
    assert made.probabilities[0]["awe"] > 0


def test_mini_has_the_parts_of_the_preset(mini: MusePipeline) -> None:
    assert isinstance(mini.timing, ClipThreshold)
    assert mini.options["max_iterations"] >= 1
    assert isinstance(mini.edit_timing, StepWindow)
    assert mini.edit_options["guidance_scale"] == 1
    job = Job("a", "a dog", {"awe": 1.0}, 0)
    for steering in (mini.steering, mini.edit_steering):
        assert isinstance(steering, TextShift)
        assert list(steering.prompts(job)) == ["a dog, awe"]
    own = MusePipeline(mini.backbone, similarity=mini.similarity, timing=Always())
    assert own.timing is own.edit_timing
    other = MusePipeline(mini.backbone, similarity=mini.similarity)
    assert other.timing is None
    assert not other.loss.needs_similarity, "its floor belongs to its CLIP"
    assert mini.loss.needs_similarity


def test_another_model_is_steered_as_its_configuration_says(
    tiny_folder: Callable[[str], Path],
) -> None:
    """In pictures from noise and in edits: by the same search, and none of `default` beside it."""
    pipe = MusePipeline.from_pretrained(str(tiny_folder("sd")), ConvNet(width=8))
    own = {name: option.default for name, option in signature(Sampler).parameters.items()}
    edited = {"guidance_scale": 1.0, "emotion_scale": 4.0}
    for config in ("sd15", "sdxl", "pixart", "sd3", "flux"):
        said = laid([str(ROOT / f"configs/{config}.yaml")])
        wanted = described(built({"steering": said["steering"]}))
        names = {"stop_on", "keep", "longest_rest", "look_until", "max_iterations", "tolerance"}
        search = {name: said[name] for name in names}
        for steering, options, more in (
            (pipe.steering, pipe.options, {}),
            (pipe.edit_steering, pipe.edit_options, edited),
        ):
            assert described({"steering": steering}) == wanted
            assert {**own, **options} == {**own, **search, **more}


def test_the_flow_has_the_same_parts(mini: MusePipeline) -> None:
    """Nothing but the backbone and its guidance is another one, in edits neither."""
    flow = MusePipeline.from_pretrained("muse-mini-flow")
    assert type(flow.backbone) is not type(mini.backbone)
    for part in ("guide", "steering", "timing", "loss", "edit_steering", "edit_timing"):
        assert repr(getattr(flow, part)) == repr(getattr(mini, part))
        assert vars(getattr(flow, part)).keys() == vars(getattr(mini, part)).keys()
    assert flow.options == {**mini.options, "guidance_scale": 5.0}
    assert flow.edit_options == mini.edit_options
    made = flow("a dog in a park", "fear", num_inference_steps=4, generator=seeded(0))
    assert made.images[0].size == mini.backbone.size[::-1]
    back = flow("a dog in a park", image=made.images, num_inference_steps=12).images
    other = flow("a dog in a park", num_inference_steps=4, generator=seeded(1)).images
    source, back, other = (np.asarray(one[0]) / 255.0 for one in (made.images, back, other))
    assert np.abs(back - source).mean() < np.abs(other - source).mean() / 2, "inverted as a flow"


def test_only_the_parts_that_are_left_out_are_made(
    mini: MusePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("it was given, or isn't used")

    for part in (GuideEnsemble, ClipSimilarity, ClipThreshold):
        monkeypatch.setattr(part, "__init__", fail)
    own = ConvNet(width=8)
    assert MusePipeline(mini.backbone, own, mini.similarity).guide is own


def test_guidance_left_out_is_the_backbones_own_for_the_sampler_too() -> None:
    class Distilled(GaussianMixture):
        default_guidance_scale = 1.0

    for backbone, scale in ((GaussianMixture(), 7.5), (Distilled(), 1.0)):
        assert sampler(backbone=backbone).setup.guidance.scale == scale
    assert sampler(backbone=Distilled(), guidance_scale=3.0).setup.guidance.scale == 3


def test_an_edit_starts_as_the_pipelines_inversion_says(mini: MusePipeline) -> None:
    """Any of them, with its own options; and none loses the picture without a word."""
    given = mini(PROMPTS[0], generator=seeded(0), num_inference_steps=4, output_type="pt").images
    options: dict[str, Any] = {"image": given, "num_inference_steps": 4, "output_type": "pt"}
    kept = mini.inversion
    try:
        usual = mini(PROMPTS[0], **options).images
        mini.inversion = DDIMInversion(kept.fixed_point, prompt="")
        other = mini(PROMPTS[0], **options).images
        mini.inversion = PartialNoise(0.5)
        noised = mini(PROMPTS[0], **options).images
        mini.inversion = NullTextInversion(2)
        with pytest.raises(MuseError, match="guidance_scale 1 reads none"):
            mini(PROMPTS[0], **options)
    finally:
        mini.inversion = kept
    assert torch.equal(mini(PROMPTS[0], **options).images, usual)
    assert not torch.equal(other, usual)
    assert not torch.equal(noised, usual)
    assert (noised - given).abs().mean() < 0.2, "half of it is still there"
    steered: dict[str, Any] = {"emotion": "awe", "timing": Always(), **options}
    for steering, says in (
        (BestOfN(2), "BestOfN draws fresh noise, which would lose the picture to edit"),
        (ParticleResampling(2), "2 particles began alike"),
    ):
        with pytest.raises(MuseError, match=says):
            mini(PROMPTS[0], steering=steering, **steered)


def test_pictures_come_in_many_forms(mini: MusePipeline) -> None:
    """Plain edits lead back to what they were given: at guidance 1 inversion is undone."""
    options: dict[str, Any] = {"num_inference_steps": 10, "output_type": "pt"}
    given = mini(PROMPTS, generator=seeded(0), **options).images
    back = mini(PROMPTS, image=given, **options).images
    errors = [[(one - other).square().mean() for other in given] for one in back]
    assert errors[0][0] < errors[0][1] / 4
    assert errors[1][1] < errors[1][0] / 4
    picture = to_pil_image(given[0])
    large = torch.nn.functional.interpolate(given[:1], scale_factor=2)
    forms = [picture, picture.convert("RGBA"), given[0], picture.resize((128, 128)), large[0]]
    edits = mini(PROMPTS[0], image=forms, **options).images
    assert torch.allclose(edits[0], edits[1], atol=1e-4)
    assert torch.allclose(edits[2], back[0], atol=1e-4)
    assert all((edit - back[0]).square().mean() < errors[0][1] / 10 for edit in edits)


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"prompt": ["a park"] * 2, "emotion": ["awe"] * 3}, "2 prompt(s), 3 emotion(s)"),
        ({"prompt": []}, "0 prompt(s)"),
        ({"prompt": 3}, "is no text"),
        ({"prompt": [3]}, "prompt 3 is no text"),
        ({"prompt": "a \ud83d park"}, r"'a \ud83d park' holds half a surrogate pair"),
        ({"negative_prompt": ["\udce9"]}, r"negative_prompt '\udce9' holds half a surrogate"),
        ({"prompt": "a spoon"}, "'a spoon' failed: Prompt 'a spoon' names 0"),
        ({"emotion": "ange"}, "Did you mean 'anger'?"),
        ({"emotion": [3]}, "emotion 3 is not one"),
        ({"generator": [seeded(0)] * 2}, "2 generators for 1 pictures"),
        ({"latents": torch.zeros(3, 2)}, "latents of shape (3, 2) are not allowed. Give (1, 2)"),
        ({"latents": torch.zeros(1, 2), "image": torch.zeros(3, 8, 8)}, "don't go together"),
        ({"image": torch.zeros(3, 8, 8)}, "GaussianMixture has points"),
        ({"output_type": "jpg"}, "output_type 'jpg' is not allowed. Use one of: pil"),
        ({"latents": [1]}, "latents is a list. Give a tensor (1, 2)"),
        ({"generator": 3}, "generator is a int. Give a torch.Generator"),
        ({"generator": [3]}, "generator is a int. Give a torch.Generator"),
        ({"negative_prompt": 3}, "negative_prompt 3 is no text"),
        ({"negative_prompt": ["a park", None]}, "negative_prompt None is no text"),
        ({"prompt": ["a park"] * 3, "negative_prompt": ["a fair"] * 2}, "2 negative_prompt(s) don"),
        ({"negative_prompt": "a fair, a park"}, "Negative prompt 'a fair, a park' names 2"),
        ({"guidance_scale": "7"}, "guidance_scale = '7' is not allowed. Use a number"),
        ({"num_images_per_prompt": 0}, "num_images_per_prompt = 0"),
        ({"slots": 0}, "slots = 0"),
        ({"slots": "3"}, "slots = '3' is not allowed. Use a whole number"),
        ({"height": 64.0}, "height = 64.0"),
        ({"num_inference_steps": 0}, "num_inference_steps = 0"),
        ({"num_inference_steps": 2.5}, "num_inference_steps = 2.5"),
        ({"eta": 0.5}, "option 'eta' is not allowed. Use one of: emotion_scale"),
        ({"steps": 3}, "option 'steps' is not allowed"),
        ({"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}, "Use ['latents'] or []"),
        ({"callback_on_step_end": lambda *_: {"latents": torch.zeros(2)}}, "Return (1, 2)"),
        ({"callback_on_step_end": lambda *_: {"latents": None}}, "latents are None. Return (1, 2)"),
        ({"callback_on_step_end": lambda *_: 3}, "latents are 3. Return (1, 2), or nothing"),
        ({"tolerance": None}, "tolerance = None is not allowed. Use a number"),
        ({"tolerance": float("nan")}, "tolerance = nan is not allowed"),
        ({"max_iterations": 2.5}, "max_iterations = 2.5 is not allowed. Use a whole number"),
        ({"longest_rest": None}, "longest_rest = None is not allowed"),
        ({"look_until": "x"}, "look_until = 'x' is not allowed"),
        ({"emotion_scale": "x"}, "emotion_scale = 'x' is not allowed"),
        ({"scheduler": "ddim"}, "scheduler is 'ddim'. Give a Solver."),
        ({"timing": None}, "timing is None. Give a TimingPolicy."),
        ({"steering": TokenOptimization}, "steering is the class TokenOptimization. Give a Steer"),
        ({"emotion": {3: 1}}, "Unknown emotion 3."),
        ({"emotion": "awe:1e308,fear:1e308"}, "weights beyond all numbers"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(toy: MusePipeline, given: dict[str, Any], says: str) -> None:
    with pytest.raises(MuseError) as caught:
        toy(**{"prompt": "a park", "num_inference_steps": 2, **given})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def lazy(kind: str, cut: int = 0, closed: bool = False) -> Image.Image:
    """A picture whose last `cut` bytes are missing, opened and not yet decoded."""
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file, kind)
    image = Image.open(BytesIO(file.getvalue()[: -cut or None]))
    if closed:
        image.close()
    return image


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("a.png", "image is a str. Give a Pillow image (PIL.Image.open makes one of a file)"),
        (Path("a.png"), "image is a PosixPath"),
        (b"\x89PNG", "image is a bytes"),
        (bytearray(8), "image is a bytearray"),
        (np.zeros((64, 64, 3)), "image is a ndarray"),
        ([np.zeros((64, 64))], "image is a ndarray"),
        ([[Image.new("RGB", (64, 64))]], "image is a list"),
        ([], "0 image(s)"),
        (torch.zeros(64, 64), "a tensor (64, 64)"),
        (torch.zeros(1, 64, 64, 3), "Give three channels"),
        (torch.zeros(3, 0, 64), "a tensor (3, 0, 64)"),
        (torch.zeros(3, 4, 4), "image is 4x4 pixels, too small"),
        (torch.zeros(3, 64, 64, dtype=torch.uint8), "torch.uint8"),
        (torch.full((3, 64, 64), -1.0), "outside [0, 1]"),
        (torch.full((3, 64, 64), float("nan")), "outside [0, 1]"),
        (Image.new("RGB", (0, 0)), "image is 0x0 pixels, too small"),
        (Image.new("RGB", (1, 64)), "image is 1x64 pixels, too small"),
        (lazy("PNG", cut=5000), "image can't be read as a picture (image file is truncated"),
        (lazy("JPEG", cut=900), "image can't be read as a picture (image file is truncated"),
        (lazy("PNG", closed=True), "image can't be read as a picture ("),
    ],
)
def test_what_is_no_picture_is_told(mini: MusePipeline, image: Any, says: str) -> None:
    with pytest.raises(MuseError) as caught:
        mini("a dog", image=image)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_dtype_and_inference_mode(toy: MusePipeline) -> None:
    with pytest.raises(MuseError, match=r"dtype = int8 is not allowed\. Use one of float32"):
        MusePipeline.from_pretrained(dtype=torch.int8)
    with torch.inference_mode():
        assert toy("a park", num_inference_steps=2).images
        with pytest.raises(MuseError, match=r"outside of torch\.inference_mode"):
            toy("a park", "awe", num_inference_steps=2)


# --- loading -----------------------------------------------------------------------------------


def test_loading_has_diffusers_words(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """On a hub's cache, offline."""
    root = tmp_path / "models--someone--tiny"
    snapshot = root / "snapshots" / ("a" * 40)
    pipeline = DiffusionPipeline.from_pretrained(tiny_folder("sd"), low_cpu_mem_usage=False)
    pipeline.save_pretrained(snapshot, variant="fp16")
    (root / "refs").mkdir()
    (root / "refs" / "v2").write_text("a" * 40)
    pipe = MusePipeline.from_pretrained(
        "someone/tiny",
        variant="fp16",
        torch_dtype=torch.bfloat16,
        revision="v2",
        cache_dir=tmp_path,
        local_files_only=True,
        token="hf_secret",
        safety_checker=None,
        scheduler=None,
        decoder_tiling=True,
    )
    weights = list(pipe.backbone.parameters())
    assert {weight.dtype for weight in weights} == {torch.bfloat16}
    assert pipe.backbone.pretrained == "someone/tiny"
    assert torch.equal(weights[0], next(pipeline.unet.parameters()).bfloat16())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"gide": None}, "has no option 'gide'. Did you mean 'guide'? Use one of: attention_"),
        ({"decoder_tilling": True}, "Did you mean 'decoder_tiling'?"),
        ({"use_safetensors": True}, "MusePipeline.from_pretrained has no option 'use_safetensors'"),
        ({"config": "a"}, "has no option 'config'"),
        ({"hub": {}}, "has no option 'hub'"),
        ({"distilled_guidance": 3.5}, "has no option 'distilled_guidance'"),
        ({"safety_checker": object()}, "safety_checker is not used: muse checks no pictures"),
        ({"scheduler": DDIMScheduler()}, "scheduler is not used: muse steps by its own DDIM"),
        ({"torch_dtype": torch.int8}, "dtype = int8 is not allowed. Use one of float32"),
        ({"torch_dtype": "auto"}, "dtype = auto is not allowed"),
        (
            {"dtype": "float16", "torch_dtype": torch.bfloat16},
            "dtype = float16 and torch_dtype = bfloat16 are one option",
        ),
        ({"variant": "fp16"}, "'muse-mini' has no weights of the variant 'fp16'. It has none"),
        ({"revision": "v2"}, "revision = 'v2' goes with a hub id, and 'muse-mini' is a folder"),
    ],
)
def test_options_of_loading_that_are_none(options: dict[str, Any], says: str) -> None:
    with pytest.raises(MuseError) as caught:
        MusePipeline.from_pretrained("muse-mini", **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("options", [{"torch_dtype": "float16"}, {"dtype": torch.float16}])
def test_one_dtype_under_either_name(
    tiny_folder: Callable[[str], Path], options: dict[str, Any]
) -> None:
    for more in ({}, dict.fromkeys(("dtype", "torch_dtype"), torch.float16)):
        pipe = MusePipeline.from_pretrained(str(tiny_folder("sd")), **{**options, **more})
        assert pipe.backbone.model.dtype == torch.float16


def test_what_a_person_should_know_is_a_warning(toy: MusePipeline, mini: MusePipeline) -> None:
    with pytest.warns(
        UserWarning, match=r"1 of 2 pictures were never steered: lower --timing\.eta"
    ):
        toy("a park", ["awe", None], num_inference_steps=3, timing=ClipThreshold(100))
    with pytest.warns(UserWarning, match="the model doesn't know 'dogg'"):
        mini("a dogg", num_inference_steps=1)
    with pytest.warns(UserWarning, match=r"'\(dog:1\.3\)' is read as text"):
        mini("a (dog:1.3) in a park", num_inference_steps=1)
    with pytest.warns(UserWarning, match="too long") as told:
        mini("a dog in a park " * 10, num_inference_steps=1)
    assert ["similarity" in str(warning.message) for warning in told] == [False, True]


def test_of_a_negative_prompt_it_is_told_once(mini: MusePipeline) -> None:
    options: dict[str, Any] = {"num_inference_steps": 1, "output_type": "latent"}
    with pytest.warns(UserWarning, match="^Negative prompt 'a dogg': the model doesn't") as told:
        mini(PROMPTS, negative_prompt="a dogg", **options)
    assert len(told) == 1
    with pytest.warns(UserWarning, match="^Negative prompt 'a dogg' does nothing at") as told:
        mini(PROMPTS, negative_prompt="a dogg", guidance_scale=1.0, **options)
    assert len(told) == 1
    with pytest.warns(UserWarning, match="^Negative prompt 'a .*ogg': the model doesn't") as told:
        mini(PROMPTS, negative_prompt=["a dogg", "a frogg"], **options)
    assert len(told) == 2


# --- moving ------------------------------------------------------------------------------------


class Stored(StepWindow):
    """A policy with a tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("some", torch.zeros(1))


@pytest.mark.parametrize("text_device", ["model", "cpu"])
def test_all_parts_move(tiny_folder: Callable[[str], Path], text_device: str) -> None:
    options = {"guide": ConvNet(width=8), "text_device": text_device}
    pipe = MusePipeline.from_pretrained(str(tiny_folder("sd")), **options)  # type: ignore[arg-type]
    pipe.edit_timing = Stored()
    assert pipe.to("cpu") is pipe
    assert pipe.device.type == "cpu"
    assert pipe.to(torch.device("meta")) is pipe
    assert pipe.device.type == "meta"
    assert pipe.guide is options["guide"]
    for part in (pipe.backbone, pipe.guide, pipe.edit_timing):
        assert {tensor.device.type for tensor in part.state_dict().values()} == {"meta"}
    encoder = pipe.backbone.pipeline.text_encoder
    assert encoder.device.type == {"model": "meta", "cpu": "cpu"}[text_device]
    noise = noise_of(None, (2, 3), [seeded(0), seeded(1)], pipe.device)
    assert noise.device.type == "meta", "drawn by generators on the CPU, as in diffusers"


def test_a_part_put_in_later_follows_the_model(toy: MusePipeline) -> None:
    moved = []

    class Noted(BayesGuide):
        def _apply(self, fn: Any, recurse: bool = True) -> Any:
            moved.append(fn(torch.ones(1)).device)
            return super()._apply(fn, recurse)

    toy.guide = Noted()
    toy("a park", num_inference_steps=2)
    assert set(moved) == {toy.device}


def test_moving_changes_no_picture(toy: MusePipeline) -> None:
    options: dict[str, Any] = {"num_inference_steps": 6, "output_type": "pt"}
    first = toy("a park", "awe", generator=seeded(0), **options).images
    again = toy.to("cpu")("a park", "awe", generator=seeded(0), **options).images
    assert torch.equal(first, again)


def test_a_loaded_model_is_not_cast(toy: MusePipeline) -> None:
    for words in ((torch.float16,), ("cpu", torch.float16)):
        with pytest.raises(MuseError, match=r"from_pretrained\(\.\.\., dtype='float16'\)"):
            toy.to(*words)
    with pytest.raises(MuseError, match="dtype = bfloat16 is not allowed here"):
        toy.to("cpu", dtype=torch.bfloat16)
    assert toy.backbone.means.dtype == torch.float64


# --- the package -------------------------------------------------------------------------------


def test_importing_muse_stays_light() -> None:
    """Torch comes with `MusePipeline`, not with the package."""
    code = "import sys, muse, muse.cli; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
    with pytest.raises(AttributeError, match="no attribute 'Pipeline'"):
        muse.Pipeline  # noqa: B018


BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore:. of . pictures were never steered")
def test_what_the_docs_show_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, as one program, with few steps."""
    call = MusePipeline.__call__
    few = {"num_inference_steps": 2, "max_iterations": 1}
    monkeypatch.setattr(MusePipeline, "__call__", lambda *a, **k: call(*a, **{**k, **few}))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        if "stable-diffusion" not in block:  # needs the hub
            exec(compile(block, "docs/python.md", "exec"), names)
    assert len(BLOCKS) >= 4
    assert {path.name for path in tmp_path.glob("*.png")} == {"dog.png", "fear.png"}
