"""The wheel against its table, targets good and bad, and labels matched by name."""

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muse.core.emotions import (
    EMOTIONS,
    WHEEL,
    check_emotion,
    distance,
    distribution,
    neighbours,
    order_of,
    parse_target,
)
from muse.core.types import MuseError

# Emotion: both neighbours on Mikels' wheel, and those of the same polarity.
TABLE = {
    "amusement": ({"anger", "contentment"}, {"contentment"}),
    "contentment": ({"amusement", "awe"}, {"amusement", "awe"}),
    "awe": ({"contentment", "excitement"}, {"contentment", "excitement"}),
    "excitement": ({"awe", "fear"}, {"awe"}),
    "fear": ({"excitement", "sadness"}, {"sadness"}),
    "sadness": ({"fear", "disgust"}, {"fear", "disgust"}),
    "disgust": ({"sadness", "anger"}, {"sadness", "anger"}),
    "anger": ({"disgust", "amusement"}, {"disgust"}),
}
# The three class orders in use: EmoSet's, the alphabetical one of FI_8, ECC's.
ORDERS = {
    "emoset": "amusement awe contentment excitement anger disgust fear sadness",
    "fi": "amusement anger awe contentment disgust excitement fear sadness",
    "ecc": "amusement contentment awe excitement fear sadness disgust anger",
}


def test_the_eight_in_emosets_order():
    assert " ".join(EMOTIONS) == ORDERS["emoset"]
    assert " ".join(WHEEL) == ORDERS["ecc"]


@pytest.mark.parametrize("emotion", TABLE)
def test_neighbours(emotion):
    both, same = TABLE[emotion]
    assert set(neighbours(emotion)) == both
    assert len(neighbours(emotion)) == 2
    assert set(neighbours(emotion, "same_polarity")) == same


def test_distances():
    assert [distance("amusement", other) for other in ORDERS["ecc"].split()] == [
        0, 1, 2, 3, 4, 3, 2, 1,
    ]  # fmt: skip
    for one in EMOTIONS:
        assert sorted(distance(one, other) for other in EMOTIONS) == [0, 1, 1, 2, 2, 3, 3, 4]
        assert all(distance(one, other) == distance(other, one) for other in EMOTIONS)


@pytest.mark.parametrize(
    ("given_", "target"),
    [
        ("awe", {"awe": 1.0}),
        (" Awe ", {"awe": 1.0}),
        ("awe:0.7,fear:0.3", {"awe": 0.7, "fear": 0.3}),
        ("fear: 3 , awe: 1", {"awe": 0.25, "fear": 0.75}),
        ("awe:1,fear:0", {"awe": 1.0}),
        ("awe:5", {"awe": 1.0}),
        ({"fear": 1, "awe": 1}, {"awe": 0.5, "fear": 0.5}),
        ({"sadness": 2.0}, {"sadness": 1.0}),
    ],
)
def test_targets(given_, target):
    assert parse_target(given_) == pytest.approx(target)
    assert list(parse_target(given_)) == list(target), "in the order of EMOTIONS"


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ("hapiness", "Unknown emotion 'hapiness'"),
        ("sadnes", "Did you mean 'sadness'?"),
        ("awe,fear", "Write one emotion"),
        ("awe:0.7,fear", "Write one emotion"),
        ("awe:-1,fear:2", "-1 is not allowed"),
        ("awe:0,fear:0", "no weight above 0"),
        ("awe:nan", "not allowed"),
        ("awe:inf", "not allowed"),
        ("awe:much", "'much' is not a number"),
        ("awe:", "is not a number"),
        ("awe:1,Awe:1", "twice"),
        ("", ""),
        (",", ""),
        ({}, "no weight above 0"),
        ({"awe": None}, "not a number"),
    ],
)
def test_bad_targets_are_told_in_one_line(given_, says):
    with pytest.raises(MuseError) as caught:
        parse_target(given_)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.sampled_from(EMOTIONS), st.floats(1e-3, 1e3), min_size=1))
def test_weights_become_a_distribution(weights):
    target = parse_target(weights)
    assert math.isclose(sum(target.values()), 1)
    assert target.keys() == weights.keys()
    text = ",".join(f"{name}:{weight!r}" for name, weight in weights.items())
    assert parse_target(text) == target
    row = distribution(target)
    assert row.shape == (1, 8)
    assert row.dtype == torch.float32
    assert row[0].tolist() == pytest.approx([target.get(name, 0.0) for name in EMOTIONS])


def test_unknown_emotions_name_all_eight():
    with pytest.raises(MuseError) as caught:
        check_emotion("melancholy")
    assert all(name in str(caught.value) for name in EMOTIONS)


@pytest.mark.parametrize(("name", "labels"), ORDERS.items())
def test_the_three_class_orders(name, labels):
    labels = labels.split()
    order = order_of(labels)
    assert [labels[index] for index in order] == list(EMOTIONS)
    if name == "fi":
        assert order == [0, 2, 3, 5, 1, 4, 6, 7]
    if name == "ecc":
        assert order == [0, 2, 1, 3, 7, 6, 4, 5]
    assert order_of([label.title() for label in labels]) == order


@given(st.permutations(EMOTIONS))
def test_any_order_is_matched_by_name(labels):
    logits = torch.tensor([[float(EMOTIONS.index(label)) for label in labels]])
    assert logits[:, order_of(labels)].tolist() == [list(range(8))]


@pytest.mark.parametrize(
    "labels",
    [
        EMOTIONS[:7],
        (*EMOTIONS[:7], "joy"),
        (*EMOTIONS, "neutral"),
        (*EMOTIONS[:7], "amusement"),
        (),
    ],
)
def test_other_labels_are_refused(labels):
    with pytest.raises(MuseError, match="not the eight emotions: missing"):
        order_of(labels)


def test_targets_are_read_back_bit_for_bit() -> None:
    draw = random.Random(0)
    for _ in range(500):
        target = parse_target({name: draw.random() for name in draw.sample(EMOTIONS, 3)})
        assert parse_target(target) == target
