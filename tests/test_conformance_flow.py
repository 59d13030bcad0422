"""The flow-matching backbones against diffusers' own pipelines, with small random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from muse.backbones import Flux, PipelineBackbone, StableDiffusion3, load_backbone
from muse.backbones.flow_match import flow_grid
from muse.core.asks import Predict
from muse.core.types import Cond, MuseError, Node
from muse.latents import DDIMInversion
from muse.sampling.engine import run
from muse.schedulers import TimeGrid
from tests import tiny
from tests.conformance import CONTEXT, GUIDANCE, SINGLE, Case, Pair, agree, differ, noise

SIZE = (16, 24)
WITHOUT_T5 = "sd3-without-t5"
KINDS: dict[str, Callable[[Path], None]] = {
    "sd3": tiny.save_stable_diffusion_3,
    "sd3-dynamic": partial(tiny.save_stable_diffusion_3, dynamic=True),
    WITHOUT_T5: tiny.save_stable_diffusion_3,
    "flux-dev": tiny.save_flux,
    "flux-schnell": partial(tiny.save_flux, dev=False),
}
CASES = [
    Case(scale=scale, negative=negative, size=SIZE)
    for scale, negative in ((1.0, ""), (4.0, "ugly"), (4.0, ""))
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    return cache(lambda kind: load(kind, tmp_path_factory.mktemp(kind)))


def load(kind: str, folder: Path) -> Pair:
    KINDS[kind](folder)
    options: dict[str, Any] = {"max_sequence_length": CONTEXT}
    if kind == WITHOUT_T5:
        options |= {"t5": False, "without": ("text_encoder_3", "tokenizer_3")}
    if kind.startswith("flux"):
        options["distilled_guidance"] = GUIDANCE
    return Pair(folder, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("slots", [4, 1])
def test_plain_sampling_is_the_pipelines(
    pairs: Callable[[str], Pair], kind: str, case: Case, slots: int
) -> None:
    assert agree(pairs(kind).ours(case, slots), pairs(kind).theirs(case))


@pytest.mark.parametrize("kind", ["sd3-dynamic", "flux-dev"])
@pytest.mark.parametrize("size", [(16, 16), (40, 12)])
def test_every_size_has_the_pipelines_shift(
    pairs: Callable[[str], Pair], kind: str, size: tuple[int, int]
) -> None:
    case = Case(scale=1.0, size=size)
    assert agree(pairs(kind).ours(case), pairs(kind).theirs(case))


def set_config(key: str, value: float) -> Callable[[pytest.MonkeyPatch, Pair], None]:
    """The scheduler told otherwise."""
    return lambda patch, pair: patch.setitem(pair.backbone.scheduler_config, key, value)


def set_latents(scale: float, shift: float) -> Callable[[pytest.MonkeyPatch, Pair], None]:
    """The autoencoder's scaling factor times `scale`, its shift times `shift`."""

    def apply(patch: pytest.MonkeyPatch, pair: Pair) -> None:
        factor, offset = pair.backbone.scale_and_shift
        wrong = property(lambda self: (factor * scale, offset * shift))
        patch.setattr(type(pair.backbone), "scale_and_shift", wrong)

    return apply


def final_sigma(patch: pytest.MonkeyPatch, pair: Pair) -> None:
    """The last node a little short of clean."""
    right = pair.backbone.time_grid

    def wrong(steps: int, size: tuple[int, int]) -> TimeGrid:
        grid = right(steps, size)
        sigmas = grid.sigmas.clone()
        sigmas[-1] = 0.01
        return replace(grid, sigmas=sigmas, alphas=1 - sigmas)

    patch.setattr(pair.backbone, "time_grid", wrong)


WRONG: dict[str, tuple[str, Callable[[pytest.MonkeyPatch, Pair], None]]] = {
    "sd3: shift": ("sd3", set_config("shift", 2.9)),
    "sd3: mu": ("sd3-dynamic", set_config("max_shift", 1.3)),
    "sd3: scaling factor": ("sd3", set_latents(1.01, 1)),
    "sd3: shift of latents": ("sd3", set_latents(1, 0)),
    "sd3: final sigma": ("sd3", final_sigma),
    "dev: mu": ("flux-dev", set_config("base_shift", 0.6)),
    "dev: shift for mu": ("flux-dev", set_config("use_dynamic_shifting", False)),
    "dev: scaling factor": ("flux-dev", set_latents(1.01, 1)),
    "dev: shift of latents": ("flux-dev", set_latents(1, 0)),
    "dev: final sigma": ("flux-dev", final_sigma),
    "dev: told guidance": (
        "flux-dev",
        lambda patch, pair: patch.setattr(pair.backbone, "distilled_guidance", 3.5),
    ),
    "schnell: shift": ("flux-schnell", set_config("shift", 1.1)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_number_shows(
    pairs: Callable[[str], Pair], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, make_wrong = WRONG[name]
    wanted = pairs(kind).single
    make_wrong(monkeypatch, pairs(kind))
    assert differ(pairs(kind).ours(SINGLE), wanted)


@pytest.mark.parametrize("kind", ["sd3", "flux-dev"])
def test_inversion_and_back(pairs: Callable[[str], Pair], kind: str) -> None:
    backbone = pairs(kind).backbone
    generator = torch.Generator().manual_seed(0)
    latent = backbone.encode(torch.rand(1, 3, *SIZE, generator=generator)).detach()
    cond = backbone.embed(["a dog"], SIZE)

    def error(steps: int, fixed_point: int) -> float:
        back = there_and_back(backbone, latent, cond, steps, fixed_point)
        return ((back - latent).norm() / latent.norm()).item()

    plain = [error(steps, 0) for steps in (6, 12, 24)]
    better = [error(6, fixed_point) for fixed_point in (1, 2, 12)]
    print(plain, better)
    assert plain[1] <= 0.65 * plain[0]
    assert plain[2] <= 0.65 * plain[1]
    assert plain[0] > better[0] > better[1]
    assert better[2] <= 1e-4


def there_and_back(
    backbone: PipelineBackbone, latent: Tensor, cond: Cond, steps: int, fixed_point: int
) -> Tensor:
    """The latent that sampling makes of the inversion of `latent`, at guidance 1."""
    grid = backbone.time_grid(steps, SIZE)

    def row() -> Any:
        x, *_ = yield from DDIMInversion(fixed_point).invert(latent, grid, cond)
        for i in range(len(grid)):
            [denoised] = yield [Predict(x, grid[i], cond)]
            x = grid.advance(denoised, i)
        return x

    def answer(asks: list[Any]) -> list[Any]:
        return [backbone.denoise(a.x, Node.stack([a.node]), a.cond) for a in asks]

    with torch.no_grad():
        return next(run(iter([row()]), answer, 1))


@pytest.mark.parametrize("kind", ["sd3", "flux-schnell"])
def test_encode_and_decode_are_the_autoencoders(pairs: Callable[[str], Pair], kind: str) -> None:
    """(z - shift) * scale, as the image-to-image pipelines encode."""
    picture = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    pair = pairs(kind)
    vae = pair.pipeline.vae
    with torch.no_grad():
        mean = vae.encode(2 * picture - 1).latent_dist.mean
        found = pair.backbone.encode(picture)
        torch.testing.assert_close(pair.backbone.decode(found), vae.decode(mean).sample / 2 + 0.5)
    expected = (mean - vae.config.shift_factor) * vae.config.scaling_factor
    torch.testing.assert_close(found, expected)


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd3", "flux-dev"])
def test_text_encoders_stay_on_the_cpu(tiny_folder: Callable[[str], Path], name: str) -> None:
    here = load_backbone(str(tiny_folder(name)))
    there = load_backbone(str(tiny_folder(name)), text_device="cpu").to("meta")
    assert here.text_encoders
    assert not there.text_encoders
    expected, found = (backbone.embed(["a dog", "b"], SIZE) for backbone in (here, there))
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in expected.items()
    }
    assert all(value.device.type == "meta" for value in found.values())
    assert there.text_device.type == "cpu"
    x, node = noise(there, Case(prompts=2, size=SIZE)).to("meta"), there.time_grid(4, SIZE)[1]
    seen = there.denoise(x, Node.stack([node, node]), found)
    assert seen.x0.device.type == there.preview(seen.x0).device.type == "meta"


@pytest.mark.parametrize("name", ["sd3", "flux-schnell"])
def test_half_precision_stays_inside(tiny_folder: Callable[[str], Path], name: str) -> None:
    backbone = load_backbone(
        str(tiny_folder(name)), dtype="bfloat16", gradient_checkpointing=True, decoder_tiling=True
    )
    full = load_backbone(str(tiny_folder(name)))
    grid, cond = full.time_grid(4, SIZE), full.embed(["a dog"], SIZE)
    x = noise(full, Case(prompts=1, size=SIZE))
    extra = 0.1 * torch.ones(1, 2, cond["tokens"].shape[-1])
    extra.requires_grad_()
    half = backbone.embed(["a dog"], SIZE)
    assert all(value.dtype == torch.bfloat16 for value in half.values())
    seen = backbone.denoise(x, grid[1], backbone.extend(half, extra))
    with torch.no_grad():
        expected = full.denoise(x, grid[1], full.extend(cond, extra))
    torch.testing.assert_close(seen.x0, expected.x0, atol=0.1, rtol=0)
    image = backbone.decode(seen.x0)
    assert seen.x0.dtype == seen.eps.dtype == image.dtype == torch.float32
    [slope] = torch.autograd.grad(image.square().sum(), extra)
    assert slope.abs().amin(-1).gt(0).all()


@pytest.mark.parametrize("name", ["sd3", "flux-dev"])
def test_previews_are_smaller_and_by_a_tiny_decoder(
    tiny_folder: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    channels = 8 if name == "sd3" else 4
    tiny.tiny_autoencoder(channels=channels).save_pretrained(tmp_path / "right")
    tiny.tiny_autoencoder(channels=3).save_pretrained(tmp_path / "wrong")
    right = {"preview_decoder": str(tmp_path / "right"), "preview_size": 8}
    backbone = load_backbone(str(tiny_folder(name)), **right)
    latent = torch.randn(1, *backbone.latent_shape(SIZE))
    assert backbone.preview(latent).shape == (1, 3, 8, 12)
    assert backbone.decode(latent).shape == (1, 3, *SIZE)
    with pytest.raises(MuseError, match="reads latents of 3 channels"):
        load_backbone(str(tiny_folder(name)), preview_decoder=str(tmp_path / "wrong"))


def test_what_is_cut_off_is_told_for_each_encoder(tiny_folder: Callable[[str], Path]) -> None:
    sd3 = StableDiffusion3(str(tiny_folder("sd3")), max_sequence_length=20)
    assert sd3.remarks("a dog") == []
    assert sd3.remarks("a very long walk") == []
    [line] = sd3.remarks("extraordinary fun")
    assert line == (
        "Prompt 'extraordinary fun': CLIP reads 14 tokens, and not 'un'; T5 reads it whole."
    )
    [line] = Flux(str(tiny_folder("flux-dev")), max_sequence_length=20).remarks(
        "a long walk by night"
    )
    assert line.endswith(": CLIP reads 14 tokens, and not 'ht'; T5 reads 19 tokens, and not 'ht'.")
    [line] = StableDiffusion3(str(tiny_folder("sd3")), t5=False).remarks("extraordinary fun")
    assert line.endswith(": CLIP reads 14 tokens, and not 'un'.")


def test_what_is_refused(tiny_folder: Callable[[str], Path]) -> None:
    sd3, flux = str(tiny_folder("sd3")), str(tiny_folder("flux-dev"))
    with pytest.raises(MuseError, match=r"max_sequence_length = 513 is not allowed\. Use 1 to 512"):
        Flux(flux, max_sequence_length=513)
    with pytest.raises(MuseError, match="max_sequence_length = 0 is not allowed"):
        StableDiffusion3(sd3, max_sequence_length=0)
    with pytest.raises(MuseError, match="attention_slicing = true does nothing for a Flux"):
        Flux(flux, attention_slicing=True)
    with pytest.raises(MuseError, match="No FluxPipeline under"):
        Flux(str(tiny_folder("flux-dev") / "vae"))
    for backbone in (StableDiffusion3(sd3, t5=False), Flux(flux)):
        assert backbone.latent_shape((16, 20))[1:] == (8, 10)
        with pytest.raises(MuseError, match="Use multiples of 4"):
            backbone.latent_shape((16, 18))
        with pytest.raises(MuseError, match="steps = 0 is not allowed"):
            backbone.time_grid(0, SIZE)
    with pytest.raises(MuseError, match="Use at most 48 a side"):
        StableDiffusion3(sd3).latent_shape((16, 52))
    with pytest.raises(MuseError, match="scheduler is a DDIMScheduler, whose nodes are unknown"):
        flow_grid({"_class_name": "DDIMScheduler"}, 4, 16)
