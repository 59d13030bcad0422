"""The procedural world: a thing in a place, in a mood. One seed decides one scene.

    place (under the mood's sky) -> grade -> marks behind -> thing and its shadow -> marks before

Content (thing, place) is what prompts name. Mood is what they leave unsaid; P(mood | place) leans
to the emotion inherent in the place. Places and marks come in a few layouts each, drawn once and
kept: endless ones would be noise to a small autoencoder, which would blur them and the rest.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context

import numpy as np

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.mini.captions import HELD_OUT, content_caption
from muse.mini.catalog import PLACES, THINGS
from muse.mini.draw import SIZE, Canvas, Pen
from muse.mini.marks import MARKS
from muse.mini.placing import Box
from muse.mini.world import MAIN, Look, World

HEIGHTS: dict[str, float] = {"car": 0.96, "boat": 0.94, "horse": 0.88, "elephant": 0.90}
"""Drawing scale of things that are larger than their unit box, relative to the others."""

MIDDLE: Box = (0.18, 0.24, 0.82, 0.90)
"""About where the thing stands: what marks keep clear."""


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Args:
        seed: what decides it all.
        thing, place: the content, as prompts name it.
        mood: one of `muse.core.emotions.EMOTIONS`.
        attributes: phrases for the marks that are visible, e.g. "in the rain".
        caption: the content in words.
        image: (size, size, 3) uint8.
        box: the thing's left, top, right and bottom, in [0, 1].
        cover: (size, size) uint8, how much of each pixel the thing takes up.
    """

    seed: int
    thing: str
    place: str
    mood: str
    attributes: tuple[str, ...]
    caption: str
    image: np.ndarray
    box: Box
    cover: np.ndarray


def render(
    seed: int,
    thing: str | None = None,
    place: str | None = None,
    mood: str | None = None,
    world: World = MAIN,
    all_pairs: bool = False,
    size: int = SIZE,
) -> Scene:
    """Renders the scene of a seed; what is named is kept, the rest is drawn at random.

    Args:
        seed: decides the scene, together with the world.
        thing, place, mood: what is known already; None leaves it to chance.
        world: the distribution of moods and of their looks.
        all_pairs: whether chance may also combine a `HELD_OUT` thing and place.
        size: the picture's side in pixels; the scene is the same at every size.

    Raises:
        MuseError: for a thing, place or mood that this world does not have.
    """
    rng = np.random.default_rng(seed)
    drawn_place, drawn_thing = _content(rng, all_pairs)
    place, thing = place or drawn_place, thing or drawn_thing
    _check("thing", thing, THINGS)
    _check("place", place, PLACES)
    drawn_mood = world.draw_mood(PLACES[place].inherent, rng)
    mood = mood or drawn_mood
    _check("mood", mood, EMOTIONS)
    look = world.draw_look(mood, rng)
    image, box, cover = _paint(rng, thing, place, look, world, size)
    attributes = tuple(mark.phrase for mark in look.marks)
    caption = content_caption(thing, place)
    return Scene(seed, thing, place, mood, attributes, caption, image, box, cover)


def render_each(
    seeds: Iterable[int],
    workers: int = 0,
    world: World = MAIN,
    all_pairs: bool = False,
    size: int = SIZE,
) -> Iterator[Scene]:
    """The scenes of many seeds, in their order, as they get done; `workers` > 0 processes share the
    work.
    """
    one = partial(render, world=world, all_pairs=all_pairs, size=size)
    if workers == 0:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(one, seeds, chunksize=500)


def render_many(
    seeds: Iterable[int],
    workers: int = 0,
    world: World = MAIN,
    all_pairs: bool = False,
    size: int = SIZE,
) -> list[Scene]:
    """All that `render_each` gives."""
    return list(render_each(seeds, workers, world, all_pairs, size))


def _check(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise MuseError(
            f"{what} {name!r} is not in this world; use one of {', '.join(sorted(known))}."
        )


def _content(rng: np.random.Generator, all_pairs: bool) -> tuple[str, str]:
    things, places = list(THINGS), list(PLACES)
    while True:
        thing, place = (
            things[int(rng.integers(len(things)))],
            places[int(rng.integers(len(places)))],
        )
        if all_pairs or (thing, place) not in HELD_OUT:
            return place, thing


def _paint(
    rng: np.random.Generator, thing: str, place: str, look: Look, world: World, size: int
) -> tuple[np.ndarray, Box, np.ndarray]:
    palette = look.palette
    scale = float(rng.uniform(*world.scale)) * HEIGHTS.get(thing, 1.0)
    x, ground = float(rng.uniform(*world.across)), float(rng.uniform(0.87, 0.92))
    half = 0.5 * scale
    box = (x - half, ground - scale, x + half, ground)

    layer = _layout(rng, world, partial(_place_layer, place, size=size))
    sky = palette.sky + rng.normal(0.0, 0.03, (2, 3)).astype(np.float32)
    picture = _sky(sky, size)
    picture *= 1.0 - layer[..., 3:]
    picture += layer[..., :3]
    grading = palette.grading()
    picture = np.clip(picture @ grading[:3] + grading[3], 0.0, 1.0)

    _add_marks(rng, picture, look, world, front=False)
    picture *= _shadow(x, ground, half, size)
    canvas = Canvas(size)
    pen = Pen(canvas, x, ground, scale, bool(rng.random() < 0.5))
    THINGS[thing](pen, rng)
    pen.finish()
    layer = canvas.finish()
    layer[..., :3] *= _light(box, size)
    alpha = layer[..., 3:]
    picture *= 1.0 - alpha
    picture += np.clip(layer @ palette.grading(0.5), 0.0, alpha)
    _add_marks(rng, picture, look, world, front=True)
    return _bytes(picture), box, _bytes(alpha[..., 0])


def _bytes(values: np.ndarray) -> np.ndarray:
    """Values in [0, 1], what lies outside brought there, as uint8."""
    inside: np.ndarray = (np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return inside


def _layout(
    rng: np.random.Generator, world: World, layer: Callable[[int], np.ndarray]
) -> np.ndarray:
    """One of the world's layouts of a place or a mark."""
    drawn = layer(int(rng.integers(world.layouts)))
    return drawn[:, ::-1] if world.mirrored and rng.random() < 0.5 else drawn


@cache
def _place_layer(place: str, variant: int, size: int) -> np.ndarray:
    """A place without its sky: (size, size, 4) float32, premultiplied."""
    rng, canvas = np.random.default_rng(variant), Canvas(size)
    PLACES[place].draw(canvas, rng, float(rng.uniform(0.46, 0.50)))
    return canvas.finish()


@cache
def _mark_layer(phrase: str, variant: int, size: int) -> np.ndarray:
    """The mark that `phrase` names: (size, size, 4) float32, premultiplied."""
    (draw,) = (mark.draw for mark in MARKS if mark.phrase == phrase)
    canvas = Canvas(size)
    draw(canvas, np.random.default_rng(variant), MIDDLE)
    return canvas.finish()


def _add_marks(
    rng: np.random.Generator, picture: np.ndarray, look: Look, world: World, front: bool
) -> None:
    for mark in look.marks:
        if mark.front == front:
            layer = _layout(rng, world, partial(_mark_layer, mark.phrase, size=len(picture)))
            picture *= 1.0 - layer[..., 3:]
            picture += layer[..., :3]


@cache
def _centres(size: int) -> np.ndarray:
    """Where the middle of each of `size` pixels lies in [0, 1]: (size,) float32."""
    middle: np.ndarray = (np.arange(size, dtype=np.float32) + 0.5) / size
    return middle


def _sky(colors: np.ndarray, size: int) -> np.ndarray:
    """The sky from its colours (2, 3) at the zenith and at the horizon: (size, size, 3)."""
    # 0 at the zenith, 1 at the horizon and below
    below = np.minimum(_centres(size)[:, None] / 0.55, 1.0)[..., None]
    column = colors[0] * (1.0 - below) + colors[1] * below
    return np.repeat(np.clip(column, 0.0, 1.0), size, axis=1)


def _shadow(x: float, ground: float, half: float, size: int) -> np.ndarray:
    """A soft shadow on the ground, so that the thing stands in the place: (size, size, 1)."""
    at = _centres(size)
    across = np.exp(-(((at[None, :] - x) / (0.95 * half)) ** 2))
    down = np.exp(-(((at[:, None] - ground) / 0.045) ** 2))
    shadow: np.ndarray = (1.0 - 0.55 * down * across)[..., None]
    return shadow


def _light(box: Box, size: int) -> np.ndarray:
    """Light from above: brighter at the thing's top, darker at its foot; (size, 1, 1)."""
    height = np.clip((_centres(size)[:, None] - box[1]) / (box[3] - box[1]), 0.0, 1.0)
    light: np.ndarray = (1.16 - 0.28 * height)[..., None]
    return light
