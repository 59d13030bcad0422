"""The procedural world: a thing in a place, in a mood. One seed decides one scene.

    place (under the mood's sky) -> grade -> marks behind -> thing and its shadow -> marks before

Content (thing, place) is what prompts name. Mood is what they leave unsaid; P(mood | place) leans
to the emotion inherent in the place.
"""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from muse.emotions import EMOTIONS
from muse.mini.captions import HELD_OUT, content_caption
from muse.mini.draw import SIZE, Canvas, Pen
from muse.mini.marks import Box
from muse.mini.moods import Look, draw_look
from muse.mini.places import PLACES
from muse.mini.things import THINGS
from muse.types import MuseError

INHERENT_SHARE = 0.5
"""P(mood | place) of the place's inherent emotion; the other seven share the rest equally."""

VARIANTS = 6
"""How many layouts a place or a mark comes in."""

HEIGHTS: dict[str, float] = {"car": 0.94, "boat": 0.92, "bicycle": 0.96}
"""Drawing scale of things that are wider than tall, relative to the others."""


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Args:
        seed: what decides it all.
        thing, place: the content, as prompts name it.
        mood: one of `muse.emotions.EMOTIONS`.
        attributes: phrases for the marks that are visible, e.g. "in the rain".
        caption: the content in words.
        image: (SIZE, SIZE, 3) uint8.
        box: the thing's left, top, right and bottom, in [0, 1].
    """

    seed: int
    thing: str
    place: str
    mood: str
    attributes: tuple[str, ...]
    caption: str
    image: np.ndarray
    box: Box


def render(
    seed: int, thing: str | None = None, place: str | None = None, mood: str | None = None
) -> Scene:
    """Renders the scene of a seed; what is named is kept, the rest is drawn at random.

    A scene whose content is left to chance never combines a `HELD_OUT` pair.

    Raises:
        MuseError: for a thing, place or mood that this world does not have.
    """
    rng = np.random.default_rng(seed)
    drawn_place, drawn_thing = _content(rng)
    place, thing = place or drawn_place, thing or drawn_thing
    _check("thing", thing, THINGS)
    _check("place", place, PLACES)
    drawn_mood = _mood(rng, PLACES[place].inherent)
    mood = mood or drawn_mood
    _check("mood", mood, EMOTIONS)
    look = draw_look(mood, rng)
    image, box = _paint(rng, thing, place, look)
    attributes = tuple(mark.phrase for mark in look.marks)
    return Scene(seed, thing, place, mood, attributes, content_caption(thing, place), image, box)


def render_many(seeds: Iterable[int], workers: int = 0) -> list[Scene]:
    """Renders the scenes of many seeds, in their order; `workers` > 0 processes share the work."""
    seeds = list(seeds)
    if workers == 0:
        return [render(seed) for seed in seeds]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(render, seeds, chunksize=500))


def _check(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise MuseError(
            f"{what} {name!r} is not in this world; use one of {', '.join(sorted(known))}."
        )


def _content(rng: np.random.Generator) -> tuple[str, str]:
    things, places = list(THINGS), list(PLACES)
    while True:
        thing, place = (
            things[int(rng.integers(len(things)))],
            places[int(rng.integers(len(places)))],
        )
        if (thing, place) not in HELD_OUT:
            return place, thing


def _mood(rng: np.random.Generator, inherent: str) -> str:
    if rng.random() < INHERENT_SHARE:
        return inherent
    others = [emotion for emotion in EMOTIONS if emotion != inherent]
    return others[int(rng.integers(len(others)))]


def _paint(rng: np.random.Generator, thing: str, place: str, look: Look) -> tuple[np.ndarray, Box]:
    palette = look.palette
    scale = float(rng.uniform(0.58, 0.66)) * HEIGHTS.get(thing, 1.0)
    x, ground = float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.85, 0.92))
    half = 0.5 * scale
    box = (x - half, ground - scale, x + half, ground)

    background = Canvas()
    sky = np.clip(palette.sky + rng.normal(0.0, 0.03, (2, 3)), 0.0, 1.0)
    zenith, rim = (tuple(row) for row in sky.tolist())
    PLACES[place].draw(background, _variant(rng), (zenith, rim), float(rng.uniform(0.46, 0.50)))
    picture = palette.grade(background.finish()[..., :3])

    picture = _marks(rng, picture, look, box, front=False)
    picture = _shadow(picture, x, ground, half)
    canvas = Canvas()
    pen = Pen(canvas, x, ground, scale, bool(rng.random() < 0.5))
    THINGS[thing](pen, rng)
    pen.finish()
    layer = canvas.finish()
    alpha = layer[..., 3:]
    colors = _light(layer[..., :3] / np.maximum(alpha, 1e-3), box)
    picture = picture * (1.0 - alpha) + palette.grade(colors, 0.55) * alpha
    picture = _marks(rng, picture, look, box, front=True)
    return (np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8), box


def _variant(rng: np.random.Generator) -> np.random.Generator:
    """One of a few fixed streams: each place and each mark has `VARIANTS` layouts, no more.

    Endless layouts would be noise to a small autoencoder, which would blur them and the rest.
    """
    return np.random.default_rng(int(rng.integers(VARIANTS)))


def _marks(
    rng: np.random.Generator, picture: np.ndarray, look: Look, box: Box, front: bool
) -> np.ndarray:
    for mark in look.marks:
        if mark.front == front:
            canvas = Canvas()
            mark.draw(canvas, _variant(rng), box)
            layer = canvas.finish()
            picture = picture * (1.0 - layer[..., 3:]) + layer[..., :3]
    return picture


_ROWS = (np.arange(SIZE, dtype=np.float32) + 0.5)[:, None] / SIZE
_COLUMNS = (np.arange(SIZE, dtype=np.float32) + 0.5)[None, :] / SIZE


def _shadow(picture: np.ndarray, x: float, ground: float, half: float) -> np.ndarray:
    """A soft shadow on the ground, so that the thing stands in the place."""
    distance = ((_COLUMNS - x) / (0.95 * half)) ** 2 + ((_ROWS - ground) / 0.045) ** 2
    return picture * (1.0 - 0.55 * np.exp(-distance))[..., None]


def _light(colors: np.ndarray, box: Box) -> np.ndarray:
    """Light from above: brighter at the thing's top, darker at its foot."""
    height = np.clip((_ROWS - box[1]) / (box[3] - box[1]), 0.0, 1.0)
    return np.clip(colors * (1.12 - 0.24 * height)[..., None], 0.0, 1.0)
