"""Metrics and intervals against values computed by hand."""

from __future__ import annotations

import math
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BatchEncoding

from examples.my_metric import Variance
from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.core.registry import available, summary
from muse.core.types import MuseError
from muse.guides import ClipSimilarity, Guide, save_classifier
from muse.metrics import (
    PSNR,
    ClipScore,
    ContentAccuracy,
    EmotionAccuracy,
    ImageSimilarity,
    Made,
    Metric,
    estimates,
    read_each,
)
from muse.mini import HELD_OUT, PLACES, THINGS, SceneData, content_caption
from muse.mini.content import ContentClassifier, composition, named
from muse.pretrained.clip import Clip
from muse.tasks import ContentClassification
from tests.components import tiny_clip

ROOT = Path(__file__).parent.parent
NAN = float("nan")


class _ByColour(Guide):
    """Reads the emotion whose number, in sixteenths, the first pixel's red is nearest to."""

    labels = tuple(reversed(EMOTIONS))

    def forward(self, image):
        red = (16 * image[:, 0, 0, 0]).round().long().clamp(0, 7)
        return 9.0 * torch.nn.functional.one_hot(7 - red, 8)


def painted(emotion: str, size: int = 8) -> torch.Tensor:
    """A picture that `_ByColour` reads as this emotion."""
    image = torch.zeros(3, size, size)
    image[0] = EMOTIONS.index(emotion) / 16
    return image


def made(image: torch.Tensor, prompt: str = "a dog", target=None, source=None) -> Made:
    return Made(prompt, target or {"awe": 1.0}, image, source)


def equal(found: list[float], wanted: list[float]) -> bool:
    return found == pytest.approx(wanted, nan_ok=True, abs=1e-5)


# --- the metrics -------------------------------------------------------------------------------


def test_every_metric_says_what_it_is():
    own = {n: c for n, c in available(Metric).items() if c.__module__.startswith("muse.")}
    assert set(own) == {
        "ClipScore", "ContentAccuracy", "ECC", "EMC", "EmotionAccuracy", "EmotionContentAccuracy",
        "EmotionScore", "FID", "FeatureSimilarity", "HPSv2", "ImageReward", "ImageSimilarity",
        "IntraClassVariance", "KID", "LPIPS", "Naturalness", "PSNR", "SSIM", "SemanticClarity",
        "SemanticDiversity", "ZeroShotContent",
    }  # fmt: skip
    assert all(summary(cls) for cls in own.values())


def test_a_metric_without_a_name_has_its_classs():
    class _Ones(Metric):
        def measure(self, pictures):
            return [1.0 for _ in pictures]

    class _Named(_Ones):
        name = "ones"

    class _Again(_Named):
        pass

    assert (_Ones().name, _Named().name, _Again().name) == ("_Ones", "ones", "_Again")


def test_emotion_accuracy_counts_a_mixtures_emotions():
    both = {"awe": 0.7, "fear": 0.3}
    pictures = [
        made(painted("awe")),
        made(painted("fear")),
        made(painted("fear", 12), target=both),
        made(painted("anger"), target=both),
    ]
    metric = EmotionAccuracy(_ByColour())
    assert metric.name == "_ByColour"
    assert metric.measure(pictures) == [1.0, 0.0, 1.0, 0.0]
    p = metric.read(pictures)
    assert p.argmax(-1).tolist() == [EMOTIONS.index(e) for e in ("awe", "fear", "fear", "anger")]
    assert torch.allclose(p.sum(-1), torch.ones(4))
    assert EmotionAccuracy(_ByColour(), "Emo-A").name == "Emo-A"


def test_networks_read_each_picture_once_and_sizes_together():
    shapes = []

    def read(image):
        shapes.append(tuple(image.shape))
        return image.mean((1, 2, 3))

    twin, other, large = torch.full((3, 4, 4), 0.5), torch.zeros(3, 4, 4), torch.ones(3, 6, 4)
    found = read_each([twin, large, twin, other, twin], read)
    assert found.tolist() == [0.5, 1.0, 0.5, 0.0, 0.5]
    assert sorted(shapes) == [(1, 3, 6, 4), (2, 3, 4, 4)]


def always(thing: str, place: str) -> ContentClassifier:
    """A classifier that sees the same in every picture."""
    classifier = ContentClassifier().eval()
    for head, name in ((classifier.thing, thing), (classifier.place, place)):
        torch.nn.init.zeros_(head.weight)
        names = classifier.names["thing" if head is classifier.thing else "place"]
        torch.nn.init.constant_(head.bias, 0.0)
        with torch.no_grad():
            head.bias[names.index(name)] = 1.0
    return classifier


def test_content_accuracy_asks_for_what_the_prompt_names():
    classifier = always("house", "beach")
    prompts = ["A house on a beach, awe", "a lighthouse in a park", "a dog and a house", "awe"]
    pictures = [made(torch.rand(3, 64, 64), prompt) for prompt in prompts]
    assert equal(ContentAccuracy(classifier, "thing").measure(pictures), [1, 0, NAN, NAN])
    place = ContentAccuracy(classifier, "place", "where")
    assert equal(place.measure(pictures), [1, 0, NAN, NAN])
    assert place.name == "where"


class _Words:
    """A tokenizer: a word is its first letter."""

    def __call__(self, texts, **_):
        rows = [[52, *(ord(word[0]) % 50 + 1 for word in text.split()), 53] for text in texts]
        width = max(map(len, rows))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        return BatchEncoding({"input_ids": ids, "attention_mask": (ids > 0).long()})


def test_clip_score_is_clip_similarity():
    clip = Clip(tiny_clip(), _Words())
    pictures = [made(torch.rand(3, 32, 32), text) for text in ("a dog", "a cat here", "a dog")]
    metric = ClipScore(clip)
    with torch.no_grad():
        found = metric.measure(pictures)
        images = torch.stack([picture.image for picture in pictures])
        wanted = ClipSimilarity(clip)(images, [picture.prompt for picture in pictures]).tolist()
    assert equal(found, wanted)
    assert len(set(found)) == 3


def test_image_similarity_compares_with_the_source():
    metric = ImageSimilarity(tiny_clip())
    image, other = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        found = metric.measure([made(image, source=image), made(image), made(image, source=other)])
        features = metric.features(torch.stack([image, other]))
        cosine = torch.nn.functional.cosine_similarity(features[:1], features[1:]).item()
        assert equal(metric.measure([made(image)]), [NAN])
    assert equal(found, [1.0, NAN, cosine])
    assert cosine < 0.999


def test_psnr_in_decibels():
    grey = torch.full((3, 8, 8), 0.5)
    pairs = [(grey, grey + 0.1), (grey, grey - 0.01), (grey, grey), (grey, None)]
    found = PSNR().measure([made(image, source=source) for image, source in pairs])
    assert found == pytest.approx([20, 40, 100, NAN], nan_ok=True, abs=1e-3)


# --- what muse-mini's pictures show ------------------------------------------------------------


def test_prompts_name_things_and_places_as_whole_words():
    for thing in THINGS:
        for place in PLACES:
            prompt = content_caption(thing, place)
            assert named(prompt, list(THINGS)) == thing
            assert named(prompt, list(PLACES)) == place
            kind = "unseen pair" if (thing, place) in HELD_OUT else "seen pair"
            assert composition(f"{prompt}, awe") == kind
    assert named("a hothouse in a carpark", [*THINGS, *PLACES]) is None
    assert composition("an image of awe") == ""


def test_content_classifier_is_small_and_comes_back_as_saved(tmp_path):
    torch.manual_seed(0)
    classifier = ContentClassifier().eval()
    file = tmp_path / "content.safetensors"
    save_classifier(classifier, classifier.labels, file)
    assert sum(p.numel() for p in classifier.parameters()) < 900_000
    assert file.stat().st_size < 1_800_000
    again = ContentClassifier(str(file)).eval()
    assert again.names == {"thing": tuple(THINGS), "place": tuple(PLACES)}
    for size in (64, 96):
        image = torch.rand(2, 3, size, size)
        with torch.no_grad():
            found, wanted = again(image), classifier(image)
        assert found.thing.shape == (2, len(THINGS))
        assert torch.allclose(found.thing, wanted.thing, atol=1e-2)
        assert torch.allclose(found.place, wanted.place, atol=1e-2)


def test_classes_come_with_the_checkpoint(tmp_path):
    classifier = ContentClassifier()
    classifier.thing, classifier.place = torch.nn.Linear(160, 2), torch.nn.Linear(160, 3)
    file = tmp_path / "content.safetensors"
    save_classifier(classifier, ("owl", "bee", "sea", "sky", "cave"), file)
    again = ContentClassifier(str(file))
    assert again.names == {"thing": ("owl", "bee"), "place": ("sea", "sky", "cave")}
    assert again.eval()(torch.rand(1, 3, 64, 64)).place.shape == (1, 3)
    with pytest.raises(MuseError, match="other things and places"):
        ContentClassification(again, str(file))


def test_other_checkpoints_are_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    save_file({"fc.weight": torch.ones(1)}, file, {"labels": '["a"]'})
    with pytest.raises(MuseError, match="no content classifier"):
        ContentClassifier(str(file))
    with pytest.raises(MuseError, match=r"must end in \.safetensors"):
        ContentClassification(ContentClassifier(), "content.pth")


def test_content_classifier_trains(tmp_path):
    L.seed_everything(0)
    file = tmp_path / "new" / "content.safetensors"
    task = ContentClassification(ContentClassifier(), str(file), learning_rate=1e-3)
    before = {key: value.clone() for key, value in task.classifier.state_dict().items()}
    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, SceneData(count=8, val_count=4, batch_size=4))
    assert {"val/loss", "val/thing", "val/place"} <= set(trainer.callback_metrics)
    moved = {k for k, v in task.classifier.state_dict().items() if not torch.equal(v, before[k])}
    assert {"thing.weight", "place.weight", "features.conv1.0.weight"} <= moved
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found = ContentClassifier(str(file)).eval()(image).thing
        assert torch.allclose(found, task.classifier.eval()(image).thing, atol=2e-2)


# --- intervals ---------------------------------------------------------------------------------


def columns(plain, steered):
    return {"plain": np.array(plain, dtype=float), "steered": np.array(steered, dtype=float)}


def test_means_and_their_ratio_by_hand():
    found = estimates(columns([1, 1, 0, NAN], [1, 0, NAN, 1]), ["a", "a", "b", "b"], True)
    assert (found["plain"].mean, found["plain"].count) == (pytest.approx(2 / 3), 3)
    assert (found["steered"].mean, found["steered"].count) == (pytest.approx(2 / 3), 3)
    assert (found["ratio"].mean, found["ratio"].count) == (0.5, 2)
    assert (found["difference"].mean, found["difference"].count) == (-0.5, 2)
    assert set(estimates(columns([1], [1]), ["a"], False)) == {"plain", "steered", "difference"}
    assert set(estimates({"steered": np.ones(2)}, ["a", "b"], True)) == {"steered"}


def test_no_variance_between_prompts_is_no_width():
    """Every prompt has one hit in eight: what chance draws, the mean stays."""
    hits = np.tile(np.eye(8)[0], 5)
    found = estimates(columns(hits, np.ones(40)), np.repeat(list("abcde"), 8).tolist(), True)
    assert (found["plain"].low, found["plain"].mean, found["plain"].high) == (0.125, 0.125, 0.125)
    assert (found["steered"].low, found["steered"].high) == (1.0, 1.0)
    assert (found["ratio"].low, found["ratio"].high) == (8.0, 8.0)


def test_intervals_are_those_of_prompts_and_not_of_pictures():
    """200 prompts, half of them right: the normal interval of 200 draws, however many pictures
    each has.
    """
    value = np.arange(200) % 2.0
    prompts = [str(i) for i in range(200)]
    half = 1.96 * math.sqrt(0.25 / 200)
    for copies in (1, 10):
        [found] = estimates(
            {"steered": np.repeat(value, copies)}, np.repeat(prompts, copies).tolist(), False
        ).values()
        assert found.mean == 0.5
        assert (0.5 - found.low, found.high - 0.5) == pytest.approx((half, half), rel=0.15)
        assert found.count == 200 * copies


def test_the_ratio_is_paired():
    """Each steered picture keeps 0.9 of its plain one: the means spread, their ratio does not."""
    plain = np.random.default_rng(0).uniform(10, 90, 30)
    found = estimates(columns(plain, 0.9 * plain), [str(i) for i in range(30)], True)
    assert found["plain"].high - found["plain"].low > 5
    assert (found["ratio"].low, found["ratio"].high) == pytest.approx((0.9, 0.9))


def test_the_difference_is_paired():
    """Each steered picture has 2 more than its plain one: the means spread, the difference doesn't,
    of numbers of pictures and of whole sets alike.
    """
    plain = np.random.default_rng(0).uniform(10, 90, 30)
    values, prompts = columns(plain, plain + 2), [str(i) for i in range(30)]
    rows = {arm: column[:, None] for arm, column in values.items()}
    for found in (
        estimates(values, prompts, False),
        estimates(rows, prompts, False, lambda described: float(described.median())),
    ):
        assert found["steered"].high - found["steered"].low > 5
        difference = found["difference"]
        assert (difference.low, difference.mean, difference.high) == pytest.approx((2, 2, 2))


def test_what_gives_no_interval():
    alone = estimates(columns([0, 1], [1, 1]), ["a", "a"], True)
    assert alone["plain"].mean == 0.5
    assert math.isnan(alone["plain"].low)
    assert math.isnan(alone["ratio"].high)
    none = estimates(columns([0, 0], [NAN, NAN]), ["a", "b"], True)
    assert math.isnan(none["steered"].mean)
    assert none["steered"].count == 0
    assert math.isnan(none["ratio"].mean)
    divided = estimates(columns([0, 0], [1, 1]), ["a", "b"], True)["ratio"]
    assert math.isnan(divided.mean)
    assert math.isnan(divided.low)


def test_intervals_are_seeded():
    values = {"steered": np.random.default_rng(1).normal(size=20)}
    prompts = [str(i % 7) for i in range(20)]
    assert estimates(values, prompts, False) == estimates(values, prompts, False)


def test_numbers_of_whole_sets_have_intervals_too():
    """The variance of a set, not the mean of anything; paired over the same draws."""
    rows = np.random.default_rng(0).normal(size=(60, 3))
    prompts = [str(i % 20) for i in range(60)]
    values = {"plain": rows, "steered": 2 * rows}

    def variance(described: torch.Tensor) -> float:
        return float(described.var(0).mean())

    found = estimates(values, prompts, True, variance)
    assert found["plain"].mean == pytest.approx(rows.var(0, ddof=1).mean())
    assert found["plain"].low < found["plain"].mean < found["plain"].high
    assert (found["ratio"].low, found["ratio"].mean, found["ratio"].high) == pytest.approx(
        (4.0, 4.0, 4.0)
    )
    rows[3] = NAN
    assert estimates(values, prompts, False, variance)["plain"].count == 59


def test_ratios_of_many_arms_are_to_one_of_them():
    values = {"a": np.ones(4), "b": 2 * np.ones(4), "c": 3 * np.ones(4)}
    found = estimates(values, list("wxyz"), True, base="b")
    assert set(found) == {"a", "b", "c", "a / b", "c / b", "a - b", "c - b"}
    assert found["c / b"].mean == 1.5
    assert found["c - b"].mean == 1
    assert set(estimates(values, list("wxyz"), True, base="none")) == {"a", "b", "c"}


def test_the_variance_within_emotions_by_hand(monkeypatch):
    monkeypatch.setattr("examples.my_metric.as_clip", lambda clip: _Colours())
    metric = Variance("")
    pictures = [
        made(torch.tensor([1.0, 0, 0]).view(3, 1, 1)),
        made(torch.tensor([0, 1.0, 0]).view(3, 1, 1)),
        made(torch.tensor([0, 0, 5.0]).view(3, 1, 1), target={"fear": 1.0}),
    ]
    described = metric.describe(pictures)
    assert described.shape == (3, 4)
    assert metric.of_sets
    assert not PSNR().of_sets
    # The two of awe lie at distance sqrt(2) in a plane; fear's one has no variance.
    assert metric.sum_up(described) == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert math.isnan(metric.sum_up(described[2:]))


class _Colours(torch.nn.Module):
    """Reads a picture's mean colour."""

    def image(self, image):
        return image.mean((2, 3))


def test_a_metric_that_writes_nothing_is_told():
    class _Empty(Metric):
        pass

    with pytest.raises(MuseError, match="_Empty writes neither measure nor describe"):
        _Empty().describe([])


def test_the_recipe_parses(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["fit", "--config", "configs/mini/content.yaml", "--print_config"]) == 0
    printed = capsys.readouterr().out
    assert "class_path: muse.mini.content.ContentClassifier" in printed
    assert "output: runs/mini/content.safetensors" in printed
