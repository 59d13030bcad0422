"""CLIP with gradients, and heads under the key names that they are published with."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPImageProcessor

from muse.backbones import BayesGuide
from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides import ClipSimilarity, ConvNet, EmoEdit, EmoGen, SimEmo
from muse.pretrained.clip import Clip, as_clip, load_clip
from tests.components import tiny_clip
from tests.test_emotions import ORDERS
from tests.test_weights import Evil
from tests.toy import sampler


def smooth(height, width, seed=0):
    """A picture of low frequencies in [0, 1], (1, 3, height, width)."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(
        coarse, (height, width), mode="bilinear", align_corners=True
    )


@pytest.fixture(scope="module")
def clip():
    return tiny_clip()


# --- CLIP --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(32, 32), (48, 48), (96, 64), (40, 90), (20, 30), (33, 32)])
def test_preprocessing_is_clips_own(clip, shape):
    image = smooth(*shape)
    processor = CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_rescale=False
    )
    expected = processor(images=image[0], return_tensors="pt", input_data_format="channels_first")
    found = Clip(clip).preprocess(image)
    assert found.shape == (1, 3, 32, 32)
    assert torch.allclose(found, expected["pixel_values"], rtol=0, atol=1e-3)


def test_values_outside_0_and_1_keep_their_gradient(clip):
    image = (3 * smooth(48, 48) - 1).requires_grad_()
    assert image.min() < 0
    assert image.max() > 1
    features = Clip(clip).image(image)
    assert features.shape == (1, 24)
    [slope] = torch.autograd.grad(features.square().sum(), image)
    assert slope.isfinite().all()
    clamped = (image < 0) | (image > 1)
    assert (slope[clamped].abs() > 0).float().mean() > 0.9


def test_features_are_projected_and_not_normalised(clip):
    image = smooth(32, 32)
    wrapped = Clip(clip)
    pooled = clip.vision_model(pixel_values=wrapped.preprocess(image)).pooler_output
    assert torch.allclose(wrapped.image(image), clip.visual_projection(pooled), atol=1e-6)
    assert abs(wrapped.image(image).norm().item() - 1) > 1e-3


def test_a_clip_without_a_tokenizer_says_so(clip):
    with pytest.raises(MuseError, match="no tokenizer"):
        ClipSimilarity(clip)(smooth(32, 32), ["a park"])


def test_a_missing_clip_is_told_in_one_line(tmp_path):
    with pytest.raises(MuseError) as caught:
        load_clip(str(tmp_path / "nowhere"))
    assert "No CLIP under" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_stands_for_a_clip(clip):
    wrapped = as_clip(clip)
    assert isinstance(wrapped, Clip)
    assert wrapped.model is clip
    assert as_clip(wrapped) is wrapped
    assert (wrapped.size, wrapped.width) == (32, 24)
    with pytest.raises(MuseError, match="No CLIP under 'nowhere'"):
        as_clip(Path("nowhere"))
    with pytest.raises(MuseError, match="No checkpoint at"):
        EmoGen(clip, Path("nowhere.safetensors"))


# --- heads -------------------------------------------------------------------------------------


HEADS = [EmoEdit, EmoGen, SimEmo]


def heads(kind, seed=0):
    """A published head: its keys and shapes."""
    generator = torch.Generator().manual_seed(seed)

    def tensor(*shape):
        return torch.randn(*shape, generator=generator)

    if kind is EmoGen:
        return {"fc.weight": tensor(8, 24), "fc.bias": tensor(8)}
    if kind is EmoEdit:
        hidden = {"hidden.weight": tensor(256, 24), "hidden.bias": tensor(256)}
        return {**hidden, "fc.weight": tensor(8, 256) / 16, "fc.bias": tensor(8)}
    return {
        "classifier.0.weight": tensor(2048, 24),
        "classifier.0.bias": tensor(2048),
        "classifier.2.weight": tensor(8, 2048) / 45,
        "classifier.2.bias": tensor(8),
    }


def by_hand(kind, state, features):
    if kind is EmoGen:
        return features @ state["fc.weight"].T + state["fc.bias"]
    if kind is EmoEdit:  # what goes into its published softmax
        hidden = (features @ state["hidden.weight"].T + state["hidden.bias"]).relu()
        return hidden @ state["fc.weight"].T + state["fc.bias"]
    hidden = (features @ state["classifier.0.weight"].T + state["classifier.0.bias"]).relu()
    return hidden @ state["classifier.2.weight"].T + state["classifier.2.bias"]


def saved(state, path, labels=None):
    if path.suffix == ".safetensors":
        metadata = None if labels is None else {"labels": json.dumps(list(labels))}
        save_file(state, path, metadata=metadata)
    else:
        torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_published_heads(kind, suffix, clip, tmp_path):
    state = heads(kind)
    guide = kind(clip, saved(state, tmp_path / f"head.{suffix}"))
    image = smooth(48, 48).requires_grad_()
    logits = guide(image)
    expected = by_hand(kind, state, Clip(clip).image(image))
    assert torch.allclose(logits, expected, atol=1e-5)
    published = ORDERS["fi" if kind is SimEmo else "emoset"].split()
    assert list(guide.labels) == published
    order = [published.index(name) for name in EMOTIONS]
    assert torch.equal(guide.read(image), logits[:, order])
    [slope] = torch.autograd.grad(logits.logsumexp(-1).sum(), image)
    assert slope.isfinite().all()
    assert (slope.abs().amax(1) > 0).float().mean() > 0.99


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", HEADS)
def test_classes_are_matched_by_name_in_any_order(kind, order, clip, tmp_path):
    """A head whose rows are reordered together with its labels reads the same."""
    last = "classifier.2" if kind is SimEmo else "fc"
    state, labels = heads(kind), ORDERS[order].split()
    rows = [EMOTIONS.index(name) for name in labels]
    moved = {key: value[rows] if key.startswith(last) else value for key, value in state.items()}
    image = smooth(32, 32)
    expected = by_hand(kind, state, Clip(clip).image(image))
    guide = kind(clip, saved(moved, tmp_path / "head.safetensors", labels))
    assert torch.allclose(guide.read(image), expected, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_a_convnets_classes_are_matched_by_name(order, tmp_path):
    names = ORDERS[order].split()
    path = saved(ConvNet(width=8).state_dict(), tmp_path / "judge.safetensors", names)
    guide, image = ConvNet(path, width=8), smooth(64, 64)
    columns = [names.index(name) for name in EMOTIONS]
    assert torch.equal(guide.read(image), guide(image)[:, columns])


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_saved_on_another_device_loads(kind, clip, tmp_path, monkeypatch):
    """As EmoGen's is, on cuda:4: torch writes the device's name beside the storage."""
    path = tmp_path / "head.pth"
    monkeypatch.setattr(torch.serialization, "location_tag", lambda _: "cuda:4")
    torch.save(heads(kind), path)
    monkeypatch.undo()
    assert b"cuda:4" in path.read_bytes()
    own = kind(clip, str(path)).state_dict()
    assert all(torch.equal(own[key], value) for key, value in heads(kind).items())


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_that_needs_unpickling_is_refused_and_never_runs(kind, clip, tmp_path):
    path, marker = tmp_path / "head.pth", tmp_path / "ran"
    torch.save({**heads(kind), "fc.bias": Evil(marker)}, path)
    with pytest.raises(MuseError, match="unpickling it could run code") as caught:
        kind(clip, str(path))
    assert "\n" not in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("kind", HEADS)
def test_labels_given_then_the_checkpoints_own_then_the_published(kind, clip, tmp_path):
    ecc, fi = ORDERS["ecc"].split(), ORDERS["fi"].split()
    path = saved(heads(kind), tmp_path / "head.safetensors", ecc)
    assert list(kind(clip, path).labels) == ecc
    assert list(kind(clip, path, labels=fi).labels) == fi
    plain = saved(heads(kind), tmp_path / "plain.safetensors")
    assert list(kind(clip, plain).labels) == list(kind.published_labels)


@pytest.mark.parametrize("kind", HEADS)
def test_misshapen_heads(kind, clip, tmp_path):
    state = heads(kind)
    name = next(iter(state))
    cases = {
        "size mismatch": {**state, name: torch.ones(8, 768)},
        "Missing key": {key: value for key, value in state.items() if key != name},
        "Unexpected key": {**state, f"{name.split('.')[0]}.9.weight": torch.ones(1)},
    }
    for says, damaged in cases.items():
        path = saved(damaged, tmp_path / "head.pth")
        with pytest.raises(MuseError) as caught:
            kind(clip, path)
        assert says in str(caught.value)
        assert path in str(caught.value)
        assert "\n" not in str(caught.value)


def test_another_projects_head_is_told(clip, tmp_path):
    path = saved(heads(EmoGen), tmp_path / "head.pth")
    with pytest.raises(MuseError, match="does not fit"):
        SimEmo(clip, path)


@pytest.mark.parametrize("kind", [EmoGen, EmoEdit, SimEmo])
def test_heads_that_a_training_loop_saved(kind, clip, tmp_path):
    given = {f"module.{key}": value for key, value in heads(kind).items()}
    torch.save({"epoch": 3, "model_state_dict": given}, tmp_path / "head.pth")
    torch.save(heads(kind), tmp_path / "plain.pth")
    image = smooth(40, 40)
    found, wanted = (kind(clip, str(tmp_path / f"{name}.pth"))(image) for name in ("head", "plain"))
    assert torch.equal(found, wanted)


def test_a_convnet_comes_back_as_it_was_saved(tmp_path):
    torch.manual_seed(0)
    guide = ConvNet(width=8)
    again = ConvNet(saved(guide.state_dict(), tmp_path / "judge.safetensors"), width=8)
    image = smooth(64, 64)
    assert torch.equal(guide(image), again(image))
    assert again(smooth(96, 96)).shape == (1, 8)


@pytest.mark.parametrize("width", [3, 0, -8])
def test_a_convnets_width_is_a_multiple_of_8(width):
    with pytest.raises(MuseError, match=rf"width = {width} is not allowed. Use a multiple of 8"):
        ConvNet(width=width)


def test_a_sampler_refuses_a_guide_of_other_labels():
    guide = BayesGuide()
    guide.labels = (*EMOTIONS[:7], "joy")
    with pytest.raises(MuseError, match="missing sadness; unknown joy"):
        sampler(guide=guide)


def test_a_guide_in_another_order_guides_the_same():
    from tests.toy import jobs, make

    class _Wheel(BayesGuide):
        labels = tuple(ORDERS["ecc"].split())

        def forward(self, image):
            return super().forward(image)[:, [EMOTIONS.index(name) for name in self.labels]]

    wanted = jobs(1)
    found = make(sampler(steps=12, guide=_Wheel()), wanted)
    for name, result in make(sampler(steps=12), wanted).items():
        assert torch.equal(result.path, found[name].path)


# --- ConvNet -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(64, 64), (96, 80), (40, 40)])
def test_convnets_gradient_is_the_slope_of_what_it_says(shape):
    torch.manual_seed(0)
    guide = ConvNet(width=8).double().requires_grad_(False)
    image = (3 * smooth(*shape).double() - 1).requires_grad_()
    assert image.min() < 0
    assert image.max() > 1

    def told(picture):
        return guide.read(picture).log_softmax(-1)[0, EMOTIONS.index("awe")]

    [slope] = torch.autograd.grad(told(image), image)
    assert (slope.abs().amax(1) > 0).float().mean() > 0.99
    with torch.no_grad():
        for seed in range(3):
            way = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).double()
            # A small step: ReLUs have kinks.
            rise = (told(image + 1e-8 * way) - told(image - 1e-8 * way)) / 2e-8
            assert (slope * way).sum().item() == pytest.approx(rise.item(), rel=1e-4, abs=1e-6)
