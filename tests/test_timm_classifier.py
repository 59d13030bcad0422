"""timm models as guides: their pictures, their gradients, their checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides import TimmClassifier, TransformersClassifier, save_classifier
from muse.pretrained.packaged import check_digests, write_digests
from tests.test_emotions import ORDERS
from tests.test_label_map import CLASSES, MAP
from tests.test_pretrained import by_pillow

ROOT = Path(__file__).parents[1]
SMALL = {"channels": [8, 8, 16, 16], "stem_width": 8}


OVERLAY: dict[str, Any] = {
    "input_size": [3, 48, 48], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25],
}  # fmt: skip
CROPS: dict[str, dict[str, Any]] = {
    "timm's own": {},  # 0.875, of the shortest side
    "centre": {"crop_pct": 0.8},
    "squash": {"crop_pct": 0.9, "crop_mode": "squash"},
    "whole": {"crop_pct": 1.0},
}


def small() -> TimmClassifier:
    """A residual network of a few thousand random weights, in eval mode."""
    torch.manual_seed(0)
    options = {**SMALL, "pretrained_cfg_overlay": OVERLAY}
    return TimmClassifier("resnet10t", options=options).eval()


def published(crop: dict[str, Any], file: Path) -> TimmClassifier:
    """The same from weights that were trained elsewhere, to be evaluated with this crop."""
    overlay = {**OVERLAY, **crop}
    torch.save(timm.create_model("resnet10t", num_classes=8, **SMALL).state_dict(), file)
    options = {**SMALL, "pretrained_cfg_overlay": overlay}
    return TimmClassifier("resnet10t", str(file), options=options).eval()


def evaluation(crop: dict[str, Any]) -> Any:
    """The transform that timm itself evaluates it with."""
    overlay = {**OVERLAY, **crop}
    model = timm.create_model("resnet10t", pretrained_cfg_overlay=overlay, **SMALL)
    return timm.data.create_transform(**timm.data.resolve_model_data_config(model))


def smooth(height: int, width: int) -> Image.Image:
    """A picture of low frequencies that stays away from black and white."""
    coarse = np.random.default_rng(0).integers(40, 215, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def tensor(image: Image.Image) -> Tensor:
    """As a backbone decodes it, (1, 3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("shape", [(48, 48), (96, 96), (64, 90), (30, 40)])
def test_pictures_are_brought_to_the_model_as_timm_does(
    shape: tuple[int, int], crop: str, tmp_path: Path
) -> None:
    guide, transform = published(CROPS[crop], tmp_path / "a.pth"), evaluation(CROPS[crop])
    image = smooth(*shape)
    found = guide.transform(tensor(image))[0]
    assert found.shape == (3, 48, 48)
    assert guide.size == 48
    assert torch.equal(guide(tensor(image)), guide.model(found[None]))
    assert (found - transform(tensor(image))[0]).abs().max() <= 1e-3
    # Pillow's picture is rounded to bytes after each of two passes: 2 x 0.5 / 255 / 0.2 = 0.02,
    # and 5 % for its fixed-point arithmetic.
    assert (found - transform(image)).abs().max() < 0.021


@pytest.mark.parametrize(("side", "crop"), [(48, "whole"), (60, "centre"), (54, "timm's own")])
def test_where_nothing_is_resized_they_are_as_timm_does_exactly(
    side: int, crop: str, tmp_path: Path
) -> None:
    guide, image = published(CROPS[crop], tmp_path / "a.pth"), smooth(side, side)
    expected = evaluation(CROPS[crop])(image)
    assert (guide.transform(tensor(image))[0] - expected).abs().max() <= 1e-3


@pytest.mark.parametrize("crop", [1.0, 0.8])
@pytest.mark.parametrize("shape", [(96, 96), (120, 96), (30, 40)])
def test_pictures_are_resized_as_pillow_resizes_floats(
    shape: tuple[int, int], crop: float, tmp_path: Path
) -> None:
    """Without timm's rounding to bytes, the bar is 1e-3."""
    image = tensor(smooth(*shape))
    height, width = (int(48 / crop) * side // min(shape) for side in shape)
    top, left = round((height - 48) / 2), round((width - 48) / 2)
    resized = by_pillow(image, (height, width), Image.Resampling.BICUBIC)
    cropped = resized[..., top : top + 48, left : left + 48]
    mean, std = torch.tensor([OVERLAY["mean"], OVERLAY["std"]])[..., None, None]
    guide = small() if crop == 1 else published({"crop_pct": crop}, tmp_path / "a.pth")
    assert (guide.transform(image) - (cropped - mean) / std).abs().max() <= 1e-3


def test_transformers_reads_the_same_model_alike(tmp_path: Path) -> None:
    guide = published(CROPS["centre"], tmp_path / "a.pth")
    cfg = {**OVERLAY, "crop_pct": 0.8, "interpolation": "bicubic"}
    config = {
        "architecture": "resnet10t", "model_type": "timm_wrapper", "num_classes": 8,
        "label_names": list(EMOTIONS), "model_args": SMALL, "pretrained_cfg": cfg,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(guide.model.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    other = TransformersClassifier(str(tmp_path)).eval()
    image = tensor(smooth(60, 90))
    torch.testing.assert_close(other.read(image), guide.read(image))


def test_a_network_trained_here_reads_whole_pictures_and_a_published_one_its_crop(
    tmp_path: Path,
) -> None:
    """Also once it was saved, and with other options."""
    torch.save(timm.create_model("resnet10t", **SMALL).state_dict(), tmp_path / "timm.pth")
    overlay = {**OVERLAY, "crop_pct": 0.8, "file": str(tmp_path / "timm.pth")}
    options = {**SMALL, "pretrained_cfg_overlay": overlay}
    tuned = TimmClassifier("resnet10t", pretrained=True, options=options).eval()
    image, file = tensor(smooth(96, 96)), tmp_path / "a.safetensors"
    save_classifier(tuned, tuned.labels, file)
    for given in (None, {**SMALL, "pretrained_cfg_overlay": OVERLAY}):
        again = TimmClassifier(checkpoint=str(file), options=given)
        assert torch.equal(again.transform(image), tuned.transform(image))
    made = small()
    save_classifier(made, made.labels, file)
    again = TimmClassifier(checkpoint=str(file))
    assert torch.equal(again.transform(image), made.transform(image))
    assert torch.equal(made.transform(image), evaluation(CROPS["whole"])(image))


def test_muse_minis_reads_pictures_up_to_their_edges() -> None:
    guide = TimmClassifier(checkpoint="muse-mini/guides/timm.safetensors")
    config = timm.data.resolve_model_data_config(guide.model) | {"crop_pct": 1.0}
    for side in (64, 80):
        image = tensor(smooth(side, side))
        expected = timm.data.create_transform(**config)(image)
        assert torch.equal(guide.transform(image), expected)


@pytest.mark.parametrize("shape", [(48, 48), (64, 64), (32, 40)])
def test_gradients_reach_the_whole_picture(shape: tuple[int, int]) -> None:
    image = (3 * tensor(smooth(*shape)) - 1).requires_grad_()
    assert image.min() < 0
    assert image.max() > 1
    [slope] = torch.autograd.grad(small()(image).square().sum(), image)
    assert slope.isfinite().all()
    left = (shape[1] - shape[0]) // 2
    reached = slope[0, :, :, left : left + shape[0]].abs().amax(0) > 0
    assert reached.float().mean() > 0.9
    for edge in (reached[0], reached[-1], reached[:, 0], reached[:, -1]):
        assert edge.any()


def test_a_saved_guide_says_how_to_make_it_again(tmp_path: Path) -> None:
    guide, file = small(), tmp_path / "guides" / "timm.safetensors"
    guide.labels = tuple(reversed(EMOTIONS))
    save_classifier(guide, guide.labels, file)
    again = TimmClassifier(checkpoint=str(file)).eval()
    assert again.labels == guide.labels
    assert again.size == 48
    image = tensor(smooth(48, 48))
    assert torch.allclose(again.read(image), guide.read(image), atol=2e-2)
    assert guide.model.fc.weight.dtype == torch.float32
    assert list(tmp_path.glob("guides/*")) == [file]
    with pytest.raises(MuseError, match="does not fit"):
        TimmClassifier("resnet18", str(file))


def test_a_guide_saved_into_a_pipeline_keeps_its_digests_true(tmp_path: Path) -> None:
    write_digests(tmp_path)
    file = tmp_path / "guides" / "timm.safetensors"
    for seed in range(2):
        guide = small()
        guide.model.fc.bias.data.fill_(seed)
        save_classifier(guide, guide.labels, file)
        check_digests(tmp_path, file)


def test_a_state_dict_of_the_timm_model_will_do(tmp_path: Path) -> None:
    model = timm.create_model("resnet10t", num_classes=8, **SMALL).eval()
    for file in ("a.safetensors", "a.pth"):
        path = tmp_path / file
        state = model.state_dict()
        save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
        guide = TimmClassifier("resnet10t", str(path), options=SMALL).eval()
        assert torch.equal(guide.model.fc.weight, model.fc.weight)
        assert guide.labels == EMOTIONS
    parallel = torch.nn.DataParallel(model).state_dict()
    torch.save({"epoch": 3, "state_dict": parallel}, tmp_path / "loop.pth")
    guide = TimmClassifier("resnet10t", str(tmp_path / "loop.pth"), options=SMALL)
    assert torch.equal(guide.model.fc.weight, model.fc.weight)


def test_foreign_classes_are_mapped_and_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    guide = TimmClassifier("resnet10t", options=SMALL, labels=CLASSES, label_map=MAP).eval()
    image = tensor(smooth(64, 64))
    own = guide.model(guide.transform(image))
    assert own.shape == (1, len(CLASSES))
    joy = own[:, [CLASSES.index("joy"), CLASSES.index("delight")]]
    assert torch.equal(guide.read(image)[:, 0], joy.logsumexp(-1))
    save_classifier(guide, guide.labels, tmp_path / "a.safetensors")
    again = TimmClassifier(checkpoint=str(tmp_path / "a.safetensors")).eval()
    assert again.labels == EMOTIONS
    assert torch.allclose(again.read(image), guide.read(image), atol=2e-2)
    with pytest.raises(MuseError, match="3 classes that are not the eight emotions") as caught:
        TimmClassifier("resnet10t", options=SMALL, labels=["happy", "fear", "sad"])
    assert "  fear   fear" in caught.value.__notes__[0]


@pytest.mark.parametrize("order", ORDERS)
def test_classes_are_matched_by_name(order: str, tmp_path: Path) -> None:
    """Those of the checkpoint, unless others are given."""
    names, file = ORDERS[order].split(), tmp_path / "a.safetensors"
    image = tensor(smooth(48, 48))
    for saved, given in ((names, None), (EMOTIONS, names)):
        save_classifier(small(), saved, file)
        guide = TimmClassifier(checkpoint=str(file), labels=given).eval()
        columns = [names.index(name) for name in EMOTIONS]
        assert torch.equal(guide.read(image), guide(image)[:, columns])


def test_transformers_take_their_size_from_the_options() -> None:
    options = {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}
    guide = TimmClassifier("vit_tiny_patch16_224", options=options)
    assert guide.size == 32
    assert guide(torch.rand(2, 3, 40, 40)).shape == (2, 8)


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MuseError, match=r"no model 'resnet1O'\. Did you mean resnet1") as caught:
        TimmClassifier("resnet1O")
    assert "\n" not in str(caught.value)
    with pytest.raises(MuseError, match="unexpected keyword argument 'widht'"):
        TimmClassifier("resnet10t", options={"widht": 3})
    with pytest.raises(MuseError, match=r"\(No pretrained weights exist .* need the network"):
        TimmClassifier("test_vit4", pretrained=True)
    with pytest.raises(MuseError, match="No checkpoint at"):
        TimmClassifier(checkpoint=str(tmp_path / "nowhere.safetensors"))


@pytest.mark.parametrize(
    ("key", "value"), [("options", "x"), ("crop", "[1]"), ("label_map", "[1]"), ("labels", "5")]
)
def test_foreign_metadata_is_told_in_one_line(tmp_path: Path, key: str, value: str) -> None:
    guide, path = TimmClassifier("test_resnet"), tmp_path / "timm.safetensors"
    save_file(guide.state_dict(), path, {"model": "test_resnet", key: value})
    with pytest.raises(MuseError, match=rf"timm\.safetensors' has the {key} '") as caught:
        TimmClassifier(checkpoint=str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("overlay", [5, {"interpolation": "foo"}])
def test_options_that_make_no_transform(overlay: Any) -> None:
    with pytest.raises(MuseError, match=r"pretrained_cfg_overlay = 5|no transform of pictures"):
        TimmClassifier("test_resnet", options={"pretrained_cfg_overlay": overlay})


def test_the_recipe_of_muse_minis_is_small(tmp_path: Path) -> None:
    recipe = yaml.safe_load((ROOT / "configs" / "mini" / "timm.yaml").read_text())
    guide = TimmClassifier(**recipe["model"]["init_args"]["guide"]["init_args"])
    assert guide.size == 64
    assert sum(weight.numel() for weight in guide.parameters()) <= 700_000
    save_classifier(guide, guide.labels, tmp_path / "timm.safetensors")
    assert (tmp_path / "timm.safetensors").stat().st_size <= 1_400_000
