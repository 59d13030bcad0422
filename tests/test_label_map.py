"""Foreign classes read as emotions, and the table where that isn't possible."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides.label_map import LabelMap, map_in
from muse.pretrained.weights import labels_in
from tests.test_emotions import ORDERS
from tests.tiny_guides import classifier_folder

ROOT = Path(__file__).parents[1]
CLASSES = ("joy", "Rage", "delight", "sky", "peace", "thrill", "dread", "woe", "yuck", "stone")
MAP = {
    "joy": "amusement",
    "delight": "amusement",
    "sky": "Awe",
    "peace": "contentment",
    "thrill": "excitement",
    "Rage": "anger",
    "yuck": "disgust",
    "dread": "fear",
    "woe": "sadness",
}


def refusal(classes, label_map) -> tuple[str, str]:
    with pytest.raises(MuseError) as caught:
        LabelMap(classes, label_map, "a/model")
    [table] = caught.value.__notes__
    assert "\n" not in str(caught.value)
    return str(caught.value), table


def test_probabilities_of_one_emotion_add_up_and_the_rest_is_dropped():
    logits = torch.randn(5, len(CLASSES), generator=torch.Generator().manual_seed(0)).double()
    mapped = LabelMap(CLASSES, MAP, "a/model")
    found = mapped(logits).softmax(-1)
    p = dict(zip(CLASSES, logits.softmax(-1).T, strict=True))
    kept = 1 - p["stone"]
    assert mapped.labels == EMOTIONS
    assert torch.allclose(found[:, 0], (p["joy"] + p["delight"]) / kept)
    for name, emotion in MAP.items():
        if emotion.lower() != "amusement":
            assert torch.allclose(found[:, EMOTIONS.index(emotion.lower())], p[name] / kept)


def test_classes_of_one_name_all_count():
    logits = torch.zeros(1, 9)
    mapped = LabelMap((*EMOTIONS, "awe"), {name: name for name in EMOTIONS}, "a/model")
    assert mapped(logits).softmax(-1)[0, 1].item() == pytest.approx(2 / 9)


@pytest.mark.parametrize("order", ORDERS)
def test_the_eight_emotions_need_no_map_in_any_order(order):
    classes = [name.title() for name in ORDERS[order].split()]
    mapped = LabelMap(classes, None, "a/model")
    logits = torch.rand(2, 8)
    assert mapped(logits) is logits
    assert list(mapped.labels) == classes
    assert mapped.metadata == {}


def test_the_metadata_makes_it_again():
    mapped = LabelMap(CLASSES, MAP, "a/model")
    again = LabelMap(labels_in(mapped.metadata), map_in(mapped.metadata), "a/model")
    logits = torch.rand(2, len(CLASSES))
    assert torch.equal(mapped(logits), again(logits))
    assert map_in({}) is None


def test_without_a_map_the_classes_are_shown():
    line, table = refusal(("happy", "Fear", "sad"), None)
    assert line == (
        "'a/model' has 3 classes that are not the eight emotions. Give a label_map, class: "
        "emotion, for those that count."
    )
    assert table.splitlines() == [
        "  class  emotion",
        "  happy  -",
        "  Fear   fear",
        "  sad    -",
    ]


def test_a_long_table_is_cut():
    _, table = refusal([f"class {i}" for i in range(1000)], None)
    assert len(table.splitlines()) == 42
    assert table.endswith("  ... and 960 more")


@pytest.mark.parametrize(
    ("label_map", "says"),
    [
        ({**MAP, "joyy": "awe"}, "'joyy', which is no class of 'a/model'. Did you mean 'joy'?"),
        ({"joy": "amusement"}, "gives awe, contentment, excitement, anger, disgust, fear, sadness"),
    ],
)
def test_maps_that_do_not_fit(label_map, says):
    line, table = refusal(CLASSES, label_map)
    assert says in line
    assert "  joy      amusement" in table.splitlines()


def test_an_unknown_emotion_in_a_map():
    with pytest.raises(MuseError, match="Unknown emotion 'joy'"):
        LabelMap(CLASSES, {"joy": "joy"}, "a/model")


def test_the_command_shows_the_table_below_the_error(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = classifier_folder(tmp_path / "model", ["happy", "fear", "sad"])
    words = ["fit-free", "--config", str(ROOT / "configs" / "toy.yaml")]
    guide = ["--model.guide", "TransformersClassifier", "--model.guide.model", folder]
    assert main([*words, *guide]) == 2
    lines = capsys.readouterr().err.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("muse: error: "))
    assert "Give a label_map" in lines[first]
    assert lines[first + 1 :] == ["  class  emotion", "  happy  -", "  fear   fear", "  sad    -"]
