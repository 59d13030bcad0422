"""Loading a backbone: what there is is loaded as it is, and what isn't is told in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor

from muse.backbones import (
    Backbone,
    PixArtAlpha,
    StableDiffusion,
    StableDiffusionXL,
    load_backbone,
)
from muse.types import MuseError


@pytest.fixture
def copy(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A Stable Diffusion to spoil."""
    return Path(shutil.copytree(tiny_folder("sd"), tmp_path / "copy"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def refused(load: Callable[[], Any]) -> str:
    """The one line that a failing load tells."""
    with pytest.raises(MuseError) as caught:
        load()
    [line] = str(caught.value).splitlines()
    print(line)
    assert len(line) < 600
    return line


# --- single files -------------------------------------------------------------------------------

UNET = {
    r"time_embedding.linear_(\d)": lambda m: f"time_embed.{2 * int(m[1]) - 2}",
    r"^conv_in": lambda m: "input_blocks.0.0",
    r"^conv_norm_out": lambda m: "out.0",
    r"^conv_out": lambda m: "out.2",
    r"down_blocks.(\d).resnets.0": lambda m: f"input_blocks.{2 * int(m[1]) + 1}.0",
    r"down_blocks.(\d).attentions.0": lambda m: f"input_blocks.{2 * int(m[1]) + 1}.1",
    r"down_blocks.0.downsamplers.0.conv": lambda m: "input_blocks.2.0.op",
    r"mid_block.resnets.(\d)": lambda m: f"middle_block.{2 * int(m[1])}",
    r"mid_block.attentions.0": lambda m: "middle_block.1",
    r"up_blocks.(\d).resnets.(\d)": lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.0",
    r"up_blocks.(\d).attentions.(\d)": lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.1",
    r"up_blocks.0.upsamplers.0.conv": lambda m: "output_blocks.1.1.conv",
    r"(blocks?\.\d\.\d|middle_block\.\d)\.norm1": lambda m: f"{m[1]}.in_layers.0",
    r"\.conv1": lambda m: ".in_layers.2",
    r"\.time_emb_proj": lambda m: ".emb_layers.1",
    r"(blocks?\.\d\.\d|middle_block\.\d)\.norm2": lambda m: f"{m[1]}.out_layers.0",
    r"\.conv2": lambda m: ".out_layers.3",
    r"\.conv_shortcut": lambda m: ".skip_connection",
}
VAE = {
    r"down_blocks.(\d).resnets.(\d)": lambda m: f"down.{m[1]}.block.{m[2]}",
    r"down_blocks.(\d).downsamplers.0": lambda m: f"down.{m[1]}.downsample",
    r"up_blocks.(\d).resnets.(\d)": lambda m: f"up.{1 - int(m[1])}.block.{m[2]}",
    r"up_blocks.(\d).upsamplers.0": lambda m: f"up.{1 - int(m[1])}.upsample",
    r"mid_block.resnets.(\d)": lambda m: f"mid.block_{int(m[1]) + 1}",
    r"mid_block.attentions.0.group_norm": lambda m: "mid.attn_1.norm",
    r"mid_block.attentions.0.to_([qkv])": lambda m: f"mid.attn_1.{m[1]}",
    r"mid_block.attentions.0.to_out.0": lambda m: "mid.attn_1.proj_out",
    r"conv_norm_out": lambda m: "norm_out",
    r"conv_shortcut": lambda m: "nin_shortcut",
}


def renamed(state: dict[str, Tensor], rules: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    """Diffusers' names as CompVis's checkpoints have them, for a model of two levels."""
    made = {}
    for name, value in state.items():
        for pattern, new in rules.items():
            name = re.sub(pattern, new, name)
        made[prefix + name] = value.contiguous()
    return made


@pytest.fixture
def single(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """The tiny Stable Diffusion as one file of the original layout."""
    parts = {
        name: load_file(next((tiny_folder("sd") / name).glob("*.safetensors")))
        for name in ("unet", "vae", "text_encoder")
    }
    words = {
        f"text_model.{k.removeprefix('text_model.')}": v for k, v in parts["text_encoder"].items()
    }
    state = renamed(parts["unet"], UNET, "model.diffusion_model.")
    state |= renamed(parts["vae"], VAE, "first_stage_model.")
    state |= renamed(words, {}, "cond_stage_model.transformer.")
    save_file(state, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_single_file_is_the_folders_model(
    single: Path, tiny_folder: Callable[[str], Path], offline: None
) -> None:
    folder = tiny_folder("sd")
    found = StableDiffusion(str(single), config=str(folder)).state_dict()
    wanted = StableDiffusion(str(folder)).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_single_files_that_can_not_be_loaded(
    single: Path, tiny_folder: Callable[[str], Path], tmp_path: Path, offline: None
) -> None:
    folder = str(tiny_folder("sd"))
    line = refused(lambda: StableDiffusion(str(single)))
    assert "a .safetensors file with its `config`" in line
    assert "single.from" not in line
    line = refused(lambda: load_backbone(str(single)))
    assert "doesn't say what model it is. Name the backbone" in line
    line = refused(lambda: StableDiffusion(folder, config=folder))
    assert "goes with a single file" in line
    line = refused(lambda: PixArtAlpha(str(single), config=str(tiny_folder("pixart"))))
    assert "diffusers loads no PixArtAlphaPipeline from a single file" in line
    torch.save({}, tmp_path / "model.ckpt")
    line = refused(lambda: StableDiffusion(str(tmp_path / "model.ckpt"), config=folder))
    assert "would have to be unpickled, which can run code" in line
    save_file({"lora": torch.zeros(2)}, tmp_path / "lora.safetensors")
    line = refused(lambda: StableDiffusion(str(tmp_path / "lora.safetensors"), config=folder))
    assert "Weights for this component appear to be missing" in line
    (tmp_path / "damaged.safetensors").write_bytes(single.read_bytes()[:5000])
    line = refused(lambda: StableDiffusion(str(tmp_path / "damaged.safetensors"), config=folder))
    assert "No StableDiffusionPipeline under" in line


# --- folders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_component_is_named(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part)
    assert f"lacks {part}, which its model_index.json names" in refused(
        lambda: StableDiffusion(str(copy))
    )


def test_a_tokenizer_that_can_not_be_read(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    pixart = Path(shutil.copytree(tiny_folder("pixart"), tmp_path / "copy"))
    (pixart / "tokenizer" / "tokenizer.json").unlink()
    assert "lacks the vocabulary of tokenizer" in refused(lambda: PixArtAlpha(str(pixart)))
    (pixart / "tokenizer" / "spiece.model").write_bytes(b"no SentencePiece model")
    line = refused(lambda: PixArtAlpha(str(pixart)))
    assert (
        "needs sentencepiece and protobuf. Install them: pip install 'muse-emotion[large]'" in line
    )


def test_no_model_at_all(tmp_path: Path) -> None:
    for load in (StableDiffusion, load_backbone):
        line = refused(lambda load=load: load(str(tmp_path)))  # type: ignore[misc]
        assert "model_index.json" in line


def test_another_models_folder(tiny_folder: Callable[[str], Path], copy: Path) -> None:
    line = refused(lambda: StableDiffusion(str(tiny_folder("sdxl"))))
    assert "is a StableDiffusionXLPipeline, not a StableDiffusionPipeline" in line
    index = copy / "model_index.json"
    known = json.loads(index.read_text())
    index.write_text(json.dumps({**known, "_class_name": "KandinskyPipeline"}))
    line = refused(lambda: load_backbone(str(copy)))
    assert "is a KandinskyPipeline, which no backbone loads. Known: " in line
    index.write_text(json.dumps({k: v for k, v in known.items() if k != "unet"}))
    assert "No StableDiffusionPipeline under" in refused(lambda: StableDiffusion(str(copy)))


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_weights_that_need_unpickling_are_never_read(
    copy: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    [weights] = (copy / part).glob("*.safetensors")
    names = {"unet": "diffusion_pytorch_model.bin", "text_encoder": "pytorch_model.bin"}
    torch.save(load_file(weights), copy / part / names[part])
    weights.unlink()
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpickled"))
    line = refused(lambda: StableDiffusion(str(copy)))
    assert "safetensors weights (others would have to be unpickled)" in line


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_damaged_weights(copy: Path, part: str) -> None:
    [weights] = (copy / part).glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "No StableDiffusionPipeline under" in refused(lambda: StableDiffusion(str(copy)))


def test_weights_of_other_shapes(copy: Path) -> None:
    config = json.loads((copy / "unet" / "config.json").read_text())
    (copy / "unet" / "config.json").write_text(
        json.dumps({**config, "block_out_channels": [8, 24]})
    )
    line = refused(lambda: StableDiffusion(str(copy)))
    assert "Error(s) in loading state_dict for UNet2DConditionModel" in line


def test_what_it_predicts_must_be_known(copy: Path) -> None:
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "sample"}))
    assert "predicts 'sample'" in refused(lambda: StableDiffusion(str(copy)))


def test_no_network(offline: None) -> None:
    for load in (StableDiffusion, StableDiffusionXL, PixArtAlpha, load_backbone):
        line = refused(lambda load=load: load("someone/not-cached"))  # type: ignore[misc]
        assert "'someone/not-cached'" in line
        assert "needs the network once" in line


def test_the_hub_is_never_asked_to_run_code(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    load = StableDiffusionPipeline.from_pretrained

    def spy(path: str, **options: Any) -> Any:
        given.update(options)
        return load(path, **options)

    monkeypatch.setattr(StableDiffusionPipeline, "from_pretrained", spy)
    StableDiffusion(str(tiny_folder("sd")))
    assert given["use_safetensors"] is True
    assert not given.get("trust_remote_code")


# --- prompts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "room", "fits", "rest"),
    [
        ("sd", 14, "a " * 14, "b c d"),
        ("sdxl", 14, "a " * 14, "b c d"),
        ("pixart", 119, "a" * 118, "bcd"),  # T5 begins a word by a token of its own
    ],
)
def test_a_prompt_beyond_the_context_is_told(
    tiny_folder: Callable[[str], Path], family: str, room: int, fits: str, rest: str
) -> None:
    backbone: Backbone = load_backbone(str(tiny_folder(family)))
    assert not any("reads" in line for line in backbone.remarks(fits))
    [line] = [line for line in backbone.remarks(fits + rest) if "reads" in line]
    assert f"reads {room} tokens" in line
    assert f"not {rest!r}" in line
    assert "\n" not in line
    tokens = backbone.embed([fits, fits + rest], backbone.size)["tokens"]
    torch.testing.assert_close(tokens[0], tokens[1])
