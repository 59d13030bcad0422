"""Loading a backbone: what there is is loaded as it is, and what isn't is told in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

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
    index.write_text(json.dumps({**known, "unet": ["diffusers", "UNetOfTomorrow"]}))
    assert "UNetOfTomorrow" in refused(lambda: StableDiffusion(str(copy)))
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


@pytest.mark.parametrize(
    "error",
    [
        TypeError("got an unexpected keyword argument 'dtpye'"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_other_errors_are_not_told_as_a_missing_model(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(StableDiffusionPipeline, "from_pretrained", fail)
    with pytest.raises(type(error)) as caught:
        StableDiffusion(str(tiny_folder("sd")))
    assert caught.value is error


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
