"""Image classifiers of transformers as guides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipImageProcessor,
    ViTModel,
)

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides import TransformersClassifier, save_classifier
from tests.test_emotions import ORDERS
from tests.test_label_map import CLASSES, MAP
from tests.test_pretrained import picture, tensor
from tests.test_weights import Evil
from tests.tiny_guides import SIDE, SMALL, classifier_folder


def refusal(*args, **options) -> str:
    with pytest.raises(MuseError) as caught:
        TransformersClassifier(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("order", ORDERS)
def test_classes_are_matched_by_name(order, tmp_path):
    names = ORDERS[order].split()
    folder = classifier_folder(tmp_path, [name.title() for name in names])
    guide = TransformersClassifier(folder)
    pixels = AutoImageProcessor.from_pretrained(folder)(
        images=np.array(picture(150, 97)).astype(np.float32), return_tensors="pt"
    )
    with torch.no_grad():
        expected = AutoModelForImageClassification.from_pretrained(folder)(**pixels).logits
        found = guide.read(tensor(picture(150, 97)))
    for column, name in enumerate(names):
        assert found[0, EMOTIONS.index(name)].item() == pytest.approx(
            expected[0, column].item(), abs=1e-5
        )
    assert guide.size == SIDE


def test_foreign_classes_and_gradients(tmp_path):
    guide = TransformersClassifier(classifier_folder(tmp_path, CLASSES), label_map=MAP)
    image = torch.rand(2, 3, 48, 40).requires_grad_()
    logits = guide.read(image)
    own = guide.model(pixel_values=guide.preprocess(image)).logits
    amusement = own[:, [CLASSES.index("joy"), CLASSES.index("delight")]].logsumexp(-1)
    assert torch.allclose(logits[:, 0], amusement)
    assert torch.equal(logits[:, 6], own[:, [CLASSES.index("dread")]].logsumexp(-1))
    [slope] = torch.autograd.grad(logits.log_softmax(-1)[:, 0].sum(), image)
    assert slope.isfinite().all()
    assert (slope.abs().amax(1) > 0).float().mean() > 0.99


def test_another_architecture(tmp_path):
    vision = {**SMALL, "image_size": SIDE, "patch_size": 8}
    config = SiglipConfig(
        text_config={**SMALL, "vocab_size": 64, "max_position_embeddings": 16},
        vision_config=vision,
        id2label=dict(enumerate(EMOTIONS)),
        label2id={name: index for index, name in enumerate(EMOTIONS)},
    )
    SiglipForImageClassification(config).save_pretrained(tmp_path)
    SiglipImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(tmp_path)
    assert TransformersClassifier(str(tmp_path)).read(torch.rand(2, 3, 40, 40)).shape == (2, 8)


def test_labels_can_be_given_where_the_config_has_none(tmp_path):
    folder = classifier_folder(tmp_path, [f"LABEL_{i}" for i in range(8)])
    assert "8 classes that are not the eight emotions" in refusal(folder)
    assert "2 labels are given" in refusal(folder, labels=["awe", "fear"])
    names = ORDERS["fi"].split()
    assert TransformersClassifier(folder, labels=names).labels == tuple(names)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_trained_guide_comes_back(mapped, tmp_path):
    folder = classifier_folder(tmp_path / "model", CLASSES if mapped else EMOTIONS)
    guide = TransformersClassifier(folder, label_map=MAP if mapped else None)
    guide.model.classifier.bias.data.uniform_()
    save_classifier(guide, guide.labels, tmp_path / "guide.safetensors")
    again = TransformersClassifier(folder, weights=str(tmp_path / "guide.safetensors"))
    image = torch.rand(1, 3, SIDE, SIDE)
    assert again.labels == guide.labels
    assert torch.allclose(again.read(image), guide.read(image), atol=2e-3)
    torch.save(guide.model.state_dict(), tmp_path / "plain.pth")
    plain = TransformersClassifier(
        folder, None, MAP if mapped else None, str(tmp_path / "plain.pth")
    )
    assert torch.equal(plain.read(image), guide.read(image))
    parallel = torch.nn.DataParallel(guide.model).state_dict()
    torch.save({"epoch": 3, "model": parallel}, tmp_path / "loop.pth")
    loop = TransformersClassifier(folder, None, MAP if mapped else None, str(tmp_path / "loop.pth"))
    assert torch.equal(loop.read(image), guide.read(image))


def test_a_folder_of_one_variant_alone(tmp_path):
    folder = Path(classifier_folder(tmp_path, EMOTIONS))
    image = torch.rand(1, 3, SIDE, SIDE)
    expected = TransformersClassifier(str(folder)).read(image)
    model = AutoModelForImageClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, variant="fp16")
    assert torch.equal(TransformersClassifier(str(folder)).read(image), expected)


def test_heads_that_are_missing_or_of_another_size(tmp_path):
    folder = Path(classifier_folder(tmp_path / "model", EMOTIONS))
    config = json.loads((folder / "config.json").read_text())
    five = dict(enumerate(EMOTIONS[:5]))
    config |= {"id2label": five, "label2id": {name: i for i, name in five.items()}}
    (folder / "config.json").write_text(json.dumps(config))
    found = refusal(str(folder))
    assert f"{str(folder)!r} is no whole image classifier (ViTForImageClassification)" in found
    assert "classifier.weight is (8, 32) instead of (5, 32)" in found

    folder = Path(classifier_folder(tmp_path / "base", EMOTIONS))
    ViTModel.from_pretrained(folder, add_pooling_layer=False).save_pretrained(folder)
    assert "classifier.bias is missing, classifier.weight is missing" in refusal(str(folder))


def test_weights_that_need_unpickling_are_refused_and_never_run(tmp_path):
    folder = Path(classifier_folder(tmp_path / "model", EMOTIONS))
    state = AutoModelForImageClassification.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    TransformersClassifier(str(folder))  # tensors alone are read
    marker = tmp_path / "ran"
    torch.save({**state, "classifier.bias": Evil(marker)}, folder / "pytorch_model.bin")
    assert "unpickling it could run code" in refusal(str(folder))
    assert not marker.exists()


def test_names_that_lead_nowhere(tmp_path, monkeypatch):
    assert "No image classifier under" in refusal(str(tmp_path / "nowhere"))
    assert "No image classifier under" in refusal(str(tmp_path))
    folder = Path(classifier_folder(tmp_path / "model", EMOTIONS))
    (folder / "preprocessor_config.json").unlink()
    assert "No image classifier with an image processor under" in refusal(str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "needs the network once" in refusal("somebody/no-such-classifier")
