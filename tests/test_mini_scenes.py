"""The procedural world: seeds decide scenes, moods show, captions and tokenizer agree."""

from collections import Counter

import numpy as np
import pytest
from transformers import CLIPTokenizer

from muse.emotions import EMOTIONS, neighbours
from muse.mini import HELD_OUT, PLACES, THINGS, render, render_many, save_tokenizer
from muse.mini.captions import (
    contrastive_caption,
    diffusion_caption,
    feeling_caption,
    vocabulary,
)
from muse.mini.marks import MARKS
from muse.mini.moods import PALETTES
from muse.types import MuseError


@pytest.fixture(scope="module")
def scenes():
    return render_many(range(400))


def test_seed_decides_the_scene():
    first, again, other = render(7), render(7), render(8)
    assert (first.image == again.image).all()
    assert first.caption == again.caption
    assert first.mood == again.mood
    assert first.attributes == again.attributes
    assert (first.image != other.image).any()


@pytest.mark.parametrize("thing", THINGS)
def test_thing_changes_only_its_own_surroundings(thing):
    scene = render(3, thing=thing, place="park", mood="contentment")
    assert scene.image.shape == (64, 64, 3)
    assert scene.image.dtype == np.uint8
    assert scene.caption == f"a {thing} in a park"
    left, top, right, bottom = (int(64 * edge) for edge in scene.box)
    inside = scene.image[max(top, 0) : bottom, max(left, 0) : right].astype(float)
    assert inside.std(axis=(0, 1)).max() > 15  # something with contrast stands there


@pytest.mark.parametrize("place", PLACES)
def test_places_differ_and_fill_the_frame(place):
    scene = render(11, thing="bird", place=place, mood="contentment")
    others = [render(11, "bird", other, "contentment").image for other in PLACES if other != place]
    for other in others:
        assert np.abs(scene.image.astype(int) - other).mean() > 5
    assert (scene.image.sum(-1) == 0).mean() < 0.05


@pytest.mark.parametrize("mood", EMOTIONS)
def test_moods_are_visible_but_keep_the_content(mood):
    scene = render(5, "house", "beach", mood)
    assert scene.mood == mood
    assert scene.caption == "a house on a beach"
    other = next(e for e in EMOTIONS if e != mood and e not in neighbours(mood))
    change = np.abs(scene.image.astype(int) - render(5, "house", "beach", other).image)
    assert change.mean() > 10


def test_every_emotion_has_a_palette_marks_and_a_place():
    assert set(PALETTES) == set(EMOTIONS)
    assert set(EMOTIONS) == {mark.mood for mark in MARKS}
    assert {place.inherent for place in PLACES.values()} == set(EMOTIONS)


def test_held_out_pairs_never_appear_by_chance_but_can_be_asked_for(scenes):
    assert {thing for thing, _ in HELD_OUT} == set(THINGS)
    assert not {(scene.thing, scene.place) for scene in scenes} & HELD_OUT
    assert render(0, "dog", "swamp").caption == "a dog in a swamp"


def test_places_lean_to_their_inherent_emotion(scenes):
    inherent = [PLACES[scene.place].inherent == scene.mood for scene in scenes]
    assert 0.4 < np.mean(inherent) < 0.6
    assert min(Counter(scene.mood for scene in scenes).values()) > 20


def test_marks_follow_the_mood_and_its_neighbours(scenes):
    by_phrase = {mark.phrase: mark.mood for mark in MARKS}
    for scene in scenes:
        near = {scene.mood, *neighbours(scene.mood)}
        assert {by_phrase[phrase] for phrase in scene.attributes} <= near


def test_unknown_content_is_one_clear_line():
    with pytest.raises(MuseError, match=r"thing 'zebra' .* use one of bicycle, bird"):
        render(0, thing="zebra")


def test_caption_shares():
    rng = np.random.default_rng(0)
    signs = ("in the rain", "with slime")
    said = [diffusion_caption(rng, "a dog in a park", "fear", signs) for _ in range(4000)]
    assert 0.02 < np.mean(["fear" in caption for caption in said]) < 0.04
    assert 0.17 < np.mean(["rain" in caption or "slime" in caption for caption in said]) < 0.23
    said = [contrastive_caption(rng, "a dog in a park", "fear", signs) for _ in range(4000)]
    assert 0.40 < np.mean([caption == "a dog in a park" for caption in said]) < 0.50


def test_tokenizer_knows_every_word_and_encodes_the_rest(tmp_path, scenes):
    save_tokenizer(tmp_path)
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    assert [word for word in vocabulary() if len(tokenizer.tokenize(word)) != 1] == []
    for text in (scenes[0].caption, feeling_caption("awe"), "a zebra with an ümlaut"):
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id
        assert ids[-1] == tokenizer.eos_token_id
        decoded = tokenizer.decode(ids, skip_special_tokens=True)
        assert decoded.replace(" ", "") == text.replace(" ", "")
    longest = tokenizer("a dog " * 40, padding="max_length", truncation=True).input_ids
    assert len(longest) == tokenizer.model_max_length == 24
    assert max(len(tokenizer(feeling_caption(e)).input_ids) for e in EMOTIONS) <= 24
