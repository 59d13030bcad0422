"""Zero-shot CLIP and SigLIP: logits by hand, prompts by config, mistakes in one line."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides import ZeroShotClip
from muse.guides.zero_shot_clip import WORDS
from muse.mini.data import VALIDATION_OFFSET
from muse.mini.scenes import render
from muse.pretrained.clip import load_clip
from tests.tiny_guides import clip_folder, siglip_folder, tiny_clip

FOLDERS = {"clip": clip_folder, "siglip": siglip_folder}
SHORT = {emotion: [emotion[:4], emotion[:3]] for emotion in EMOTIONS}


@pytest.mark.parametrize("kind", FOLDERS)
def test_logits_are_the_scaled_cosines_of_the_ensembled_prompts(kind, tmp_path):
    clip = load_clip(FOLDERS[kind](tmp_path))
    guide = ZeroShotClip(clip, SHORT, ["a {}", "{} fog"])
    image = torch.rand(3, 3, 48, 40).requires_grad_()
    logits = guide(image)
    with torch.no_grad():
        picture = F.normalize(clip.image(image), dim=-1)
        for column, emotion in enumerate(EMOTIONS):
            one, other = SHORT[emotion]
            texts = clip.text([f"a {one}", f"{other} fog", f"a {other}", f"{one} fog"])
            text = F.normalize(F.normalize(texts, dim=-1).mean(0), dim=-1)
            expected = clip.model.logit_scale.exp() * (picture @ text)
            assert torch.allclose(logits[:, column], expected, atol=1e-4)
    [slope] = torch.autograd.grad(logits.log_softmax(-1)[:, 0].sum(), image)
    assert slope.isfinite().all()
    assert (slope.abs().amax(1) > 0).float().mean() > 0.8
    assert not any(key.startswith("text") for key in guide.state_dict())


@pytest.mark.parametrize(
    ("prompts", "share"),
    [
        ({}, 0.55),  # 0.70 of 600; chance is 0.125
        (
            {"words": {emotion: [emotion] for emotion in EMOTIONS}, "templates": ["{}"]},
            0.65,
        ),  # 0.78
    ],
)
def test_prompts_read_muse_minis_moods(prompts, share):
    assert list(WORDS) == list(EMOTIONS)
    scenes = [render(VALIDATION_OFFSET + seed) for seed in range(120)]
    image = torch.stack([torch.from_numpy(scene.image) for scene in scenes]).permute(0, 3, 1, 2)
    mood = torch.tensor([EMOTIONS.index(scene.mood) for scene in scenes])
    with torch.no_grad():
        read = ZeroShotClip("muse-mini/clip", **prompts).read(image.float() / 255).argmax(-1)
    assert (read == mood).float().mean() > share


def test_words_of_one_emotion_can_be_replaced(tmp_path):
    clip = load_clip(clip_folder(tmp_path))
    plain = ZeroShotClip(clip, SHORT, ["{}"])
    changed = ZeroShotClip(clip, {**SHORT, "Fear": ["dark"]}, ["{}"])
    same = (plain.text == changed.text).all(-1)
    assert [name for name, equal in zip(EMOTIONS, same, strict=True) if not equal] == ["fear"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"words": {**SHORT, "joy": ["joy"]}}, "Unknown emotion 'joy'"),
        ({"words": {**SHORT, "awe": []}}, "words gives awe none"),
        ({"words": SHORT, "templates": ["a dog"]}, "each with {} where the word goes"),
        ({"words": SHORT, "templates": []}, "Give at least one sentence"),
        ({"words": SHORT}, "is too long: the CLIP reads 14 tokens, and not "),
    ],
)
def test_mistakes_are_told_in_one_line(options, says, tmp_path):
    clip = load_clip(clip_folder(tmp_path))
    with pytest.raises(MuseError) as caught:
        ZeroShotClip(clip, **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_clip_without_a_tokenizer_says_so():
    with pytest.raises(MuseError, match="no tokenizer"):
        ZeroShotClip(tiny_clip())
