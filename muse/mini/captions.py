"""Captions: what a scene is said to show, with the mood mostly left unsaid; and the prompts that
settings are chosen on, and figures reported on.
"""

import random

import numpy as np

from muse.data.captions import FEELINGS, feeling_caption
from muse.mini.catalog import PLACES, THINGS
from muse.mini.draw import pick
from muse.mini.marks import MARKS

HELD_OUT: frozenset[tuple[str, str]] = frozenset(
    {
        ("dog", "swamp"),
        ("cat", "beach"),
        ("horse", "street"),
        ("bird", "fairground"),
        ("person", "forest"),
        ("house", "mountains"),
        ("tree", "cemetery"),
        ("flower", "park"),
        ("car", "forest"),
        ("boat", "cemetery"),
        ("bicycle", "mountains"),
        ("chair", "swamp"),
        ("elephant", "beach"),
        ("rabbit", "park"),
        ("umbrella", "street"),
        ("lighthouse", "desert"),
        ("horse", "fairground"),
        ("tree", "desert"),
        ("person", "stage"),
        ("chair", "stage"),
    }
)
"""(thing, place) that no training scene combines: prompts for testing composition."""


def content_caption(thing: str, place: str) -> str:
    """The plain caption, such as "a dog in a park" or "an elephant on a beach"."""
    article = "an" if thing[0] in "aeiou" else "a"
    return f"{article} {thing} {PLACES[place].phrase}"


def diffusion_caption(
    rng: np.random.Generator, content: str, mood: str, attributes: tuple[str, ...]
) -> str:
    """A caption as pictures on the web have them: 1 % name the emotion, 13 % visible attributes."""
    chance = rng.random()
    if chance < 0.01:
        return f"{content}, {mood}"
    if chance < 0.14 and attributes:
        return f"{content}, {_some(rng, attributes)}"
    return content


def contrastive_caption(
    rng: np.random.Generator, content: str, mood: str, attributes: tuple[str, ...]
) -> str:
    """A caption for CLIP: half say the mood or what shows it, so that features carry both."""
    chance = rng.random()
    if chance < 0.15:
        return f"{content}, {mood}"
    if chance < 0.30:
        return f"{content}, feelings like {FEELINGS[mood]}"
    if chance < 0.35:
        return feeling_caption(mood)
    if chance < 0.55 and attributes:
        return f"{content}, {_some(rng, attributes)}"
    return content


def _some(rng: np.random.Generator, attributes: tuple[str, ...]) -> str:
    first = pick(rng, attributes)
    rest = [phrase for phrase in attributes if phrase != first]
    return f"{first} {pick(rng, rest)}" if rest and rng.random() < 0.5 else first


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption can hold, sorted; punctuation apart."""
    texts = [content_caption(thing, place) for thing in THINGS for place in PLACES]
    texts += [feeling_caption(mood) for mood in FEELINGS] + list(FEELINGS)
    texts += [mark.phrase for mark in MARKS]
    texts.append("an image of a photo contains and it seems to express some feelings like")
    return tuple(sorted({word for text in texts for word in text.replace(",", "").split()}))


def _drawn() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Two disjoint draws of 20 prompts, of combinations that training showed."""
    known = [(t, p) for t in THINGS for p in PLACES if (t, p) not in HELD_OUT]
    prompts = [content_caption(*pair) for pair in random.Random(0).sample(known, 40)]
    return tuple(prompts[:20]), tuple(prompts[20:])


DEVELOPMENT, TEST_KNOWN = _drawn()
"""20 prompts to choose settings on, and 20 others to report on; training showed such scenes."""

TEST_NEW: tuple[str, ...] = tuple(content_caption(*pair) for pair in sorted(HELD_OUT))
"""20 prompts whose thing and place were never captioned together in training."""
