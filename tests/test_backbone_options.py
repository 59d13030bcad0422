"""What guide and similarity look through, and what saves memory: each option does what it says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from muse.backbones import (
    GaussianMixture,
    PipelineBackbone,
    PixArtAlpha,
    StableDiffusion,
    StableDiffusionXL,
    load_backbone,
)
from muse.cli import main
from muse.core.jobs import Job
from muse.core.types import MuseError, Node
from muse.guides import ConvNet
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import StepWindow
from muse.steering import TokenOptimization
from tests import tiny
from tests.test_weights import POINTER
from tests.watching import Latents

SIZE = (16, 24)


@pytest.fixture(scope="module")
def sd(tiny_folder: Callable[[str], Path]) -> str:
    return str(tiny_folder("sd"))


@pytest.fixture(scope="module")
def taesd(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("taesd")
    torch.manual_seed(0)
    tiny.tiny_autoencoder().save_pretrained(path)
    return str(path)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def slope(backbone: PipelineBackbone) -> Tensor:
    """The gradient of what the preview shows, by the emotion tokens."""
    backbone.eval().requires_grad_(False)
    grid = backbone.time_grid(4, SIZE)
    cond = backbone.embed(["a dog"], SIZE)
    tokens = 0.1 * noise(1, 2, cond["tokens"].shape[-1])
    tokens.requires_grad_()
    x = noise(1, *backbone.latent_shape(SIZE))
    made = backbone.denoise(x, Node.stack([grid[1]]), backbone.extend(cond, tokens))
    [found] = torch.autograd.grad(backbone.preview(made.x0).square().sum(), tokens)
    return found


# --- the preview --------------------------------------------------------------------------------


def test_by_default_the_preview_is_the_picture(sd: str) -> None:
    backbone, latent = StableDiffusion(sd), noise(2, 4, 8, 12)
    assert torch.equal(backbone.preview(latent), backbone.decode(latent))
    assert backbone.preview(latent).shape == (2, 3, *SIZE)


def test_a_tiny_autoencoder_reads_unscaled_latents_and_paints_from_0_to_1(
    sd: str, taesd: str
) -> None:
    backbone, latent = StableDiffusion(sd, preview_decoder=taesd), noise(2, 4, 8, 12)
    small: Any = backbone.preview_vae
    expected = small.decode(latent).sample / 2 + 0.5
    assert torch.equal(backbone.preview(latent), expected)
    assert not torch.allclose(backbone.preview(latent), backbone.decode(latent), atol=0.05)
    last = small.decoder.layers[-1]
    last.weight.data.zero_()
    last.bias.data = torch.tensor([0.0, 0.25, 1.0])
    colours = backbone.preview(latent).mean((0, 2, 3))
    torch.testing.assert_close(colours, last.bias.data)


@pytest.mark.parametrize(("side", "shape"), [(8, (4, 6)), (16, (8, 12)), (32, (16, 24))])
def test_a_preview_size_resizes_the_latent_and_keeps_its_aspect_ratio(
    sd: str, monkeypatch: pytest.MonkeyPatch, side: int, shape: tuple[int, int]
) -> None:
    backbone, latent = StableDiffusion(sd, preview_size=side), noise(1, 4, 8, 12)
    assert backbone.preview(latent).shape == (1, 3, 2 * shape[0], 2 * shape[1])
    monkeypatch.setattr(backbone, "decode", lambda latent: latent)
    flat = torch.full((1, 4, 8, 12), 0.3)
    torch.testing.assert_close(backbone.preview(flat), torch.full((1, 4, *shape), 0.3))
    slope = torch.linspace(-1, 1, 12).expand(1, 4, 8, 12)
    columns = backbone.preview(slope).mean((0, 1, 2))
    assert (columns.diff() > 0).all()
    torch.testing.assert_close(columns, -columns.flip(0))
    if side == 16:
        assert torch.equal(backbone.preview(latent), latent)


@pytest.mark.parametrize("options", [{}, {"preview_size": 8}, {"preview_decoder": "taesd"}])
def test_gradients_pass_and_the_final_picture_is_decoded_in_full(
    sd: str, taesd: str, options: dict[str, Any]
) -> None:
    given = {key: taesd if value == "taesd" else value for key, value in options.items()}
    backbone = StableDiffusion(sd, **given)
    found = slope(backbone)
    assert found.isfinite().all()
    assert (found.abs().amax(-1) > 0).all()
    kept = Latents()
    made = Sampler(
        backbone, ConvNet(width=8), TokenOptimization(lr=0.05), StepWindow(0.6),
        MultiEmotionLoss(), GaussianNoise(), steps=3, max_iterations=1, size=SIZE,
    )  # fmt: skip
    [result] = made.sample([Job("a", "a dog", {"awe": 1.0}, 0)], watchers=[kept])
    assert result.image is not None
    assert torch.equal(result.image, backbone.decode(kept.of["a"][-1]))


def test_previews_that_do_not_fit_are_refused(sd: str, tmp_path: Path) -> None:
    tiny.tiny_autoencoder(channels=16).save_pretrained(tmp_path)
    with pytest.raises(MuseError, match="reads latents of 16 channels, the model's have 4"):
        StableDiffusion(sd, preview_decoder=str(tmp_path))
    with pytest.raises(MuseError, match="it is of class AutoencoderKL"):
        StableDiffusion(sd, preview_decoder=f"{sd}/vae")
    [weights] = tmp_path.glob("*.safetensors")
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(MuseError, match="no file named diffusion_pytorch_model"):
        StableDiffusion(sd, preview_decoder=str(tmp_path))
    with pytest.raises(MuseError, match="multiples of 2"):
        StableDiffusion(sd, preview_size=9)


def test_a_tiny_autoencoder_of_one_variant_alone(sd: str, taesd: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tiny.tiny_autoencoder().save_pretrained(tmp_path, variant="fp16")
    found, wanted = (StableDiffusion(sd, preview_decoder=p) for p in (str(tmp_path), taesd))
    latent = noise(1, 4, 8, 12)
    assert torch.equal(found.preview(latent), wanted.preview(latent))
    [weights] = tmp_path.glob("*.safetensors")
    weights.write_bytes(POINTER)
    with pytest.raises(MuseError, match=r"fp16\.safetensors' is a Git LFS pointer"):
        StableDiffusion(sd, preview_decoder=str(tmp_path))


# --- memory -------------------------------------------------------------------------------------


def test_dtype_is_that_of_all_weights_and_never_of_latents(sd: str) -> None:
    backbone = StableDiffusion(sd, dtype="bfloat16")
    assert {p.dtype for p in backbone.parameters()} == {torch.bfloat16}
    latent = backbone.encode(torch.rand(1, 3, *SIZE))
    grid = backbone.time_grid(4, SIZE)
    made = backbone.denoise(latent, Node.stack([grid[1]]), backbone.embed(["a"], SIZE))
    assert {value.dtype for value in (latent, made.x0, backbone.decode(latent))} == {torch.float32}


def test_sdxls_autoencoder_stays_in_float32(tiny_folder: Callable[[str], Path]) -> None:
    backbone = StableDiffusionXL(str(tiny_folder("sdxl")), dtype="float16")
    assert backbone.model.dtype == torch.float16
    assert backbone.vae.dtype == torch.float32
    latent = noise(1, 4, 8, 12)
    expected = backbone.decode(latent)
    with torch.autocast("cpu", torch.float16):
        assert torch.equal(backbone.decode(latent), expected)
        assert not torch.equal(backbone.vae.decode(latent / 0.7).sample / 2 + 0.5, expected)
        assert backbone.encode(expected).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert not torch.equal(backbone.decode(latent), expected)
    backbone.vae.register_to_config(force_upcast=False)  # the fp16-fix weights
    with torch.autocast("cpu", torch.float16):
        assert not torch.equal(backbone.decode(latent), expected)


@pytest.mark.parametrize(
    ("where", "encodes", "waits"),
    [("model", "meta", "meta"), ("offload", "meta", "cpu"), ("cpu", "cpu", "cpu")],
)
def test_text_encoders_move_along_or_wait(
    sd: str, monkeypatch: pytest.MonkeyPatch, where: Any, encodes: str, waits: str
) -> None:
    backbone = nn.ModuleList([StableDiffusion(sd, text_device=where)]).to("meta")[0]
    assert isinstance(backbone, StableDiffusion)
    pipeline, seen = backbone.pipeline, []
    encoder, encode = pipeline.text_encoder, pipeline.encode_prompt

    def spy(*words: Any, **options: Any) -> Any:
        seen.append(pipeline.text_encoder.device.type)
        return encode(*words, **options)

    monkeypatch.setattr(pipeline, "encode_prompt", spy)
    assert backbone.embed(["a dog"], SIZE)["tokens"].device.type == "meta"
    assert backbone.text_device.type == encodes
    assert seen == [encodes]
    assert backbone.model.device.type == backbone.vae.device.type == "meta"
    assert pipeline.text_encoder is encoder
    assert encoder.device.type == waits


@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart", "sd3", "flux-dev"])
def test_offloaded_encoders_say_the_same(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    here, there = (
        load_backbone(str(tiny_folder(family)), text_device=where) for where in ("model", "offload")
    )
    waiting = dict(there.pipeline.components)
    assert len(there.state_dict()) < len(here.state_dict())
    wanted, found = (backbone.embed(["a dog", "b"], SIZE) for backbone in (here, there))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())

    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(there.pipeline, "encode_prompt", fail)
    with pytest.raises(torch.OutOfMemoryError):
        there.embed(["a dog"], SIZE)
    assert all(there.pipeline.components[name] is part for name, part in waiting.items())


def test_attention_slicing_attends_in_slices(sd: str, tiny_folder: Callable[[str], Path]) -> None:
    sliced, whole = StableDiffusion(sd, attention_slicing=True), StableDiffusion(sd)
    kinds = {type(p).__name__ for p in sliced.model.attn_processors.values()}
    assert kinds == {"SlicedAttnProcessor"}
    torch.testing.assert_close(slope(sliced), slope(whole), rtol=1e-4, atol=1e-7)
    with pytest.raises(MuseError, match="does nothing for a PixArtTransformer2DModel"):
        PixArtAlpha(str(tiny_folder("pixart")), attention_slicing=True)


@pytest.mark.parametrize("family", ["sd", "pixart"])
def test_checkpointing_keeps_less_for_the_same_gradient(
    tiny_folder: Callable[[str], Path], family: str
) -> None:
    cls = {"sd": StableDiffusion, "pixart": PixArtAlpha}[family]
    kept, slopes = [], []
    for on in (False, True):
        sizes: list[int] = []
        backbone = cls(str(tiny_folder(family)), gradient_checkpointing=on)

        def pack(value: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(value.numel())
            return value

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            slopes.append(slope(backbone))
        kept.append(sum(sizes))
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-5, atol=1e-8)
    print(f"{family}: {kept}")
    assert kept[1] < 0.5 * kept[0]


def test_the_layout_of_weights_changes_rounding_alone(sd: str) -> None:
    made = []
    for on in (True, False):
        backbone = StableDiffusion(sd, channels_last=on)
        for conv in (backbone.model.conv_in, backbone.vae.decoder.conv_in):
            assert conv.weight.is_contiguous(memory_format=torch.channels_last) is on
        cond = backbone.embed(["a dog in a park"], (32, 32))
        x = backbone.denoise(noise(1, 4, 16, 16), backbone.time_grid(4, (32, 32))[1], cond).x0
        made.append(backbone.decode(x).detach())
    torch.testing.assert_close(*made, rtol=1e-5, atol=1e-5)


def test_tiling_decodes_tiles_with_gradients(sd: str) -> None:
    latent = noise(1, 4, 16, 16)
    shapes: list[tuple[int, ...]] = []
    for on in (False, True):
        backbone = StableDiffusion(sd, decoder_tiling=on)
        backbone.requires_grad_(False)
        backbone.vae.decoder.register_forward_pre_hook(
            lambda module, given: shapes.append(tuple(given[0].shape[-2:]))
        )
        x = latent.clone().requires_grad_()
        picture = backbone.decode(x)
        assert picture.shape == (1, 3, 32, 32)
        [found] = torch.autograd.grad(picture.sum(), x)
        assert (found.abs() > 0).all()
    assert shapes[0] == (16, 16)
    assert len(shapes) > 2
    assert max(max(shape) for shape in shapes[1:]) == 8


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_out_of_memory_names_what_needs_less(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(GaussianMixture, "denoise", fail)
    toy = str(Path(__file__).parent.parent / "configs" / "toy.yaml")
    assert main(["fit-free", "--config", toy, "--output_dir", str(tmp_path / "run")]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line.startswith("muse: error: Out of memory. These need less")
    options = inspect.signature(PipelineBackbone.__init__).parameters
    named = re.findall(r"(\w+_\w+)[: ]", line)
    assert {"preview_decoder", "preview_size", "text_device"} <= set(named) <= set(options)
