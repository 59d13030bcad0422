"""EC-A, Emo-S, ECC, EMC and content by CLIP, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.metrics import (
    ECC,
    EMC,
    EmotionAccuracy,
    EmotionContentAccuracy,
    EmotionScore,
    Made,
    SemanticClarity,
    ZeroShotContent,
)
from muse.metrics.emotion_confusion import APART
from muse.metrics.features import Extractor
from muse.pretrained.clip import Clip
from tests.components import tiny_clip
from tests.test_metrics import NAN, _ByColour, _Words, always, equal, made, painted


def reads(*pairs: tuple[str, str]) -> list[Made]:
    """Pictures with a target, that `_ByColour` reads as something."""
    return [made(painted(read), target={target: 1.0}) for target, read in pairs]


# --- how far misses lie ------------------------------------------------------------------------


def test_how_far_apart_emotions_are():
    def apart(one: str, other: str) -> float:
        return float(APART[EMOTIONS.index(one), EMOTIONS.index(other)])

    assert apart("awe", "awe") == 1
    assert apart("amusement", "contentment") == 2  # neighbours, both positive
    assert apart("amusement", "excitement") == 4  # three steps
    assert apart("fear", "anger") == 4
    assert apart("amusement", "anger") == 5  # neighbours, and opposite
    assert apart("amusement", "fear") == 8  # four steps, and opposite
    assert torch.equal(APART, APART.T)


def test_ecc_and_emc_by_hand():
    pictures = reads(("awe", "awe"), ("awe", "excitement"), ("awe", "fear"), ("anger", "amusement"))
    pictures += [made(painted("awe"), target={"awe": 0.5, "fear": 0.5})]
    ecc, emc = ECC(_ByColour()), EMC(_ByColour())
    described = ecc.describe(pictures)
    assert described.isnan().any(-1).tolist() == [False] * 4 + [True]
    # awe, excitement: 1 step; awe, fear: 2 and opposite; anger, amusement: 1 and opposite
    assert ecc.sum_up(described[:4]) == pytest.approx((1 + 1 / 2 + 1 / 6 + 1 / 5) / 4)
    assert emc.sum_up(emc.describe(pictures)[:4]) == pytest.approx((1 + 1 / 5 + 1 / 4) / 3)
    assert ecc.sum_up(described[:1]) == 1
    assert equal([emc.sum_up(described[:1])], [NAN])
    assert ecc.of_sets


# --- Emo-S -------------------------------------------------------------------------------------


def test_emo_s_is_what_an_edit_gained():
    source, plain = painted("anger"), painted("fear")
    high = float(torch.tensor([9.0, *[0.0] * 7]).softmax(0)[0])
    low = (1 - high) / 7
    pictures = [
        Made("", {"awe": 1.0}, painted("awe"), source, plain),
        Made("", {"fear": 1.0}, painted("awe"), None, plain),
        Made("", {"anger": 1.0, "awe": 1.0}, painted("awe"), source),
        Made("", {"fear": 1.0}, plain, None, plain),
        Made("", {"awe": 1.0}, painted("awe")),
    ]
    found = EmotionScore(_ByColour()).measure(pictures)
    assert equal(found, [high - low, low - high, 0, 0, NAN])
    fewer = [replace(picture, less=True) for picture in pictures]
    assert equal(EmotionScore(_ByColour()).measure(fewer), [low - high, high - low, 0, 0, NAN])
    assert EmotionAccuracy(_ByColour()).measure(pictures) == [1, 0, 1, 1, 1]
    assert EmotionAccuracy(_ByColour()).measure(fewer) == [0, 1, 0, 0, 0]
    assert equal(EmotionScore(_ByColour()).measure(pictures[-1:]), [NAN])


# --- EC-A --------------------------------------------------------------------------------------


def test_ec_a_by_hand():
    """The classifier always sees a house on a beach."""
    metric = EmotionContentAccuracy(_ByColour(), always("house", "beach"))
    cases = [
        ("a house on a beach", "awe", 1),
        ("a house on a beach", "fear", 0),  # the emotion is wrong
        ("a dog on a beach", "awe", 0),  # the thing is
        ("a house in a park", "awe", 0),  # the place is
        ("a house in a park", "fear", 0),
        ("a house", "awe", 1),  # names no place
        ("a dog", "awe", 0),
        ("an image of awe", "awe", NAN),
    ]
    pictures = [made(painted(read, 64), prompt) for prompt, read, _ in cases]
    assert equal(metric.measure(pictures), [wanted for _, _, wanted in cases])
    assert metric.name == "EC-A"


class _Fixed(ZeroShotContent):
    """Finds the content of prompts that end in x."""

    def measure(self, pictures):
        return [float(picture.prompt.endswith("x")) for picture in pictures]


def test_ec_a_asks_clip_where_the_classifier_knows_nothing():
    clip = _Fixed(Clip(tiny_clip(), _Words()))
    prompts = ["a house", "an ox", "a cow", "an ox"]
    pictures = [made(painted("awe", 64), prompt) for prompt in prompts[:3]]
    pictures.append(made(painted("fear", 64), prompts[3]))
    both = EmotionContentAccuracy(_ByColour(), always("house", "beach"), clip)
    assert both.measure(pictures) == [1, 1, 0, 0]
    assert EmotionContentAccuracy(_ByColour(), None, clip).measure(pictures) == [0, 1, 0, 0]
    with pytest.raises(MuseError, match="nothing to read content with"):
        EmotionContentAccuracy(_ByColour())


class _Axes(Clip):
    """A CLIP of three features: a picture's colour; texts by their first word's letter."""

    def image(self, image):
        return image.mean((2, 3)) + 1e-6

    def text(self, texts):
        rows = {"r": [1.0, 0, 0], "g": [0, 1.0, 0], "b": [0, 0, 1.0], "m": [0.2, 0, 1.0]}
        return torch.tensor([rows[text.split()[-1][0].lower()] for text in texts])


def test_zero_shot_content_by_hand():
    clip = _Axes(tiny_clip(), _Words())
    red = torch.tensor([1.0, 0.1, 0]).view(3, 1, 1).expand(3, 8, 8)
    prompts = ["Red", "green", "blue", "mauve", "a caption that says mauve", "nothing but green"]
    pictures = [made(red, prompt) for prompt in prompts]
    words = ["red", "green", "blue", "mauve"]
    # cosines: red 0.995, mauve 0.195, green 0.0995, blue 0
    top = ZeroShotContent(clip, words, top=2)
    assert top.measure(pictures) == [1, 0, 0, 1, 1, 0]
    assert ZeroShotContent(clip, words, top=9).measure(pictures[:4]) == [1, 1, 1, 1]
    low = ZeroShotContent(clip, threshold=0.09)
    assert low.measure(pictures) == [1, 1, 0, 1, 1, 1]
    with pytest.raises(MuseError, match="where the candidate goes"):
        ZeroShotContent(clip, words, template="a photo")
    with pytest.raises(MuseError, match="top = 0"):
        ZeroShotContent(clip, words, top=0)


# --- Sem-C -------------------------------------------------------------------------------------


def test_semantic_clarity_takes_the_surest_classifier():
    class _Logits(Extractor):
        def __init__(self, *rows):
            super().__init__()
            self.rows = rows

        def forward(self, image):
            return torch.tensor(self.rows)[: len(image)].log()

    metric = SemanticClarity([_Logits([0.7, 0.3], [0.5, 0.5]), _Logits([0.2, 0.8], [0.6, 0.4])])
    pictures = [made(torch.zeros(3, 8, 8)), made(torch.ones(3, 8, 8))]
    assert equal(metric.measure(pictures), [0.8, 0.6])
