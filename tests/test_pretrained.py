"""How transformers models get their pictures: as their own processors do it, with gradients.

What is compared, and why by three yardsticks. The bar is 1e-3 of a normalised unit. A processor
that is given a picture of bytes rounds to bytes after each of the resize's two passes, which alone
moves a pixel by up to 0.5 / 255 / std each time, so no differentiable path can meet the bar there.
Hence: the processor on the same picture as floats (1e-3); Pillow on the same floats, which shares
no code with it (1e-3); and the processor on the picture of bytes, to within its own rounding, or
1e-3 where nothing is resized.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    CLIPImageProcessor,
    CLIPImageProcessorPil,
    ConvNextImageProcessor,
    EfficientNetImageProcessor,
    Siglip2ImageProcessor,
    SiglipImageProcessor,
    ViTImageProcessor,
)

from muse.core.types import MuseError
from muse.pretrained.models import Preprocessing

SIDE = 32
SQUARE = {"height": SIDE, "width": SIDE}
PROCESSORS = {
    "clip": CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE),
    "crop inside": CLIPImageProcessor(size={"shortest_edge": 40}, crop_size=SQUARE),
    "an int": ViTImageProcessor(size=SIDE, resample=3, image_std=[0.2, 0.3, 0.25]),
    "siglip": SiglipImageProcessor(size=SQUARE),
    "vit": ViTImageProcessor(size=SQUARE),  # bilinear
    "convnext": ConvNextImageProcessor(size={"shortest_edge": SIDE}),  # enlarges, then crops
    "efficientnet": EfficientNetImageProcessor(  # nearest; another range
        size=SQUARE,
        do_center_crop=False,
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        include_top=False,
    ),
    "no normalising": ViTImageProcessor(size=SQUARE, do_normalize=False),
}
SHAPES = [(150, 97), (97, 150), (64, 64), (32, 32), (20, 31)]


def picture(height: int, width: int) -> Image.Image:
    """A picture of low frequencies that stays away from black and white."""
    coarse = np.random.default_rng(0).integers(40, 215, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def tensor(image: Image.Image) -> Tensor:
    """As a backbone decodes it, (1, 3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PROCESSORS)
def test_pictures_are_brought_to_a_model_as_its_processor_does(
    name: str, shape: tuple[int, int]
) -> None:
    processor = PROCESSORS[name]
    found = Preprocessing(processor, name)(tensor(picture(*shape)))
    floats = processor(images=np.array(picture(*shape)).astype(np.float32), return_tensors="pt")
    assert found.shape == (1, 3, SIDE, SIDE)
    assert (found - floats["pixel_values"]).abs().max() <= 1e-3
    of_bytes = processor(images=picture(*shape), return_tensors="pt")["pixel_values"]
    std = min(processor.image_std) if processor.do_normalize else 1.0
    resized = shape != (SIDE, SIDE) or name in ("convnext", "crop inside")
    rounding = 2 * 0.5 * processor.rescale_factor / std * 1.05  # 5 %: its fixed-point arithmetic
    assert (found - of_bytes).abs().max() <= (rounding if resized else 1e-3)


def by_pillow(image: Tensor, size: tuple[int, int], resample: Image.Resampling) -> Tensor:
    """Pillow's resize of floats, (1, 3, H, W): no rounding, and none of torchvision's code."""
    planes = [
        np.array(Image.fromarray(plane.numpy(), "F").resize(size[::-1], resample))
        for plane in image[0]
    ]
    return torch.from_numpy(np.stack(planes))[None]


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_are_resized_as_pillow_resizes_floats(shape: tuple[int, int]) -> None:
    image = tensor(picture(*shape))
    found = Preprocessing(PROCESSORS["siglip"], "siglip")(image)
    expected = by_pillow(image, (SIDE, SIDE), Image.Resampling.BICUBIC) * 2 - 1
    assert (found - expected).abs().max() <= 1e-3

    short = min(shape)
    size = tuple(int(SIDE * side / short) for side in shape)
    top, left = ((side - SIDE) // 2 for side in size)
    resized = by_pillow(image, size, Image.Resampling.BICUBIC)
    cropped = resized[..., top : top + SIDE, left : left + SIDE]
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in (
            [0.48145466, 0.4578275, 0.40821073],
            [0.26862954, 0.26130258, 0.27577711],
        )
    )
    found = Preprocessing(PROCESSORS["clip"], "clip")(image)
    assert (found - (cropped - mean) / std).abs().max() <= 1e-3


@pytest.mark.parametrize("name", sorted(set(PROCESSORS) - {"efficientnet"}))
def test_gradients_reach_the_whole_picture_beyond_0_and_1(name: str) -> None:
    image = (3 * tensor(picture(48, 48)) - 1).requires_grad_()
    assert image.min() < 0
    assert image.max() > 1
    with torch.inference_mode():
        Preprocessing(PROCESSORS[name], name)(image)  # leaves nothing behind that has no gradient
    found = Preprocessing(PROCESSORS[name], name)(torch.cat([image, image]))
    [slope] = torch.autograd.grad(found[0].square().sum(), image)
    margin = {"crop inside": 6, "convnext": 4}.get(name, 0)
    inner = slope[..., margin : 48 - margin, margin : 48 - margin]
    assert slope.isfinite().all()
    assert (inner.abs().amax(1) > 0).float().mean() > 0.95


def test_rows_are_brought_alone_as_together() -> None:
    prepare = Preprocessing(PROCESSORS["clip"], "clip")
    batch = torch.rand(3, 3, 50, 41)
    together = prepare(batch)
    for row in range(3):
        assert torch.equal(prepare(batch[row : row + 1])[0], together[row])


@pytest.mark.parametrize("kind", [CLIPImageProcessorPil, Siglip2ImageProcessor])
def test_processors_without_gradients_are_refused(kind: type) -> None:
    with pytest.raises(MuseError, match=f"'a model' .* by {kind.__name__}, which lets no grad"):
        Preprocessing(kind(), "a model")


def test_timm_models_in_transformers_have_timms_transform(tmp_path: Path) -> None:
    own = {"input_size": [3, SIDE, SIDE], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
    config = {
        "architecture": "resnet10t",
        "model_type": "timm_wrapper",
        "num_classes": 8,
        "pretrained_cfg": {**own, "crop_pct": 0.8, "interpolation": "bicubic"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    prepare = Preprocessing(processor, "timm")
    assert prepare.size == SIDE
    expected = processor(images=tensor(picture(60, 44)))["pixel_values"]
    assert torch.equal(prepare(tensor(picture(60, 44))), expected)
    exact = processor(images=picture(40, 40))["pixel_values"]  # at 0.8 only cropped
    assert (prepare(tensor(picture(40, 40))) - exact).abs().max() <= 1e-3


def test_the_module_tree_stays_free_of_it() -> None:
    holder = nn.Module()
    holder.preprocess = Preprocessing(PROCESSORS["clip"], "clip")
    assert holder.state_dict() == {}
