"""What users bring: LoRAs, textual inversions, weights in prompts, autoencoders and schedulers,
prompts as embeddings. Each is what diffusers, or the library named, makes of it.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import compel
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from muse import MusePipeline
from muse.backbones import Flux, StableDiffusion, load_backbone
from muse.backbones.embeddings import add_embeddings
from muse.backbones.loras import weighted
from muse.backbones.swaps import put_autoencoder, put_scheduler
from muse.backbones.weighting import plain_text, read_weights
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.guides import ClipSimilarity, ConvNet
from muse.pretrained.labelled import labelled, weights_file
from muse.runs.deciding import Deciding, absolute
from muse.schedulers import Always, ClipThreshold, StepWindow
from muse.steering import EmotionWord, PlugAndPlay, TextShift
from tests import tiny
from tests.tiny_guides import worded_clip

OPTIONS: dict[str, Any] = {"num_inference_steps": 3, "output_type": "pt", "guidance_scale": 4.0}
pytestmark = pytest.mark.filterwarnings("ignore:Already found a .peft_config:UserWarning")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def theirs(folder: Path) -> Any:
    pipe: Any = DiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def refused(make: Callable[[], object]) -> str:
    """The line with which something is refused."""
    with pytest.raises(MuseError) as caught:
        make()
    line = str(caught.value)
    assert "\n" not in line
    return line


# --- LoRAs -------------------------------------------------------------------------------------


def lora_file(path: Path, folder: Path, seed: int) -> str:
    """A LoRA of rank 2 with both factors random, on the attention of denoiser and text encoders."""
    pipe, generator = theirs(folder), seeded(seed)
    state: dict[str, Tensor] = {}
    for part in pipe._lora_loadable_modules:
        model = getattr(pipe, part, None)
        named = model.named_modules() if model is not None else []
        for name, layer in named:
            if isinstance(layer, nn.Linear) and name.rpartition(".")[2] in (
                "to_q",
                "to_v",
                "q_proj",
            ):
                down = torch.randn(2, layer.in_features, generator=generator)
                up = torch.randn(layer.out_features, 2, generator=generator)
                state[f"{part}.{name}.lora_A.weight"] = down
                state[f"{part}.{name}.lora_B.weight"] = up / 2
    save_file(state, path)
    return str(path)


@pytest.fixture(scope="module")
def loras(tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Family and seed -> a LoRA's file."""
    folder = tmp_path_factory.mktemp("loras")
    return lambda family, seed: lora_file(
        folder / f"{family}-{seed}.safetensors", tiny_folder(family), seed
    )


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_loras_make_diffusers_pictures(
    tiny_folder: Callable[[str], Path], loras: Any, family: str
) -> None:
    """Two at once, with weights."""
    folder, first, second = tiny_folder(family), loras(family, 1), loras(family, 2)
    mine = MusePipeline(load_backbone(str(folder), lora=[f"{first}:0.7", f"{second}:-0.4"]))
    found = mine("a b", generator=seeded(), **OPTIONS).images
    pipe = theirs(folder)
    plain = pipe("a b", generator=seeded(), **OPTIONS).images
    pipe.load_lora_weights(first, adapter_name="first")
    pipe.load_lora_weights(second, adapter_name="second")
    pipe.set_adapters(["first", "second"], [0.7, -0.4])
    expected = pipe("a b", generator=seeded(), **OPTIONS).images
    assert (expected - plain).abs().max() > 1e-2
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("text_device", ["model", "offload"])
def test_a_lora_alone_counts_whole_and_steering_leaves_it(
    tiny_folder: Callable[[str], Path], loras: Any, text_device: str
) -> None:
    folder, file = tiny_folder("sd"), loras("sd", 1)
    backbone = StableDiffusion(str(folder), lora=file, text_device=text_device)
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    assert any("lora_A" in name for name in before)
    pipe = MusePipeline(backbone, ConvNet(), timing=Always())
    plain = pipe("a b", generator=seeded(), **OPTIONS).images
    steered = pipe("a b", "awe", generator=seeded(), max_iterations=1, **OPTIONS).images
    assert not torch.equal(plain, steered)
    for name, value in backbone.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    pipe = theirs(folder)
    pipe.load_lora_weights(file)
    torch.testing.assert_close(
        plain, pipe("a b", generator=seeded(), **OPTIONS).images, atol=1e-4, rtol=0
    )


def test_a_lora_for_another_model_is_a_line(
    tiny_folder: Callable[[str], Path], loras: Any, tmp_path: Path
) -> None:
    sd, other = str(tiny_folder("sd")), loras("sdxl", 1)
    assert f"lora {other!r} is no LoRA for this" in refused(lambda: StableDiffusion(sd, lora=other))
    nothing, broken = tmp_path / "nothing.safetensors", tmp_path / "broken.safetensors"
    save_file({"transformer.x.lora_A.weight": torch.zeros(2, 2)}, nothing)
    assert "holds nothing for this" in refused(lambda: StableDiffusion(sd, lora=str(nothing)))
    broken.write_bytes(b"\x10\0\0\0\0\0\0\0{")
    assert "broken.safetensors" in refused(lambda: StableDiffusion(sd, lora=str(broken)))
    gone = str(tmp_path / "gone.safetensors")
    assert f"lora {gone!r} is not there" in refused(lambda: StableDiffusion(sd, lora=f"{gone}:0.5"))


def test_a_part_without_a_place_is_told(
    tiny_folder: Callable[[str], Path], loras: Any, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    file = tmp_path / "more.safetensors"
    state = load_file(loras("sd", 1))
    state["unet.nowhere.to_q.lora_A.weight"] = torch.zeros(2, 8)
    state["unet.nowhere.to_q.lora_B.weight"] = torch.zeros(8, 2)
    save_file(state, file)
    held = sum(value.numel() for value in state.values())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        StableDiffusion(str(tiny_folder("sd")), lora=str(file))
    told = [str(one.message) for one in caught if "lora" in str(one.message)]
    assert len(told) == 1
    assert re.search(f"of its {held} weights this .* has a place for {held - 32}", told[0])


def test_without_peft_a_lora_is_a_line(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muse.backbones.loras.USE_PEFT_BACKEND", False)
    line = refused(lambda: StableDiffusion(str(tiny_folder("sd")), lora="x.safetensors"))
    assert line.endswith("pip install 'muse-emotion[lora]'.")


def test_a_lora_has_a_weight(tmp_path: Path) -> None:
    assert weighted("a/b.safetensors") == ("a/b.safetensors", 1.0)
    assert weighted("a/b.safetensors:-0.5") == ("a/b.safetensors", -0.5)
    for text in ("x.safetensors:much", "x.safetensors:nan"):
        assert f"lora {text!r}" in refused(lambda text=text: weighted(text))
    odd = tmp_path / "odd:0.5"
    odd.mkdir()
    assert labelled(str(odd)) == (str(odd), None)
    assert labelled("C:/loras/x.safetensors") == ("C:/loras/x.safetensors", None)
    assert labelled("a word:") == ("a word:", None)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    torch.save({"<x>": torch.zeros(16)}, file)
    for option in ("lora", "embeddings", "vae"):
        line = refused(lambda option=option: weights_file(option, str(file)))
        assert f"{option} {str(file)!r} would have to be unpickled" in line
    assert weights_file("lora", str(tmp_path)) is None
    assert weights_file("lora", "someone/something") is None


# --- textual inversions ------------------------------------------------------------------------


def test_textual_inversions_make_diffusers_pictures(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """One of two vectors under its own word, and one under a word given."""
    folder = tiny_folder("sd")
    mood, other = tmp_path / "mood.safetensors", tmp_path / "other.safetensors"
    save_file({"<mood>": torch.randn(2, tiny.WIDTH, generator=seeded(1))}, mood)
    save_file({"emb_params": torch.randn(1, tiny.WIDTH, generator=seeded(2))}, other)
    prompt = "a <mood> b zxq"
    backbone = StableDiffusion(str(folder), embeddings=[str(mood), f"{other}:zxq"])
    assert backbone.remarks(prompt) == []
    found = MusePipeline(backbone)(prompt, generator=seeded(), **OPTIONS).images
    pipe = theirs(folder)
    plain = pipe(prompt, generator=seeded(), **OPTIONS).images
    pipe.load_textual_inversion(str(mood))
    pipe.load_textual_inversion(str(other), token="zxq")
    expected = pipe(prompt, generator=seeded(), **OPTIONS).images
    assert (expected - plain).abs().max() > 1e-2
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    named = StableDiffusion(str(folder), embeddings=str(other)).pipeline.tokenizer
    assert "other" in named.get_added_vocab(), "without a word it is the file's name"


def test_an_embedding_for_two_encoders(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder, file = tiny_folder("sdxl"), tmp_path / "mood.safetensors"
    state = {
        "clip_l": torch.randn(1, tiny.WIDTH, generator=seeded(1)),
        "clip_g": torch.randn(1, tiny.WIDER, generator=seeded(2)),
    }
    save_file(state, file)
    mine = MusePipeline(load_backbone(str(folder), embeddings=f"{file}:<mood>"))
    found = mine("a <mood>", generator=seeded(), **OPTIONS).images
    pipe = theirs(folder)
    for key, end in (("clip_l", ""), ("clip_g", "_2")):
        parts = {part: getattr(pipe, part + end) for part in ("tokenizer", "text_encoder")}
        pipe.load_textual_inversion(state[key], token="<mood>", **parts)
    expected = pipe("a <mood>", generator=seeded(), **OPTIONS).images
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    line = refused(lambda: load_backbone(str(tiny_folder("sd")), embeddings=str(file)))
    assert "holds clip_g, clip_l" in line
    assert "wants one embedding" in line


def test_of_flux_clip_learns_a_word(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """T5 doesn't."""
    file, flux = tmp_path / "mood.safetensors", str(tiny_folder("flux-dev"))
    save_file({"<mood>": torch.randn(1, tiny.WIDTH, generator=seeded(1))}, file)
    backbone = load_backbone(flux, embeddings=str(file))
    found = backbone.embed(["a <mood>"], (16, 16))
    plain = load_backbone(flux).embed(["a <mood>"], (16, 16))
    assert not torch.equal(found["pooled"], plain["pooled"])
    assert torch.equal(found["tokens"], plain["tokens"])


def test_what_is_no_embedding_is_a_line(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    pipe, file = theirs(tiny_folder("sd")), tmp_path / "x.safetensors"
    save_file({"<x>": torch.zeros(1, 7)}, file)
    line = refused(lambda: add_embeddings(pipe, [str(file)], {}))
    assert "the model reads 16, it has 7 dimensions" in line
    save_file({"a": torch.zeros(1, tiny.WIDTH)}, file)
    line = refused(lambda: add_embeddings(pipe, [f"{file}:a"], {}))
    assert "the tokenizer has a word 'a' already" in line
    gone = str(tmp_path / "gone")
    assert "No textual inversion under" in refused(lambda: add_embeddings(pipe, [gone], {}))
    pipe = theirs(tiny_folder("sd3"))
    assert "loads no textual inversions" in refused(lambda: add_embeddings(pipe, [gone], {}))


# --- weights in prompts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("a dog", [[("a dog", 1)]]),
        ("a (dog:1.3) here", [[("a ", 1), ("dog", 1.3), (" here", 1)]]),
        ("((a)) [b]", [[("a", 1.21), (" ", 1), ("b", 1 / 1.1)]]),
        ("(a (b:2) c:.5)", [[("a ", 0.5), ("b", 1.0), (" c", 0.5)]]),
        (r"\(a\) 16:9", [[("(a) 16:9", 1)]]),
        ("(a b", [[("a b", 1.1)]]),
        ("a) b]", [[("a) b]", 1)]]),
        ("(a [b)", [[("a ", 1.1), ("b)", 1)]]),
        ("(A BREAK b:2) Bc", [[("A ", 1)], [(" b", 2), (" Bc", 1)]]),
        ("", [[]]),
    ],
)
def test_marks_are_read(prompt: str, pieces: list[list[tuple[str, float]]]) -> None:
    found = read_weights(prompt)
    assert [piece.texts for piece in found] == [[text for text, _ in piece] for piece in pieces]
    for piece, wanted in zip(found, pieces, strict=True):
        assert piece.weights == pytest.approx([weight for _, weight in wanted])


def test_without_compel_weights_are_a_line(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "compel", None)
    line = refused(lambda: StableDiffusion(str(tiny_folder("sd")), weighting="compel"))
    assert line.endswith("pip install 'muse-emotion[weighting]'.")
    line = refused(lambda: Flux(str(tiny_folder("flux-dev")), weighting="compel"))
    assert "Flux reads T5" in line


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_weights_are_compels(tiny_folder: Callable[[str], Path], family: str) -> None:
    """In its own spelling of the same weights; a bare prompt is diffusers' own."""
    folder = tiny_folder(family)
    backbone = load_backbone(str(folder), weighting="compel")
    bare = load_backbone(str(folder))
    own = {"sd": compel.CompelForSD, "sdxl": compel.CompelForSDXL}[family](bare.pipeline)
    for mine, its in (("a (dog:1.3) b", "a (dog)1.3 b"), ("a (d:0.4) (b:1.5)", "a (d)0.4 (b)1.5")):
        found = backbone.embed([mine], (16, 16))["tokens"]
        torch.testing.assert_close(found, own([its]).embeds)
        assert (found - bare.embed([plain_text(mine)], (16, 16))["tokens"]).abs().max() > 1e-3
    for prompt in ("a b", ""):
        found, plain = (one.embed([prompt], (16, 16), negative=True) for one in (backbone, bare))
        for name in plain:
            torch.testing.assert_close(found[name], plain[name], msg=name)
    long = " ".join("abcdefghijklmnopqrst")
    found = backbone.embed([long, "a"], (16, 16))["tokens"]
    torch.testing.assert_close(found[:1], own([long]).embeds)
    assert found.shape[:2] == (2, 32)
    assert backbone.remarks(long) == [] != bare.remarks(long)
    assert backbone.embed(["a BREAK b"], (16, 16))["tokens"].shape[1] == 32


def test_pictures_with_weights(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """Steered too, with a textual inversion of two vectors; the negative prompt is shorter."""
    file = tmp_path / "mood.safetensors"
    save_file({"<mood>": torch.randn(2, tiny.WIDTH, generator=seeded(1))}, file)
    options: dict[str, Any] = {"embeddings": str(file), "text_device": "offload"}
    backbone = StableDiffusion(str(tiny_folder("sd")), weighting="compel", **options)
    bare = StableDiffusion(str(tiny_folder("sd")), **options)
    found, plain = (one.embed(["a <mood> b"], (16, 16))["tokens"] for one in (backbone, bare))
    torch.testing.assert_close(found, plain)
    pipe = MusePipeline(backbone, ConvNet(), timing=Always())
    prompts = ["(a:1.4) <mood> " + "b " * 20, "a"]
    made = pipe(prompts, "awe", negative_prompt="(c:1.2)", generator=seeded(), **OPTIONS)
    assert made.images.isfinite().all()
    assert made.start_steps == [0, 0]


# --- autoencoders and schedulers ---------------------------------------------------------------


@pytest.fixture(scope="module")
def other_vae(tmp_path_factory: pytest.TempPathFactory) -> AutoencoderKL:
    torch.manual_seed(7)
    vae = tiny.autoencoder()
    folder = tmp_path_factory.mktemp("vae")
    vae.save_pretrained(folder)
    vae.folder = folder
    return vae


def test_an_autoencoder_is_swapped(
    tiny_folder: Callable[[str], Path], other_vae: Any, tmp_path: Path
) -> None:
    """A folder of its own, one in a whole model's, and a single file."""
    sd, x = str(tiny_folder("sd")), torch.randn(1, 4, 8, 8, generator=seeded())
    pipe = theirs(Path(sd))
    pipe.register_modules(vae=other_vae)
    pipe.save_pretrained(tmp_path / "model")
    file = other_vae.folder / "diffusion_pytorch_model.safetensors"
    own = StableDiffusion(sd).decode(x)
    with torch.no_grad():
        expected = other_vae.decode(x / other_vae.config.scaling_factor).sample / 2 + 0.5
    assert (own - expected).abs().max() > 1e-2
    for name in (other_vae.folder, tmp_path / "model", file):
        backbone = StableDiffusion(sd, vae=str(name))
        torch.testing.assert_close(backbone.decode(x).detach(), expected, msg=str(name))


def test_another_latent_is_a_line(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    pipe, sd = theirs(tiny_folder("sd")), str(tiny_folder("sd"))
    tiny.autoencoder(channels=8).save_pretrained(tmp_path / "wide")
    tiny.autoencoder(levels=3).save_pretrained(tmp_path / "deep")
    tiny.tiny_autoencoder().save_pretrained(tmp_path / "taesd")
    save_file({"lora.weight": torch.zeros(2)}, tmp_path / "lora.safetensors")
    for name, told in (
        ("wide", "makes latents of 8 channels at 1/2"),
        ("deep", "makes latents of 4 channels at 1/4"),
        ("taesd", "it is of class AutoencoderTiny"),
        ("gone", "No AutoencoderKL under"),
        ("lora.safetensors", "No AutoencoderKL under"),
        ("gone.safetensors", "gone.safetensors' is not there"),
    ):
        put = partial(put_autoencoder, pipe, str(tmp_path / name), torch.float32, sd, {})
        assert told in refused(put)


def test_a_scheduler_is_swapped(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """The nodes are those of a folder that was saved with it."""
    from diffusers import DPMSolverMultistepScheduler

    sd = str(tiny_folder("sd"))
    options = {"use_karras_sigmas": True}
    backbone = StableDiffusion(
        sd, scheduler="DPMSolverMultistepScheduler", scheduler_options=options
    )
    pipe = theirs(Path(sd))
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, **options)
    pipe.save_pretrained(tmp_path)
    saved = StableDiffusion(str(tmp_path)).time_grid(5, (16, 16))
    grid = backbone.time_grid(5, (16, 16))
    torch.testing.assert_close(grid.sigmas, saved.sigmas)
    torch.testing.assert_close(grid.timesteps, saved.timesteps)
    assert not torch.equal(grid.timesteps, StableDiffusion(sd).time_grid(5, (16, 16)).timesteps)
    trailing = StableDiffusion(sd, scheduler_options={"timestep_spacing": "trailing"})
    assert trailing.time_grid(5, (16, 16)).timesteps[0] == 999
    named = MusePipeline.from_pretrained(sd, scheduler="EulerDiscreteScheduler").backbone
    assert named.scheduler_config["_class_name"] == "EulerDiscreteScheduler"


def test_a_scheduler_that_is_none_is_a_line(tiny_folder: Callable[[str], Path]) -> None:
    sd = str(tiny_folder("sd"))
    line = refused(lambda: StableDiffusion(sd, scheduler="EulerDiscrete"))
    assert "Did you mean 'EulerDiscreteScheduler'?" in line
    line = refused(lambda: StableDiffusion(sd, scheduler_options={"karras": True}))
    assert "DDIMScheduler has no option 'karras'" in line
    flux = str(tiny_folder("flux-dev"))
    line = refused(lambda: Flux(flux, scheduler="DDIMScheduler"))
    assert "Use one of: FlowMatchEulerDiscreteScheduler" in line
    shifted = Flux(flux, scheduler_options={"shift": 9.0, "use_dynamic_shifting": False})
    assert shifted.scheduler_config["shift"] == 9.0
    line = refused(lambda: MusePipeline.from_pretrained(sd, scheduler=DDIMScheduler()))
    assert "give the name of a class" in line


@pytest.mark.parametrize(
    ("scheduler", "options"),
    [
        (None, {"beta_schedule": "foo"}),
        (None, {"num_train_timesteps": "x"}),
        (None, {"num_train_timesteps": 0}),
        (None, {"beta_start": -1}),
        (None, {"beta_start": -1, "beta_schedule": "linear"}),
        (None, {"timestep_spacing": "foo"}),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "foo"}),
        ("EulerDiscreteScheduler", {"use_karras_sigmas": True, "use_exponential_sigmas": True}),
        ("FlowMatchEulerDiscreteScheduler", {"shift": "x"}),
        (
            "FlowMatchEulerDiscreteScheduler",
            {"use_dynamic_shifting": True, "time_shift_type": "foo"},
        ),
        ("FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": True, "base_shift": "x"}),
    ],
)
def test_settings_that_no_scheduler_can_be_made_with(
    scheduler: str | None, options: dict[str, Any]
) -> None:
    flow = str(scheduler).startswith("Flow")
    scaled = DDIMScheduler(beta_schedule="scaled_linear")
    own = FlowMatchEulerDiscreteScheduler() if flow else scaled
    pipe = mock.Mock(scheduler=own)
    known = [type(own).__name__, *([scheduler] if scheduler else [])]
    line = refused(lambda: put_scheduler(pipe, scheduler, options, known))
    assert "can't be made with scheduler_options = {" in line
    pipe.register_modules.assert_not_called()


# --- what decides a picture --------------------------------------------------------------------


def test_what_is_in_a_file_decides_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a list, relative, and behind a weight: where it lies doesn't count, what is in it does."""
    monkeypatch.chdir(tmp_path)
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        save_file({"x": torch.zeros(1)}, tmp_path / folder / "x.safetensors")

    def digest(lora: str | list[str]) -> str:
        backbone = {"class_path": "StableDiffusion", "init_args": {"lora": lora}}
        config: Mapping[str, Any] = {"model": {"backbone": backbone}}
        return Deciding(config).digest(Job("a", "a", {"awe": 1.0}, 0))

    one = digest(["here/x.safetensors:0.5"])
    assert digest(["there/x.safetensors:0.5"]) == one
    assert digest("here/x.safetensors") == digest("there/x.safetensors") != one
    assert digest(["here/x.safetensors:0.6"]) != one
    save_file({"x": torch.ones(2)}, tmp_path / "there" / "x.safetensors")
    assert digest(["there/x.safetensors:0.5"]) != one
    told = absolute({"lora": ["here/x.safetensors:0.5"]})
    assert told == {"lora": [f"{tmp_path}/here/x.safetensors:0.5"]}
    assert absolute({"target": "awe:0.5"}) == {"target": "awe:0.5"}


# --- prompts as embeddings ---------------------------------------------------------------------


@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart", "sd3", "flux-dev"])
def test_embeddings_are_prompts(tiny_folder: Callable[[str], Path], family: str) -> None:
    """Of two prompts, the negative one's as well; by diffusers' names."""
    pipe = MusePipeline.from_pretrained(str(tiny_folder(family)))
    size, given = (16, 16), dict[str, Tensor]()
    names = {"tokens": "prompt_embeds", "pooled": "pooled_prompt_embeds"}
    names["mask"] = "prompt_attention_mask"
    for kind, prompts in (("", ["a b", "c"]), ("negative_", ["d"])):
        cond = pipe.backbone.embed(prompts, size)
        given |= {
            names[part].replace("prompt", f"{kind}prompt")
            if part == "mask"
            else f"{kind}{names[part]}": value
            for part, value in cond.items()
            if part in names
        }
    options = {**OPTIONS, "height": 16, "width": 16}
    found = pipe(generator=seeded(), **given, **options).images
    wanted = pipe(["a b", "c"], negative_prompt="d", generator=seeded(), **options).images
    torch.testing.assert_close(found, wanted)
    other = pipe(["a b", "c"], generator=seeded(), **options).images
    assert not torch.allclose(found, other, atol=1e-3), "the negative ones count"


def test_embeddings_steer(tiny_folder: Callable[[str], Path]) -> None:
    """Longer ones than the context beside a bare prompt's row; the prompt is for the similarity."""
    backbone = load_backbone(str(tiny_folder("sd")))
    embeds = torch.randn(1, 40, tiny.WIDTH, generator=seeded())
    pipe = MusePipeline(backbone, ConvNet(), timing=Always())
    made = pipe(emotion=["awe", None], prompt_embeds=embeds, generator=seeded(), **OPTIONS)
    assert made.start_steps == [0, None]
    assert made.images.isfinite().all()


def test_embeddings_steer_in_place_of_the_words(tiny_folder: Callable[[str], Path]) -> None:
    """No word is put beside them by a template, and the prompt is for who compares alone."""
    backbone, guide = load_backbone(str(tiny_folder("sd"))), ConvNet()
    bare, word = (
        MusePipeline(backbone, guide, steering=TextShift(template=template), timing=StepWindow(0.5))
        for template in (None, "{prompt}, {emotion}")
    )
    embeds = torch.randn(1, 16, tiny.WIDTH, generator=seeded())
    options = {**OPTIONS, "emotion": "awe", "max_iterations": 1}
    given, told = (
        [pipe(generator=seeded(), **options, **more).images for pipe in (bare, word)]
        for more in ({"prompt_embeds": embeds}, {"prompt": "a b"})
    )
    assert torch.equal(*given)
    assert not torch.equal(*told)


@pytest.mark.parametrize("edits", [False, True])
def test_no_word_goes_into_embeddings(tiny_folder: Callable[[str], Path], edits: bool) -> None:
    steering = PlugAndPlay(attention=0, features=0) if edits else EmotionWord()
    pipe = MusePipeline(load_backbone(str(tiny_folder("sd"))), ConvNet(), steering=steering)
    given = {"prompt_embeds": torch.randn(1, 16, tiny.WIDTH, generator=seeded())}
    if edits:
        given["image"] = torch.rand(1, 3, 16, 16, generator=seeded())
    said = refused(lambda: pipe(emotion="awe", **given, **OPTIONS))
    assert "no word can be put into these" in said


def test_embeddings_that_do_not_fit_are_a_line(tiny_folder: Callable[[str], Path]) -> None:
    sd = MusePipeline(load_backbone(str(tiny_folder("sd"))), ConvNet(), timing=Always())
    sdxl = MusePipeline(load_backbone(str(tiny_folder("sdxl"))))
    right = torch.zeros(1, 16, tiny.WIDTH)
    for pipe, given, told in (
        (sd, {}, "There is no prompt. Give one, or prompt_embeds."),
        (sd, {"prompt_embeds": right[0]}, "prompt_embeds is (16, 16)"),
        (sd, {"prompt_embeds": right[..., :3]}, "prompt_embeds is 3 wide, the model reads 16"),
        (sd, {"prompt_embeds": right, "pooled_prompt_embeds": right[0]}, "16 pooled_prompt_embeds"),
        (sd, {"prompt_embeds": right.expand(2, 16, 16), "prompt": ["a", "b", "c"]}, "2 prompt_em"),
        (
            sdxl,
            {"prompt_embeds": torch.zeros(1, 16, 40)},
            "Give prompt_embeds and pooled_prompt_em",
        ),
        (sd, {"negative_pooled_prompt_embeds": right[0]}, "Give negative_prompt_embeds"),
    ):
        assert re.search(re.escape(told), refused(lambda p=pipe, g=given: p(**g, **OPTIONS)))


def test_the_similarity_needs_the_prompt(tiny_folder: Callable[[str], Path]) -> None:
    backbone = load_backbone(str(tiny_folder("sd")))
    similarity = ClipSimilarity(worded_clip())
    pipe = MusePipeline(backbone, ConvNet(), similarity, timing=ClipThreshold(0.0))
    embeds = torch.zeros(1, 16, tiny.WIDTH)
    line = refused(lambda: pipe(emotion="awe", prompt_embeds=embeds, **OPTIONS))
    assert line.startswith("Timing or loss compares pictures with the prompt.")
