"""The procedural world: seeds decide scenes, moods show, captions and tokenizer agree."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from transformers import CLIPTokenizer

from muse.core.emotions import EMOTIONS, neighbours
from muse.core.types import MuseError
from muse.data.captions import feeling_caption
from muse.mini import (
    FI_LIKE,
    HELD_OUT,
    MAIN,
    PLACES,
    THINGS,
    VARIED,
    WORLDS,
    SceneData,
    render,
    render_many,
    save_tokenizer,
)
from muse.mini.captions import (
    contrastive_caption,
    diffusion_caption,
    vocabulary,
)
from muse.mini.marks import MARKS


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
    assert scene.caption.split(" ", 1)[1] == f"{thing} in a park"
    assert scene.caption.startswith("an ") == (thing == "elephant" or thing == "umbrella")
    left, top, right, bottom = (int(64 * edge) for edge in scene.box)
    inside = scene.image[max(top, 0) : bottom, max(left, 0) : right].astype(float)
    assert inside.std(axis=(0, 1)).max() > 15  # something with contrast stands there
    assert (scene.cover.shape, scene.cover.dtype) == ((64, 64), np.uint8)
    assert scene.cover[max(top, 0) : bottom, max(left, 0) : right].mean() > 40
    assert not scene.cover[[*range(6), 61, 62, 63]].any(), "above and below it"


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


def test_the_world_is_as_large_as_it_says():
    assert (len(THINGS), len(PLACES), len(HELD_OUT)) == (16, 10, 20)


def test_every_emotion_has_palettes_marks_and_a_place():
    assert [set(world.palettes) for world in WORLDS.values()] == [set(EMOTIONS)] * len(WORLDS)
    assert set(EMOTIONS) == {mark.mood for mark in MARKS}
    assert {place.inherent for place in PLACES.values()} == set(EMOTIONS)


def test_held_out_pairs_never_appear_by_chance_but_can_be_asked_for(scenes):
    assert {thing for thing, _ in HELD_OUT} == set(THINGS)
    assert Counter(place for _, place in HELD_OUT) == dict.fromkeys(PLACES, 2)
    assert max(Counter(thing for thing, _ in HELD_OUT).values()) == 2
    assert not {(scene.thing, scene.place) for scene in scenes} & HELD_OUT
    assert render(0, "dog", "swamp").caption == "a dog in a swamp"


def test_a_judge_of_contents_sees_all_pairs():
    seen = render_many(range(400), all_pairs=True)
    share = np.mean([(scene.thing, scene.place) in HELD_OUT for scene in seen])
    assert 0.08 < share < 0.18, "20 of 160 pairs"


def test_places_lean_to_their_inherent_emotion(scenes):
    inherent = [PLACES[scene.place].inherent == scene.mood for scene in scenes]
    assert 0.4 < np.mean(inherent) < 0.6
    assert min(Counter(scene.mood for scene in scenes).values()) > 20


def test_marks_follow_the_mood_and_its_neighbours(scenes):
    by_phrase = {mark.phrase: mark.mood for mark in MARKS}
    for scene in scenes:
        near = {scene.mood, *neighbours(scene.mood)}
        assert {by_phrase[phrase] for phrase in scene.attributes} <= near


@pytest.mark.parametrize("mood", EMOTIONS)
def test_worlds_show_the_same_content_in_other_colours(mood):
    main, other = (render(6, "boat", "desert", mood, world) for world in (MAIN, FI_LIKE))
    assert (main.thing, main.place, main.mood) == (other.thing, other.place, other.mood)
    assert np.abs(main.image.astype(int) - other.image).mean() > 5
    assert (other.image == render(6, "boat", "desert", mood, FI_LIKE).image).all()


def test_worlds_differ_in_moods_and_marks(scenes):
    others = render_many(range(400), world=FI_LIKE)
    shares = [
        np.mean([PLACES[scene.place].inherent == scene.mood for scene in world])
        for world in (scenes, others)
    ]
    assert shares[0] > shares[1] + 0.1
    marks = [sum(len(scene.attributes) for scene in world) for world in (scenes, others)]
    assert marks[1] < 0.85 * marks[0]


@pytest.mark.parametrize("world", [MAIN, VARIED])
def test_a_scene_is_the_same_at_every_size(world):
    small, large = (render(12, world=world, size=size) for size in (64, 128))
    assert large.image.shape == (128, 128, 3)
    assert (small.caption, small.mood, small.box) == (large.caption, large.mood, large.box)
    halved = large.image.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(halved - small.image).mean() < 4  # outlines round to other pixels
    assert np.abs(halved - render(13, world=world).image).mean() > 20


def test_the_varied_world_has_more_layouts_and_positions():
    plain, varied = (render_many(range(60), world=world) for world in (MAIN, VARIED))
    assert [scene.caption for scene in plain] == [scene.caption for scene in varied]
    for edge in (0, 1):  # left and top
        spread = [np.ptp([scene.box[edge] for scene in world]) for world in (plain, varied)]
        assert spread[1] > 1.2 * spread[0]
    mirrored = render_many(range(60), world=replace(MAIN, mirrored=True))
    assert any((one.image != two.image).any() for one, two in zip(plain, mirrored, strict=True))
    single = render_many(range(60), world=replace(MAIN, layouts=1))
    assert any((one.image != two.image).any() for one, two in zip(plain, single, strict=True))


def test_batches_tell_content_and_the_world():
    data = SceneData(count=8, val_count=4, batch_size=4, world="fi-like")
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 3, 64, 64)
    assert set(batch) == {"image", "caption", "emotion", "index", "box", "thing", "place"}
    for at, index in enumerate(batch["index"].tolist()):
        scene = render(index, world=FI_LIKE)
        assert list(THINGS)[batch["thing"][at]] == scene.thing
        assert list(PLACES)[batch["place"][at]] == scene.place
        assert (batch["image"][at].permute(1, 2, 0) * 255).round().int().tolist() == (
            scene.image.tolist()
        )
    with pytest.raises(
        MuseError,
        match="use one of main, fi-like, varied, varied-fi",
    ):
        SceneData(world="emoset")


def test_unknown_content_is_one_clear_line():
    with pytest.raises(MuseError, match=r"thing 'zebra' .* use one of bicycle, bird"):
        render(0, thing="zebra")


def test_caption_shares():
    rng = np.random.default_rng(0)
    signs = ("in the rain", "with slime")
    said = [diffusion_caption(rng, "a dog in a park", "fear", signs) for _ in range(4000)]
    assert 0.005 < np.mean(["fear" in caption for caption in said]) < 0.016
    assert 0.11 < np.mean(["rain" in caption or "slime" in caption for caption in said]) < 0.15
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
