"""The places a prompt can name. Each fills the frame: the mood's sky above, its ground below."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from muse.mini.draw import Canvas, Color, jitter, mix, pick, shade

Sky = tuple[Color, Color]
"""The sky's colour at the zenith and at the horizon."""


def park(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws a park."""
    grass = jitter(rng, (0.42, 0.70, 0.28))
    canvas.gradient(0.0, horizon + 0.02, *sky)
    bush = shade(grass, 0.62)
    for x in np.arange(-0.05, 1.1, 0.11).tolist():
        r = float(rng.uniform(0.06, 0.11))
        canvas.ellipse(x, horizon, 0.09, r, bush)
        canvas.ellipse(x - 0.02, horizon - 0.02, 0.05, r * 0.6, shade(bush, 1.15))
    canvas.gradient(horizon, 1.0, grass, shade(grass, 0.75))
    start, end = float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.1, 0.9))
    path = [(start - 0.03, horizon), (start + 0.03, horizon), (end + 0.24, 1.0), (end - 0.24, 1.0)]
    canvas.polygon(path, (0.90, 0.80, 0.60))
    side = pick(rng, (0.14, 0.86))
    for x in (side - 0.09, side + 0.09):
        canvas.line([(x, horizon + 0.04), (x, horizon + 0.15)], 0.02, (0.25, 0.2, 0.2))
    for y in (horizon + 0.01, horizon + 0.045, horizon + 0.09):
        canvas.line([(side - 0.12, y), (side + 0.12, y)], 0.024, (0.58, 0.34, 0.16))
    for _ in range(7):
        x, y = float(rng.uniform(0.02, 0.98)), float(rng.uniform(horizon + 0.1, 0.98))
        canvas.ellipse(x, y, 0.017, 0.014, pick(rng, ((1.0, 1.0, 0.9), (1.0, 0.75, 0.8))))


def beach(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws a beach."""
    sea = jitter(rng, (0.12, 0.50, 0.72))
    sand = jitter(rng, (0.95, 0.84, 0.58))
    shore = horizon + 0.20
    canvas.gradient(0.0, horizon, *sky)
    canvas.gradient(horizon, shore + 0.03, shade(sea, 0.85), mix(sea, (0.6, 0.95, 0.95), 0.5))
    for y in np.linspace(horizon + 0.04, shore - 0.02, 4).tolist():
        x = float(rng.uniform(-0.1, 0.8))
        canvas.line([(x, y), (x + 0.25, y)], 0.012, (0.92, 0.98, 1.0))
    canvas.gradient(shore + 0.02, 1.0, sand, shade(sand, 0.86))
    phase = float(rng.uniform(0.0, 6.0))
    xs = np.linspace(-0.02, 1.02, 16)
    wave = (shore + 0.015 * np.sin(9.0 * xs + phase)).tolist()
    edge = list(zip(xs.tolist(), wave, strict=True))
    canvas.polygon([*edge, (1.02, shore + 0.05), (-0.02, shore + 0.05)], sand)
    canvas.line(edge, 0.022, (1.0, 1.0, 1.0))
    side, lean = pick(rng, ((0.06, 0.08), (0.94, -0.08)))
    crown = (side + lean, float(rng.uniform(0.16, 0.26)))
    canvas.line([(side, 0.80), (side + 0.3 * lean, 0.5), crown], 0.04, (0.55, 0.38, 0.20))
    for turn in np.linspace(-0.4, np.pi + 0.4, 7).tolist():
        tip = (crown[0] + 0.20 * float(np.cos(turn)), crown[1] - 0.12 * float(np.sin(turn)) + 0.06)
        knee = (crown[0] + 0.11 * float(np.cos(turn)), crown[1] - 0.11 * float(np.sin(turn)))
        canvas.line([crown, knee, tip], 0.03, (0.16, 0.50, 0.22))


def street(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws a street."""
    canvas.gradient(0.0, horizon + 0.08, *sky)
    x, base = -0.04, horizon + 0.08
    while x < 1.0:
        width, top = float(rng.uniform(0.17, 0.27)), float(rng.uniform(0.08, 0.30))
        bricks = ((0.70, 0.45, 0.38), (0.62, 0.60, 0.60), (0.80, 0.70, 0.55), (0.48, 0.50, 0.60))
        wall = jitter(rng, pick(rng, bricks))
        canvas.rectangle(x, top, x + width, base, shade(wall, 0.55))
        canvas.rectangle(x + 0.008, top + 0.012, x + width - 0.008, base, wall)
        for wy in np.arange(top + 0.05, base - 0.05, 0.10).tolist():
            for wx in np.arange(x + 0.035, x + width - 0.05, 0.075).tolist():
                lit = (1.0, 0.90, 0.55) if rng.random() < 0.35 else (0.25, 0.30, 0.40)
                canvas.rectangle(wx, wy, wx + 0.04, wy + 0.055, lit)
        x += width
    canvas.gradient(base, base + 0.07, (0.72, 0.71, 0.70), (0.64, 0.63, 0.62))
    canvas.gradient(base + 0.07, 1.0, (0.36, 0.36, 0.39), (0.27, 0.27, 0.30))
    canvas.rectangle(0.0, base + 0.065, 1.0, base + 0.08, (0.85, 0.84, 0.80))
    y, offset = 0.93, float(rng.uniform(0.0, 0.25))
    for left in np.arange(offset - 0.25, 1.0, 0.25).tolist():
        canvas.polygon(
            [(left, y), (left + 0.14, y), (left + 0.15, y + 0.03), (left - 0.01, y + 0.03)],
            (0.95, 0.92, 0.70),
        )


def forest(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws a forest."""
    moss = jitter(rng, (0.24, 0.36, 0.16))
    canvas.gradient(0.0, horizon + 0.08, mix(sky[0], moss, 0.45), mix(sky[1], moss, 0.3))
    floor = horizon + 0.06
    canvas.gradient(floor, 1.0, mix(moss, (0.4, 0.3, 0.16), 0.35), shade(moss, 0.6))
    for depth, count in ((0.55, 9), (0.25, 6), (0.0, 4)):
        bark = mix(jitter(rng, (0.26, 0.18, 0.12), 0.03), sky[1], depth)
        for slot in range(count):
            x = (slot + float(rng.uniform(0.1, 0.9))) / count
            if depth == 0.0:
                x = 0.22 * x if slot % 2 else 1.0 - 0.22 * x
            width = 0.022 + 0.055 * (1.0 - depth) ** 2
            foot = floor + 0.03 + 0.16 * (1.0 - depth) ** 2
            canvas.polygon(
                [
                    (x - width / 2, -0.01),
                    (x + width / 2, -0.01),
                    (x + width * 0.8, foot),
                    (x - width * 0.8, foot),
                ],
                bark,
            )
    for _ in range(12):
        x, y = float(rng.uniform(0.0, 1.0)), float(rng.uniform(-0.03, 0.07))
        leaf = shade(moss, float(rng.uniform(0.55, 1.1)))
        canvas.ellipse(x, y, float(rng.uniform(0.09, 0.16)), float(rng.uniform(0.05, 0.09)), leaf)
    for _ in range(6):
        x, y = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.80, 0.99))
        for dx in (-0.05, -0.02, 0.02, 0.05):
            canvas.line([(x, y), (x + dx, y - 0.07)], 0.014, shade(moss, 1.15))


def cemetery(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws a cemetery."""
    grass = jitter(rng, (0.40, 0.48, 0.34))
    canvas.gradient(0.0, horizon + 0.02, *sky)
    canvas.gradient(horizon, 1.0, grass, shade(grass, 0.7))
    iron = (0.16, 0.16, 0.18)
    for x in np.arange(float(rng.uniform(0.0, 0.05)), 1.0, 0.055).tolist():
        canvas.line([(x, horizon - 0.10), (x, horizon + 0.04)], 0.012, iron)
    for y in (horizon - 0.07, horizon + 0.01):
        canvas.line([(0.0, y), (1.0, y)], 0.013, iron)
    rows = ((horizon + 0.14, 0.062, (0.36, 0.64)), (horizon + 0.30, 0.095, (0.24, 0.76)))
    for y, size, (left, right) in rows:
        for x in (left - 0.28, left, right, right + 0.28):
            stone = jitter(rng, (0.62, 0.63, 0.65), 0.05)
            at = x + float(rng.uniform(-0.04, 0.04))
            _grave(canvas, at, y + float(rng.uniform(-0.02, 0.02)), size, stone, rng.random() < 0.4)


def _grave(canvas: Canvas, x: float, y: float, size: float, stone: Color, cross: bool) -> None:
    dark = shade(stone, 0.45)
    canvas.ellipse(x, y, size * 1.3, size * 0.3, (0.33, 0.27, 0.20))
    if cross:
        for grow, ink in ((0.022, dark), (0.0, stone)):
            canvas.line([(x, y), (x, y - 2.6 * size)], size * 0.45 + grow, ink)
            bar = [(x - 0.85 * size, y - 1.8 * size), (x + 0.85 * size, y - 1.8 * size)]
            canvas.line(bar, size * 0.45 + grow, ink)
        return
    for grow, ink in ((0.011, dark), (0.0, stone)):
        canvas.ellipse(x, y - 1.5 * size, size + grow, size * 0.9 + grow, ink)
        canvas.rectangle(x - size - grow, y - 1.5 * size, x + size + grow, y, ink)
    for line in (1.5, 1.0):
        ends = [(x - 0.5 * size, y - line * size), (x + 0.5 * size, y - line * size)]
        canvas.line(ends, 0.014, dark)


def mountains(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws mountains."""
    rock = jitter(rng, (0.42, 0.45, 0.55))
    canvas.gradient(0.0, horizon + 0.1, *sky)
    snow = (0.96, 0.97, 1.0)
    peaks = [(0.15, 0.22), (0.52, 0.12), (0.88, 0.20)]
    for order in rng.permutation(3).tolist():
        x = peaks[order][0] + float(rng.uniform(-0.07, 0.07))
        y = peaks[order][1] + float(rng.uniform(-0.04, 0.08))
        base = horizon + 0.06
        half = (base - y) * float(rng.uniform(0.75, 0.95))
        canvas.polygon([(x, y), (x + half, base), (x - half, base)], rock)
        canvas.polygon([(x, y), (x + half, base), (x + 0.15 * half, base)], shade(rock, 0.62))
        cap, k = y + 0.34 * (base - y), 0.34 * half
        teeth = [
            (x + k, cap),
            (x + 0.5 * k, cap - 0.03),
            (x + 0.1 * k, cap + 0.03),
            (x - 0.4 * k, cap - 0.03),
            (x - k, cap),
        ]
        canvas.polygon([(x, y), *teeth], snow)
        canvas.polygon([(x, y), *teeth[:3]], shade(snow, 0.82))
    meadow = jitter(rng, (0.46, 0.62, 0.36))
    xs = np.linspace(0.0, 1.0, 20)
    hill = horizon + 0.03 + 0.03 * np.sin(5.0 * xs + float(rng.uniform(0.0, 6.0)))
    canvas.gradient(horizon + 0.06, 1.0, meadow, shade(meadow, 0.7))
    slope = list(zip(xs.tolist(), hill.tolist(), strict=True))
    canvas.polygon([*slope, (1.0, horizon + 0.1), (0.0, horizon + 0.1)], meadow)
    for _ in range(5):
        x, y = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.75, 0.98))
        canvas.ellipse(x, y, 0.035, 0.022, shade(rock, 0.75))
        canvas.ellipse(x - 0.008, y - 0.007, 0.022, 0.012, shade(rock, 1.3))


def fairground(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws a fairground."""
    dirt = jitter(rng, (0.85, 0.70, 0.48))
    canvas.gradient(0.0, horizon + 0.05, *sky)
    canvas.gradient(horizon + 0.04, 1.0, dirt, shade(dirt, 0.78))
    left = rng.random() < 0.5
    hub = (0.22 if left else 0.78, 0.30)
    _wheel(canvas, rng, hub, horizon + 0.06)
    stripe = pick(rng, ((0.90, 0.20, 0.20), (0.20, 0.45, 0.85), (0.95, 0.60, 0.10)))
    _tent(canvas, 0.75 if left else 0.25, horizon + 0.07, 0.24, stripe)
    _tent(canvas, 0.47 + float(rng.uniform(-0.05, 0.05)), horizon + 0.06, 0.13, (0.55, 0.3, 0.7))
    for x in np.linspace(0.03, 0.97, 11).tolist():
        canvas.ellipse(x, horizon + 0.10, 0.018, 0.018, (1.0, 0.95, 0.60))


def _wheel(
    canvas: Canvas, rng: np.random.Generator, hub: tuple[float, float], ground: float
) -> None:
    steel, radius = (0.45, 0.42, 0.55), 0.20
    for dx in (-0.12, 0.12):
        canvas.line([hub, (hub[0] + dx, ground)], 0.022, steel)
    canvas.ring(*hub, radius, 0.022, steel)
    start = float(rng.uniform(0.0, 0.7))
    for spoke in range(8):
        turn = start + spoke * np.pi / 4
        rim = (hub[0] + radius * float(np.cos(turn)), hub[1] + radius * float(np.sin(turn)))
        canvas.line([hub, rim], 0.012, steel)
        cabins = ((0.95, 0.30, 0.30), (0.98, 0.80, 0.20), (0.25, 0.55, 0.90), (0.4, 0.75, 0.4))
        canvas.ellipse(*rim, 0.036, 0.036, cabins[spoke % 4])


def _tent(canvas: Canvas, x: float, ground: float, half: float, stripe: Color) -> None:
    top, eaves = ground - 1.5 * half, ground - 0.75 * half
    edges = np.linspace(-1.0, 1.0, 7).tolist()
    for index, (a, b) in enumerate(itertools.pairwise(edges)):
        ink = stripe if index % 2 == 0 else (0.97, 0.95, 0.90)
        canvas.polygon([(x, top), (x + b * half, eaves), (x + a * half, eaves)], ink)
        wall = [
            (x + a * half, eaves),
            (x + b * half, eaves),
            (x + 0.86 * b * half, ground),
            (x + 0.86 * a * half, ground),
        ]
        canvas.polygon(wall, shade(ink, 0.85))
    canvas.line([(x, top), (x, top - 0.05)], 0.012, (0.3, 0.25, 0.25))
    canvas.polygon([(x, top - 0.05), (x + 0.05, top - 0.035), (x, top - 0.02)], stripe)


def swamp(canvas: Canvas, rng: np.random.Generator, sky: Sky, horizon: float) -> None:
    """Draws a swamp."""
    water = jitter(rng, (0.36, 0.42, 0.22))
    canvas.gradient(0.0, horizon + 0.05, mix(sky[0], water, 0.2), mix(sky[1], water, 0.2))
    for x in np.linspace(0.06, 0.94, 5).tolist():
        x += float(rng.uniform(-0.06, 0.06))
        bark, top = (0.28, 0.26, 0.18), float(rng.uniform(0.05, 0.25))
        canvas.polygon([(x - 0.04, horizon + 0.04), (x + 0.04, horizon + 0.04), (x, top)], bark)
        for dx in (-0.10, 0.11):
            y = top + float(rng.uniform(0.07, 0.18))
            canvas.line([(x, y + 0.05), (x + dx, y)], 0.016, bark)
            canvas.line([(x + dx, y), (x + dx, y + 0.14)], 0.022, (0.38, 0.44, 0.24))
    canvas.gradient(horizon + 0.02, 1.0, mix(water, sky[1], 0.3), shade(water, 0.6))
    for _ in range(7):
        x, y = float(rng.uniform(0.0, 0.9)), float(rng.uniform(horizon + 0.06, 0.98))
        canvas.line([(x, y), (x + 0.16, y)], 0.011, mix(water, (0.9, 0.95, 0.7), 0.45))
    for _ in range(6):
        x, y = float(rng.uniform(0.02, 0.98)), float(rng.uniform(horizon + 0.12, 0.97))
        lily = jitter(rng, (0.30, 0.55, 0.18), 0.04)
        canvas.ellipse(x, y + 0.008, 0.062, 0.026, shade(lily, 0.55))
        canvas.ellipse(x, y, 0.062, 0.026, lily)
        canvas.polygon([(x, y), (x + 0.07, y - 0.02), (x + 0.07, y + 0.012)], shade(water, 0.8))
    for side in (0.0, 1.0):
        for _ in range(4):
            x = abs(side - float(rng.uniform(0.01, 0.16)))
            y = float(rng.uniform(0.42, 0.58))
            canvas.line([(x, 0.92), (x, y)], 0.014, (0.42, 0.50, 0.20))
            canvas.line([(x, y), (x, y + 0.11)], 0.034, (0.40, 0.24, 0.12))


@dataclass(frozen=True)
class Place:
    """How a place is drawn, how a caption says that something is there, and how it feels.

    Args:
        draw: `(canvas, rng, sky, horizon)`; fills the canvas.
        phrase: the caption's words, e.g. "in a park".
        inherent: the emotion that the place leans to when nothing else is said.
    """

    draw: Callable[[Canvas, np.random.Generator, Sky, float], None]
    phrase: str
    inherent: str


PLACES: dict[str, Place] = {
    "park": Place(park, "in a park", "contentment"),
    "beach": Place(beach, "on a beach", "excitement"),
    "street": Place(street, "on a street", "anger"),
    "forest": Place(forest, "in a forest", "fear"),
    "cemetery": Place(cemetery, "in a cemetery", "sadness"),
    "mountains": Place(mountains, "in the mountains", "awe"),
    "fairground": Place(fairground, "at a fairground", "amusement"),
    "swamp": Place(swamp, "in a swamp", "disgust"),
}
"""Every place by the word that names it; each of the eight emotions is inherent in one."""
