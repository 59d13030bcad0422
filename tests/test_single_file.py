"""Single files: a model in its publisher's own layout is the model of the folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from diffusers.loaders import single_file_utils
from safetensors.torch import save_file

from muse.backbones import (
    Flux,
    PipelineBackbone,
    PixArtAlpha,
    StableDiffusion,
    StableDiffusion3,
    StableDiffusionXL,
    load_backbone,
)
from tests.original import save_original, save_without_text
from tests.test_backbone_loading import refused
from tests.test_weights import IMPOSTORS

BACKBONES: dict[str, type[PipelineBackbone]] = {
    "sd": StableDiffusion,
    "sdxl": StableDiffusionXL,
    "sd3": StableDiffusion3,
    "flux-dev": Flux,
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def folder(
    tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A family's folder, whose weights a single file can hold."""

    def find(family: str) -> Path:
        if family != "sd3":
            return tiny_folder(family)
        # The published files hold no projection for the first CLIP, whose own is left out.
        pipeline = StableDiffusion3Pipeline.from_pretrained(
            tiny_folder("sd3"), low_cpu_mem_usage=False
        )
        torch.nn.init.eye_(pipeline.text_encoder.text_projection.weight)
        path = tmp_path_factory.mktemp("sd3-single")
        pipeline.save_pretrained(path)
        return path

    return find


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers' converter of FLUX holds the width of the published model, 3072: here the tiny
    one's.
    """
    convert = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers
    code = convert.__code__
    consts = tuple(24 if const == 3072 else const for const in code.co_consts)
    assert consts != code.co_consts
    monkeypatch.setattr(convert, "__code__", code.replace(co_consts=consts))


@pytest.mark.parametrize("family", BACKBONES)
def test_a_single_file_is_the_folders_model(
    folder: Callable[[str], Path], tmp_path: Path, narrow: None, family: str
) -> None:
    whole = folder(family)
    config = shutil.copytree(
        whole, tmp_path / "config", ignore=shutil.ignore_patterns("*.safetensors")
    )
    single = save_original(family, whole, tmp_path / "model.safetensors")
    found = BACKBONES[family](single, config=str(config)).state_dict()
    wanted = BACKBONES[family](str(whole)).state_dict()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize(
    ("family", "vae"), [("flux-dev", False), ("flux-dev", True), ("sd3", True), ("sdxl", False)]
)
def test_a_file_without_text_encoders(
    tiny_folder: Callable[[str], Path], tmp_path: Path, narrow: None, family: str, vae: bool
) -> None:
    """What it holds is the file's, though the config lacks it; all else is the config's."""
    whole = tiny_folder(family)
    single = save_without_text(family, whole, tmp_path / "model.safetensors", vae)
    config = Path(shutil.copytree(whole, tmp_path / "config"))
    for part in (BACKBONES[family].denoiser, *(["vae"] if vae else [])):
        next((config / part).glob("*.safetensors")).unlink()
    backbone = BACKBONES[family](single, config=str(config))
    found, wanted = backbone.state_dict(), BACKBONES[family](str(whole)).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    half = BACKBONES[family](single, config=str(config), dtype="bfloat16")
    assert {value.dtype for value in half.state_dict().values()} == {torch.bfloat16}


def test_a_denoiser_under_diffusers_names(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = tiny_folder("flux-dev")
    config = Path(shutil.copytree(whole, tmp_path / "config"))
    [weights] = (config / "transformer").glob("*.safetensors")
    single = weights.rename(tmp_path / "model.safetensors")
    found, wanted = Flux(str(single), config=str(config)), Flux(str(whole))
    for name, value in wanted.state_dict().items():
        assert torch.equal(found.state_dict()[name], value)


def test_a_denoiser_alone_needs_a_whole_model_of_its_kind(
    tiny_folder: Callable[[str], Path], tmp_path: Path, narrow: None
) -> None:
    single = save_without_text("flux-dev", tiny_folder("flux-dev"), tmp_path / "dev.safetensors")
    line = refused(lambda: Flux(single))
    assert "holds no text encoders, so `config` has to be a whole model. Give a folder" in line
    line = refused(lambda: Flux(single, config=str(tiny_folder("sd3"))))
    assert "is a StableDiffusion3Pipeline, not a FluxPipeline" in line
    line = refused(lambda: Flux(single, config=str(tiny_folder("flux-schnell"))))
    assert re.search(r"holds \d+ weights, and transformer of '.*' \d+\. Give the `config`", line)
    config = Path(shutil.copytree(tiny_folder("flux-dev"), tmp_path / "config"))
    next((config / "text_encoder").glob("*.safetensors")).unlink()
    line = refused(lambda: Flux(single, config=str(config)))
    assert "dev.safetensors' holds no text encoders, so `config` has" in line
    assert "no file named model.safetensors" in line
    shutil.rmtree(config / "text_encoder_2")
    line = refused(lambda: Flux(single, config=str(config)))
    assert "lacks text_encoder_2, which its model_index.json names" in line


def test_a_file_without_t5(folder: Callable[[str], Path], tmp_path: Path) -> None:
    whole = folder("sd3")
    single = save_original("sd3", whole, tmp_path / "model.safetensors", leave_out="t5xxl")
    found = StableDiffusion3(single, config=str(whole), t5=False).state_dict()
    wanted = StableDiffusion3(str(whole), t5=False).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    line = refused(lambda: StableDiffusion3(single, config=str(whole)))
    assert "Failed to load T5EncoderModel" in line


@pytest.mark.parametrize("family", BACKBONES)
def test_a_file_of_another_model(
    tiny_folder: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    for other in BACKBONES.keys() - {family}:
        single = save_original(other, tiny_folder(other), tmp_path / f"{other}.safetensors")
        cls = BACKBONES[family]
        line = refused(lambda: cls(single, config=str(tiny_folder(family))))  # noqa: B023
        assert f"No {cls.pipeline_class.__name__} under" in line


def test_a_file_without_its_transformer(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    for family in ("sd3", "flux-dev"):
        whole = tiny_folder(family)
        single = save_original(family, whole, tmp_path / "model.safetensors", leave_out="_blocks.")
        line = refused(lambda: BACKBONES[family](single, config=str(whole)))  # noqa: B023
        assert f"No {BACKBONES[family].pipeline_class.__name__} under" in line


def test_single_files_that_can_not_be_loaded(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = str(tiny_folder("sd"))
    single = Path(save_original("sd", Path(folder), tmp_path / "model.safetensors"))
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
    line = refused(lambda: StableDiffusion(str(single), config=folder, variant="fp16"))
    assert "variant = 'fp16' goes with a folder or a hub id" in line
    line = refused(lambda: StableDiffusion(str(single), config=folder, hub={"revison": "v2"}))
    assert "hub has no option 'revison'. Did you mean 'revision'? Use one of: cache_dir, " in line


@pytest.mark.parametrize("impostor", [*IMPOSTORS, "half", "noise"])
def test_single_files_that_are_something_else(
    tiny_folder: Callable[[str], Path], tmp_path: Path, impostor: str
) -> None:
    folder = tiny_folder("sd")
    single = Path(save_original("sd", folder, tmp_path / "model.safetensors"))
    half = single.read_bytes()[:5000], "is only the first 5,000 bytes of "
    noise = b"\1" * 99, "No StableDiffusionPipeline under"
    content, says = {**IMPOSTORS, "half": half, "noise": noise}[impostor]
    single.write_bytes(content)
    assert says in refused(lambda: StableDiffusion(str(single), config=str(folder)))


def test_a_denoiser_alone_goes_with_a_variant(
    tiny_folder: Callable[[str], Path], tmp_path: Path, narrow: None
) -> None:
    """All else is that variant's of the config."""
    whole = tiny_folder("flux-dev")
    single = save_without_text("flux-dev", whole, tmp_path / "model.safetensors")
    config = Path(shutil.copytree(whole, tmp_path / "config"))
    for part in ("vae", "text_encoder", "text_encoder_2"):
        [weights] = (config / part).glob("*.safetensors")
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    wanted = Flux(str(whole)).state_dict()
    for options in ({}, {"variant": "fp16"}):
        found = Flux(single, config=str(config), **options).state_dict()
        assert all(torch.equal(found[name], value) for name, value in wanted.items())
