"""Loading a backbone: what there is is loaded as it is, and what isn't is told in one line."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import huggingface_hub
import pytest
import torch
from diffusers import (
    DiffusionPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.models import modeling_utils
from diffusers.schedulers import scheduling_euler_discrete
from diffusers.utils import dummy_torch_and_scipy_objects, import_utils, is_accelerate_available
from safetensors.torch import load_file

from muse.backbones import (
    Backbone,
    PixArtAlpha,
    StableDiffusion,
    StableDiffusionXL,
    load_backbone,
)
from muse.cli import main
from muse.core.types import MuseError
from muse.pretrained.variants import variant_of
from tests.test_weights import IMPOSTORS, POINTER


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
    assert f"{weights.name}' is only the first" in refused(lambda: StableDiffusion(str(copy)))
    weights.write_bytes(b"\1" * 99)
    assert "No StableDiffusionPipeline under" in refused(lambda: StableDiffusion(str(copy)))


@pytest.mark.parametrize("impostor", IMPOSTORS)
@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_files_that_are_something_else(copy: Path, part: str, impostor: str) -> None:
    [weights] = (copy / part).glob("*.safetensors")
    content, says = IMPOSTORS[impostor]
    weights.write_bytes(content)
    line = refused(lambda: StableDiffusion(str(copy)))
    assert f"{str(weights)!r} {says}" in line


def test_a_tokenizer_that_is_a_pointer(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    pixart = Path(shutil.copytree(tiny_folder("pixart"), tmp_path / "copy"))
    (pixart / "tokenizer" / "tokenizer.json").write_bytes(POINTER)
    assert "tokenizer.json' is a Git LFS pointer" in refused(lambda: PixArtAlpha(str(pixart)))
    (pixart / "tokenizer" / "tokenizer.json").unlink()
    (pixart / "tokenizer" / "spiece.model").write_bytes(POINTER)
    assert "spiece.model' is a Git LFS pointer" in refused(lambda: PixArtAlpha(str(pixart)))


# --- packages -----------------------------------------------------------------------------------


@pytest.fixture
def without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers as it is where scipy isn't installed."""
    absent = (lambda: False, import_utils.BACKENDS_MAPPING["scipy"][1])
    monkeypatch.setitem(import_utils.BACKENDS_MAPPING, "scipy", absent)
    dummy = dummy_torch_and_scipy_objects.LMSDiscreteScheduler
    monkeypatch.setattr(diffusers, "LMSDiscreteScheduler", dummy)
    monkeypatch.setattr(scheduling_euler_discrete, "is_scipy_available", lambda: False)


def test_a_scheduler_that_lacks_a_package(copy: Path, without_scipy: None) -> None:
    index = copy / "model_index.json"
    known = json.loads(index.read_text())
    index.write_text(json.dumps({**known, "scheduler": ["diffusers", "LMSDiscreteScheduler"]}))
    line = refused(lambda: StableDiffusion(str(copy)))
    assert "The LMSDiscreteScheduler of" in line
    assert "needs what isn't installed: pip install scipy. Or save the pipeline with a" in line
    index.write_text(json.dumps({**known, "scheduler": ["diffusers", "EulerDiscreteScheduler"]}))
    config = copy / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "use_beta_sigmas": True}))
    line = refused(lambda: StableDiffusion(str(copy)))
    assert "The scheduler of" in line
    assert "needs what isn't installed: pip install scipy. Or save the pipeline with a" in line


# --- variants -----------------------------------------------------------------------------------


def save_variant(source: Path, folder: Path, variant: str, **options: Any) -> None:
    """Save the model of a folder as a variant of it, each weight by 1 % larger."""
    pipeline = DiffusionPipeline.from_pretrained(source, low_cpu_mem_usage=False)
    for part in pipeline.components.values():
        for weight in part.parameters() if isinstance(part, torch.nn.Module) else ():
            weight.data.mul_(1.01)
    pipeline.save_pretrained(folder, variant=variant, **options)


def larger(backbone: Backbone, plain: Backbone) -> dict[str, bool]:
    """For each component, whether its weights are those of the variant."""
    found, wanted = backbone.state_dict(), plain.state_dict()
    assert found.keys() == wanted.keys()
    told: dict[str, set[bool]] = {}
    for name in dict(plain.named_parameters()):
        part = ".".join(name.split(".")[: 2 if name.startswith("text_encoders") else 1])
        same, scaled = (torch.equal(found[name], by * wanted[name]) for by in (1, 1.01))
        if bool(wanted[name].any()):
            assert same != scaled
            told.setdefault(part, set()).add(scaled)
    assert all(len(values) == 1 for values in told.values())
    return {part: values.pop() for part, values in told.items()}


@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart", "sd3", "flux-dev"])
def test_a_folder_of_one_variant_alone_loads_by_itself(
    tiny_folder: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    plain = load_backbone(str(tiny_folder(family)))
    save_variant(tiny_folder(family), tmp_path, "fp16")
    for options in ({}, {"variant": "fp16"}):
        assert all(larger(load_backbone(str(tmp_path), **options), plain).values())
    line = refused(lambda: load_backbone(str(tmp_path), variant="bf16"))
    assert "has no weights of the variant 'bf16'. It has: fp16." in line


def test_where_both_are_there_the_option_chooses(copy: Path) -> None:
    plain = StableDiffusion(str(copy))
    with pytest.raises(MuseError, match=r"'fp16'\. It has none: leave variant out"):
        StableDiffusion(str(copy), variant="fp16")
    save_variant(copy, copy, "fp16", max_shard_size="20KB")
    assert len(list((copy / "unet").glob("*.fp16-0000?-of-*.safetensors"))) > 1, "in shards too"
    assert not any(larger(StableDiffusion(str(copy)), plain).values())
    assert all(larger(StableDiffusion(str(copy), variant="fp16"), plain).values())
    for file in (copy / "vae").glob("*.fp16*"):
        file.unlink()
    made = larger(StableDiffusion(str(copy), variant="fp16"), plain)
    assert made == {"model": True, "vae": False, "text_encoders.text_encoder": True}


def test_files_that_are_not_asked_for_may_be_pointers(
    tiny_folder: Callable[[str], Path], copy: Path
) -> None:
    """As ``git lfs pull --include`` of a variant leaves them."""
    plain = StableDiffusion(str(tiny_folder("sd")))
    pointers = list(copy.rglob("*.safetensors"))
    save_variant(tiny_folder("sd"), copy, "fp16")
    for file in pointers:
        file.write_bytes(POINTER)
    assert all(larger(StableDiffusion(str(copy), variant="fp16"), plain).values())
    assert "is a Git LFS pointer" in refused(lambda: StableDiffusion(str(copy)))


def test_several_variants_alone_have_to_be_chosen_from(copy: Path, tmp_path: Path) -> None:
    plain, folder = StableDiffusion(str(copy)), tmp_path / "both"
    for variant in ("ema", "fp16"):
        save_variant(copy, folder, variant)
    line = refused(lambda: StableDiffusion(str(folder)))
    assert "has weights of the variants ema, fp16 alone. Choose one by variant" in line
    assert all(larger(StableDiffusion(str(folder), variant="ema"), plain).values())
    (folder / "vae" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    line = refused(lambda: StableDiffusion(str(folder), variant="fp16"))
    assert "has weights of the variant 'fp16' for some parts alone" in line


@pytest.mark.parametrize(
    ("file", "variant"),
    [
        ("model.safetensors", ""),
        ("model-00001-of-00002.safetensors", ""),
        ("pytorch_model.bin", ""),
        ("diffusion_pytorch_model.fp16.safetensors", "fp16"),
        ("diffusion_pytorch_model.non_ema.bin", "non_ema"),
        ("model.fp16-00001-of-00002.safetensors", "fp16"),
        ("model-00001-of-00002.fp16.safetensors", "fp16"),  # of old
        ("model.safetensors.index.json", None),
        ("adapter_model.safetensors", None),
        ("config.json", None),
    ],
)
def test_variants_by_name(file: str, variant: str | None) -> None:
    assert variant_of(file) == variant


# --- the hub ------------------------------------------------------------------------------------


@pytest.fixture
def hub(tiny_folder: Callable[[str], Path], tmp_path: Path, offline: None) -> Path:
    """A hub's cache in which ``someone/tiny`` has a ``main`` and, in ``v2``, a variant."""
    root = tmp_path / "cache" / "models--someone--tiny"
    for revision, commit in (("main", "a" * 40), ("v2", "b" * 40)):
        snapshot = root / "snapshots" / commit
        shutil.copytree(tiny_folder("sd"), snapshot)
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / revision).write_text(commit)
    save_variant(snapshot, snapshot, "fp16")
    return tmp_path / "cache"


def test_a_hub_id_is_fetched_as_it_is_said(
    tiny_folder: Callable[[str], Path], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = StableDiffusion(str(tiny_folder("sd")))
    fetching: Any = {"cache_dir": str(hub), "local_files_only": True}
    assert "needs the network once" in refused(lambda: load_backbone("someone/tiny"))
    assert not any(larger(load_backbone("someone/tiny", hub=fetching), plain).values())
    fetching = {**fetching, "revision": "v2", "token": "hf_secret"}
    given = []
    for name in ("load_config", "from_pretrained"):
        own = getattr(StableDiffusionPipeline, name)

        def spy(path: str, own: Any = own, **options: Any) -> Any:
            given.append(options)
            return own(path, **options)

        monkeypatch.setattr(StableDiffusionPipeline, name, spy)
    made = load_backbone("someone/tiny", variant="fp16", hub=fetching)
    assert all(larger(made, plain).values())
    assert given[0].items() >= fetching.items()
    assert any(options.items() >= {**fetching, "variant": "fp16"}.items() for options in given)
    line = refused(lambda: load_backbone("someone/tiny", variant="fp17", hub=fetching))
    assert "variant=fp17" in line


def test_a_hub_id_of_one_variant_alone_says_so(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(
            "Could not find the necessary `safetensors` weights in "
            "{'unet/diffusion_pytorch_model.fp16.safetensors', 'vae/model.fp16.safetensors'} "
            "(variant=None)"
        )

    monkeypatch.setattr(StableDiffusionPipeline, "from_pretrained", fail)
    line = refused(lambda: StableDiffusion(str(tiny_folder("sd"))))
    assert "has weights of the variant fp16 alone. Choose it by variant: fp16." in line


def test_a_folder_has_no_revisions(tiny_folder: Callable[[str], Path]) -> None:
    folder = str(tiny_folder("sd"))
    line = refused(lambda: load_backbone(folder, hub={"revision": "v2"}))
    assert "revision = 'v2' goes with a hub id, and" in line
    load_backbone(folder, hub={"local_files_only": True, "token": None})


@pytest.mark.parametrize(
    ("hub", "says"),
    [
        ({"revison": "v2"}, "hub has no option 'revison'. Did you mean 'revision'?"),
        ({"revision": 1.0}, "hub: revision = 1.0 is not allowed. Use a text."),
        (
            {"local_files_only": "some"},
            "local_files_only = 'some' is not allowed. Use true or false",
        ),
    ],
)
def test_what_the_hub_is_not_asked(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], hub: Any, says: str
) -> None:
    assert says in refused(lambda: load_backbone(str(copy), hub=hub))
    toy = str(Path(__file__).parent.parent / "configs" / "toy.yaml")
    words = ["fit-free", "--config", toy, "--output_dir", str(tmp_path / "run")]
    words += ["--model.backbone", "StableDiffusion", "--model.backbone.hub", json.dumps(hub)]
    assert main(words) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line.startswith("muse: error: ")
    assert says in line


def test_an_option_that_is_none(tiny_folder: Callable[[str], Path]) -> None:
    line = refused(lambda: load_backbone(str(tiny_folder("sd")), decoder_tilling=True))
    assert "StableDiffusion has no option 'decoder_tilling'. Did you mean 'decoder_tiling'?" in line
    line = refused(lambda: load_backbone(str(tiny_folder("sd3")), t6=False))
    assert "max_sequence_length, " in line
    assert "pretrained" not in line


def test_weights_of_other_shapes(copy: Path) -> None:
    config = json.loads((copy / "unet" / "config.json").read_text())
    (copy / "unet" / "config.json").write_text(
        json.dumps({**config, "block_out_channels": [8, 24]})
    )
    line = refused(lambda: StableDiffusion(str(copy)))
    state = "Error(s) in loading state_dict for UNet2DConditionModel"
    assert ("bias expected shape torch.Size([24])" if is_accelerate_available() else state) in line


def test_what_it_predicts_must_be_known(copy: Path) -> None:
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "sample"}))
    assert "predicts 'sample'" in refused(lambda: StableDiffusion(str(copy)))


def test_a_model_of_an_edm_scheduler_is_refused(copy: Path) -> None:
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "EDMEulerScheduler"}))
    index = copy / "model_index.json"
    named = {**json.loads(index.read_text()), "scheduler": ["diffusers", "EDMEulerScheduler"]}
    index.write_text(json.dumps(named))
    for options in ({}, {"scheduler": "DPMSolverMultistepScheduler"}):
        line = refused(lambda options=options: StableDiffusion(str(copy), **options))
        assert "EDMEulerScheduler, which no other scheduler can stand in for" in line


def test_latents_that_are_normalised_by_channel(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_folder("sdxl"), tmp_path / "copy"))
    path = copy / "vae" / "config.json"
    lists = {"latents_mean": [-1.7, 1.9, -1.4, 2.5], "latents_std": [8.5, 5.9, 6.5, 5.2]}
    path.write_text(json.dumps({**json.loads(path.read_text()), **lists}))
    backbone = StableDiffusionXL(str(copy))
    pipe = StableDiffusionXLPipeline.from_pretrained(copy)
    pipe.set_progress_bar_config(disable=True)
    latent = torch.randn(2, 4, 8, 8)
    given = {"latents": latent, "output_type": "pt", "num_inference_steps": 1}
    with torch.no_grad():
        kept = pipe(["a"] * 2, **given, callback_on_step_end=lambda *_: {"latents": latent}).images
        shown = backbone.decode(latent).clamp(0, 1)
        torch.testing.assert_close(shown, kept, atol=1e-4, rtol=0)
        scale, shift = backbone.scale_and_shift
        picture = torch.rand(1, 3, 16, 16)
        mean = backbone.vae.encode(2 * picture - 1).latent_dist.mean
        again = backbone.encode(picture) / scale + shift
        torch.testing.assert_close(again, mean)
        norm = StableDiffusionXLImg2ImgPipeline(**pipe.components).prepare_latents(
            2 * picture - 1, torch.tensor([1]), 1, 1, torch.float32, torch.device("cpu"),
            torch.Generator().manual_seed(0), add_noise=False,
        )  # fmt: skip
        std = backbone.vae.encode(2 * picture - 1).latent_dist.std
        sampled = backbone.encode(picture) + std * scale * torch.randn(
            mean.shape, generator=torch.Generator().manual_seed(0)
        )
        torch.testing.assert_close(norm, sampled, atol=1e-4, rtol=0)


def test_a_path_loads_and_nothing_is_remarked_on(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(modeling_utils.logger, "warning", lambda line, *_: told.append(line))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*torch_dtype")
        backbone = load_backbone(tiny_folder("sd"))  # type: ignore[arg-type]
    assert told == []
    assert backbone.pretrained == str(tiny_folder("sd"))


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
