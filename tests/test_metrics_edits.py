"""Metrics of edits and of preference, against the libraries that they come from."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchmetrics.functional.image.lpips import learned_perceptual_image_patch_similarity
from torchmetrics.functional.multimodal import clip_score
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchvision import models
from transformers import CLIPProcessor

from muse.core.types import MuseError
from muse.metrics import (
    LPIPS,
    PSNR,
    SSIM,
    ClipScore,
    FeatureSimilarity,
    HPSv2,
    ImageReward,
    LayerFeatures,
)
from muse.pretrained.clip import features, load_clip
from tests.test_extractors import refuse
from tests.test_metrics import NAN, equal, made
from tests.tiny_guides import SIDE, clip_folder


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    source = torch.rand(3, 64, 64, generator=generator)
    return (source + 0.2 * torch.randn(3, 64, 64, generator=generator)).clamp(0, 1), source


def test_psnr_is_torchmetrics(pair):
    image, source = pair
    library = PeakSignalNoiseRatio(data_range=1.0)(image[None], source[None])
    [found] = PSNR().measure([made(image, source=source)])
    assert found == pytest.approx(float(library), abs=1e-4)
    assert 10 < found < 30


def test_clip_score_is_torchmetrics(tmp_path):
    """The same weights, pictures and prompts."""
    folder = clip_folder(tmp_path / "clip")
    clip, prompts = load_clip(folder), ["a dog", "two cats in a park", "sea"]
    clip.model.text_projection.weight.data.neg_()  # these random ones all contradict noise
    pictures = (255 * torch.rand(3, 3, SIDE, SIDE)).round().to(torch.uint8)
    model, processor = clip.model, CLIPProcessor.from_pretrained(folder)

    class Read:  # newer transformers give an object where torchmetrics wants its features
        config, to = model.config, lambda self, device: self

        def get_image_features(self, pixels):
            return features(model.get_image_features(pixel_values=pixels))

        def get_text_features(self, words, mask):
            return features(model.get_text_features(input_ids=words, attention_mask=mask))

    with torch.no_grad():
        found = ClipScore(clip).measure(
            [made(image / 255, text) for image, text in zip(pictures, prompts, strict=True)]
        )
        for score, image, text in zip(found, pictures, prompts, strict=True):
            library = clip_score([image], [text], lambda: (Read(), processor))
            assert score == pytest.approx(float(library), abs=1e-4)
    assert min(found) > 1, "below 0 torchmetrics has 0"


def test_ssim_is_torchmetrics(pair):
    image, source = pair
    library = StructuralSimilarityIndexMeasure(data_range=1.0)(image[None], source[None])
    found = SSIM().measure([made(image, source=source), made(image), made(image, source=image)])
    assert equal(found, [float(library), NAN, 1.0])
    assert 0.1 < found[0] < 0.99


def test_lpips_is_torchmetrics(pair, monkeypatch):
    """With random weights of the network, the same for both; pixels in [0, 1] are brought to
    [-1, 1].
    """
    torch.manual_seed(0)
    network = models.alexnet(weights=None)
    monkeypatch.setattr("torchvision.models.alexnet", lambda weights: network)
    image, source = pair
    with torch.no_grad():
        library = learned_perceptual_image_patch_similarity(
            2 * image[None] - 1, 2 * source[None] - 1
        )
        metric = LPIPS().eval()
        pictures = [made(image, source=source), made(image), made(image, source=image)]
        assert equal(metric.measure(pictures), [float(library), NAN, 0.0])
    assert float(library) > 1e-3


def test_lpips_without_weights_is_told(monkeypatch):
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(
        MuseError, match=r"torchvision's squeezenet1_1 can't be fetched \(no network\)"
    ):
        LPIPS("squeeze")


def test_likeness_by_any_features(pair):
    image, source = pair
    metric = FeatureSimilarity(LayerFeatures(nn.AvgPool2d(8)), "DINOv2")
    found = metric.measure([made(image, source=source), made(image)])
    pooled = [F.avg_pool2d(picture, 8).flatten() for picture in pair]
    assert equal(found, [float(F.cosine_similarity(*pooled, dim=0)), NAN])
    assert metric.name == "DINOv2"


# --- preference --------------------------------------------------------------------------------


class _Towers(nn.Module):
    """What open_clip makes, much smaller."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.seen = []

    def encode_image(self, image):
        self.seen.append(image)
        return image.mean((2, 3)) * self.scale

    def encode_text(self, tokens):
        return F.one_hot(tokens, 3).float()


@pytest.fixture
def towers(monkeypatch):
    made = _Towers()
    library = SimpleNamespace(
        create_model=lambda name: made,
        get_tokenizer=lambda name: lambda texts: torch.tensor([len(t) % 3 for t in texts]),
    )
    monkeypatch.setitem(sys.modules, "open_clip", library)
    return made


def test_hpsv2_is_the_cosine_of_its_own_weights(towers, tmp_path):
    file = tmp_path / "HPS_v2.1_compressed.pt"
    torch.save({"epoch": 1, "state_dict": {"scale": torch.tensor([2.0, 1.0, 1.0])}}, file)
    metric = HPSv2(str(file))
    images = [torch.full((3, 40, 30), 0.9), torch.full((3, 32, 32), 0.9)]
    with torch.no_grad():
        found = metric.measure([made(images[0], "abc"), made(images[1], "abcd")])
    [first, second] = towers.seen
    assert first.shape == second.shape == (1, 3, 224, 224)
    assert first[0, 0, 0, 0] == pytest.approx((0.9 - 0.48145466) / 0.26862954, abs=1e-4)
    rows = torch.cat([first, second]).mean((2, 3)) * torch.tensor([2.0, 1.0, 1.0])
    wanted = 100 * F.cosine_similarity(rows, torch.eye(3)[:2])
    assert found == pytest.approx(sorted(wanted.tolist(), reverse=True), abs=1e-3)
    torch.save({"other": torch.ones(1)}, file)
    with pytest.raises(MuseError, match="does not fit"):
        HPSv2(str(file))


def test_what_to_install_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MuseError, match=r"open_clip: pip install 'muse-emotion\[preference\]'"):
        HPSv2("HPS_v2.1_compressed.pt")
    monkeypatch.setitem(sys.modules, "ImageReward", None)
    with pytest.raises(MuseError, match=r"can't be imported \(.*\)\. pip install image-reward"):
        ImageReward()


def test_image_reward_reads_the_very_picture(monkeypatch):
    class _Model(nn.Module):
        def score(self, prompt, path):
            with Image.open(path) as image:
                return image.getpixel((1, 0))[2] + len(prompt)

    library = SimpleNamespace(load=lambda name, device: _Model())
    monkeypatch.setitem(sys.modules, "ImageReward", library)
    image = torch.zeros(3, 8, 8)
    image[2, 0, 1] = 7 / 255
    assert ImageReward().measure([made(image, "abc"), made(image, "")]) == [10.0, 7.0]
    library.load = refuse
    with pytest.raises(MuseError, match=r"weights 'ImageReward-v1.0' can't be had \(no network\)"):
        ImageReward()
