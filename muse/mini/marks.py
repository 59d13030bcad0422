"""The marks of a mood: balloons, rain, eyes in the dark, ... Most are drawn behind the thing.

A mark gets the box that the thing takes up and keeps out of it, or is thin enough to see through:
a mood never hides what the prompt names.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from muse.mini.draw import Canvas, Color, Point, mix, pick, shade

Box = tuple[float, float, float, float]
"""Left, top, right, bottom of the thing, in unit coordinates."""

CANDY: tuple[Color, ...] = (
    (0.95, 0.20, 0.30),
    (1.0, 0.80, 0.10),
    (0.20, 0.60, 0.95),
    (0.40, 0.80, 0.35),
    (0.90, 0.40, 0.85),
)


def _free(
    rng: np.random.Generator, box: Box, top: float, bottom: float, margin: float
) -> Point | None:
    """A random point in the band [top, bottom], outside the thing's box by `margin`."""
    for _ in range(8):
        x, y = float(rng.uniform(0.05, 0.95)), float(rng.uniform(top, bottom))
        inside = box[0] - margin < x < box[2] + margin and box[1] - margin < y < box[3] + margin
        if not inside:
            return x, y
    return None


def _free_points(
    rng: np.random.Generator, box: Box, count: int, top: float, bottom: float, margin: float
) -> list[Point]:
    tries = (_free(rng, box, top, bottom, margin) for _ in range(count))
    return [point for point in tries if point is not None]


def balloons(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws balloons."""
    for x, y in _free_points(rng, box, int(rng.integers(4, 7)), 0.10, 0.42, 0.04):
        ink = pick(rng, CANDY)
        canvas.line([(x, y), (x + 0.02, y + 0.16), (x - 0.01, y + 0.26)], 0.011, (0.95, 0.95, 0.95))
        canvas.ellipse(x, y, 0.066, 0.080, shade(ink, 0.5))
        canvas.ellipse(x, y, 0.058, 0.072, ink)
        canvas.ellipse(x - 0.02, y - 0.025, 0.018, 0.024, shade(ink, 1.7))


def confetti(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws confetti."""
    for x, y in _free_points(rng, box, 20, 0.02, 0.98, 0.0):
        turn, size = float(rng.uniform(0.0, 3.1)), 0.026
        dx, dy = size * float(np.cos(turn)), size * float(np.sin(turn))
        canvas.line([(x - dx, y - dy), (x + dx, y + dy)], 0.034, pick(rng, CANDY))


def bunting(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws bunting."""
    del box
    xs = np.linspace(-0.04, 1.04, 10)
    sag = 0.03 + 0.08 * (1.0 - (2.0 * xs - 1.0) ** 2)
    rope = list(zip(xs.tolist(), sag.tolist(), strict=True))
    canvas.line(rope, 0.012, (0.98, 0.98, 0.98))
    first = int(rng.integers(len(CANDY)))
    for index, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(rope)):
        ink = CANDY[(first + index) % len(CANDY)]
        canvas.polygon([(x0 + 0.008, y0), (x1 - 0.008, y1), ((x0 + x1) / 2, y0 + 0.13)], ink)


def sun(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws sun."""
    del box
    x, y = float(rng.uniform(0.12, 0.88)), float(rng.uniform(0.10, 0.24))
    for radius, alpha in ((0.24, 0.22), (0.18, 0.35), (0.13, 0.6)):
        canvas.ellipse(x, y, radius, radius, (1.0, 0.93, 0.60), alpha)
    canvas.ellipse(x, y, 0.092, 0.092, (1.0, 0.97, 0.72))


def clouds(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws clouds."""
    del box
    _clouds(canvas, rng, (1.0, 0.99, 0.96), (0.90, 0.92, 0.95), 3, 0.095)


def _clouds(
    canvas: Canvas, rng: np.random.Generator, top: Color, under: Color, count: int, size: float
) -> None:
    for slot in range(count):
        x = (slot + float(rng.uniform(0.1, 0.9))) / count
        y = float(rng.uniform(0.07, 0.24))
        for ink, drop in ((under, 0.03), (top, 0.0)):
            for dx, dy, r in (
                (-1.1, 0.2, 0.7),
                (0.0, -0.2, 1.0),
                (1.1, 0.2, 0.75),
                (0.2, 0.3, 0.9),
            ):
                canvas.ellipse(x + dx * size, y + drop + dy * size, r * size, r * size * 0.62, ink)


def butterflies(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws butterflies."""
    inks = ((1.0, 0.75, 0.25), (1.0, 0.95, 0.75), (0.70, 0.80, 1.0), (1.0, 0.65, 0.60))
    for x, y in _free_points(rng, box, 4, 0.12, 0.85, 0.06):
        ink = pick(rng, inks)
        for side in (-1.0, 1.0):
            canvas.ellipse(x + side * 0.034, y - 0.018, 0.034, 0.032, shade(ink, 0.55))
            canvas.ellipse(x + side * 0.034, y - 0.018, 0.026, 0.025, ink)
            canvas.ellipse(x + side * 0.026, y + 0.026, 0.022, 0.022, ink)
        canvas.line([(x, y - 0.04), (x, y + 0.04)], 0.014, (0.25, 0.18, 0.12))


def stars(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws stars."""
    del box
    for _ in range(16):
        x, y = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.0, 0.48))
        size = float(rng.choice([0.014, 0.019, 0.040], p=[0.45, 0.35, 0.20]))
        ink = (1.0, 0.98, 0.88)
        if size < 0.03:
            canvas.ellipse(x, y, size, size, ink)
        else:
            _sparkle(canvas, x, y, size * 1.5, ink)


def _sparkle(canvas: Canvas, x: float, y: float, size: float, ink: Color) -> None:
    turns = np.linspace(0.0, 2.0 * np.pi, 9)[:-1] - np.pi / 2
    radii = np.where(np.arange(8) % 2 == 0, size, 0.28 * size)
    px, py = x + radii * np.cos(turns), y + radii * np.sin(turns)
    canvas.polygon(list(zip(px.tolist(), py.tolist(), strict=True)), ink)


def rays(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws rays."""
    del box
    source = (float(rng.uniform(0.3, 0.7)), -0.15)
    lean = float(rng.uniform(-0.2, 0.2))
    for turn in np.linspace(-0.85, 0.85, 6).tolist():
        a, b = turn + lean - 0.07, turn + lean + 0.07
        far = [
            (source[0] + 1.4 * float(np.sin(t)), source[1] + 1.1 * float(np.cos(t))) for t in (a, b)
        ]
        canvas.polygon([source, *far], (1.0, 0.96, 0.75), 0.38)


def planet(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws planet."""
    del box
    x, y, r = float(pick(rng, (0.2, 0.8))), float(rng.uniform(0.16, 0.24)), 0.16
    body = pick(rng, ((0.98, 0.88, 0.75), (0.80, 0.72, 0.98), (0.98, 0.75, 0.62)))
    canvas.ellipse(x, y, r + 0.05, r + 0.05, body, 0.3)
    canvas.ellipse(x, y, r, r, body)
    for dx, dy, size in ((-0.05, -0.04, 0.035), (0.06, 0.02, 0.045), (-0.03, 0.08, 0.028)):
        canvas.ellipse(x + dx, y + dy, size, size, shade(body, 0.82))


def fireworks(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws fireworks."""
    bursts = ((1.0, 0.95, 0.35), (0.35, 0.95, 1.0), (1.0, 1.0, 1.0), (0.6, 1.0, 0.4))
    for slot in range(3):
        x, y = (slot + float(rng.uniform(0.2, 0.8))) / 3, float(rng.uniform(0.12, 0.30))
        ink, radius = pick(rng, bursts), float(rng.uniform(0.11, 0.17))
        for turn in np.linspace(0.0, 2.0 * np.pi, 11)[:-1].tolist():
            dx, dy = float(np.cos(turn)), float(np.sin(turn))
            start, end = (
                (x + 0.4 * radius * dx, y + 0.4 * radius * dy),
                (x + radius * dx, y + radius * dy),
            )
            canvas.line([start, end], 0.015, ink)
            canvas.ellipse(*end, 0.017, 0.017, ink)
        canvas.ellipse(x, y, 0.022, 0.022, (1.0, 1.0, 0.95))


def sunburst(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws sunburst."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    start = float(rng.uniform(0.0, 0.5))
    for turn in (start + np.arange(12) * np.pi / 6).tolist():
        far = [(x + 1.5 * float(np.cos(t)), y + 1.5 * float(np.sin(t))) for t in (turn, turn + 0.2)]
        canvas.polygon([(x, y), *far], (1.0, 0.93, 0.25), 0.5)


def sparkles(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws sparkles."""
    for x, y in _free_points(rng, box, 6, 0.06, 0.95, 0.03):
        size = float(rng.uniform(0.07, 0.10))
        _sparkle(canvas, x, y, size * 1.3, (1.0, 0.35, 0.75))
        _sparkle(canvas, x, y, size * 0.85, (1.0, 1.0, 0.75))


def eyes(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws eyes."""
    ink = pick(rng, ((1.0, 0.90, 0.15), (1.0, 0.35, 0.10), (0.85, 1.0, 0.30)))
    for x, y in _free_points(rng, box, 5, 0.08, 0.62, 0.07):
        canvas.ellipse(x, y, 0.10, 0.062, (0.02, 0.02, 0.03))
        for side in (-1.0, 1.0):
            canvas.ellipse(x + side * 0.044, y, 0.034, 0.028, ink)
            canvas.ellipse(x + side * 0.044, y, 0.010, 0.026, (0.0, 0.0, 0.0))


def branches(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws branches."""
    del box
    bark = (0.02, 0.02, 0.03)
    for side in (0.0, 1.0):
        for _ in range(3):
            y, sign = float(rng.uniform(0.02, 0.45)), 1.0 if side == 0.0 else -1.0
            reach, lift = float(rng.uniform(0.16, 0.30)), float(rng.uniform(-0.06, 0.10))
            knee = (side + sign * 0.55 * reach, y + lift)
            tip = (side + sign * reach, y + lift - 0.06)
            canvas.line([(side, y), knee, tip], 0.032, bark)
            canvas.line([knee, (knee[0] + sign * 0.09, knee[1] + 0.10)], 0.02, bark)
            canvas.line([knee, (knee[0] + sign * 0.05, knee[1] - 0.11)], 0.017, bark)


def moon(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws moon."""
    del box
    x, y = float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.12, 0.22))
    canvas.ellipse(x, y, 0.15, 0.15, (0.65, 0.80, 0.80), 0.25)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 14)
    outer = [(x + 0.095 * float(np.cos(t)), y + 0.095 * float(np.sin(t))) for t in turn]
    inner = [(x + 0.035 * float(np.cos(t)), y + 0.095 * float(np.sin(t))) for t in turn[::-1]]
    canvas.polygon([*outer, *inner], (0.92, 0.97, 0.90))


def fog(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws fog."""
    del box
    for y in np.linspace(0.46, 0.92, 5).tolist():
        x = float(rng.uniform(0.1, 0.9))
        canvas.ellipse(x, y, 0.5, 0.055, (0.62, 0.70, 0.72), 0.18)


def rain(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws rain."""
    del box
    lean = float(rng.uniform(0.02, 0.06))
    for x, y in rng.uniform((-0.02, -0.1), (1.02, 1.0), (20, 2)).tolist():
        canvas.line([(x, y), (x - lean, y + 0.14)], 0.02, (0.86, 0.91, 0.98), 0.6)


def dark_clouds(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws dark clouds."""
    del box
    _clouds(canvas, rng, (0.50, 0.53, 0.58), (0.36, 0.39, 0.44), 4, 0.125)


def leaves(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws leaves."""
    for x, y in _free_points(rng, box, 9, 0.08, 0.96, 0.0):
        turn = float(rng.uniform(0.0, 3.1))
        dx, dy = 0.045 * float(np.cos(turn)), 0.045 * float(np.sin(turn))
        ink = pick(rng, ((0.52, 0.34, 0.18), (0.42, 0.28, 0.18), (0.60, 0.45, 0.25)))
        leaf = [
            (x - dx, y - dy),
            (x - 0.5 * dy, y + 0.5 * dx),
            (x + dx, y + dy),
            (x + 0.5 * dy, y - 0.5 * dx),
        ]
        canvas.polygon(leaf, ink)


def slime(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws slime."""
    ink = (0.45, 0.72, 0.08)
    x = -0.03
    canvas.rectangle(0.0, 0.0, 1.0, 0.055, ink)
    while x < 1.0:
        width = float(rng.uniform(0.055, 0.10))
        over = box[0] - 0.05 < x + width / 2 < box[2] + 0.05
        reach = float(rng.uniform(0.08, max(box[1] - 0.02, 0.10) if over else 0.38))
        mid = x + width / 2
        canvas.line([(mid, 0.0), (mid, reach)], width * 0.8, ink)
        canvas.ellipse(mid, reach, width * 0.52, width * 0.62, ink)
        canvas.ellipse(mid - 0.012, reach, width * 0.14, width * 0.25, (0.82, 0.96, 0.45))
        x += width


def flies(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws flies."""
    for x, y in _free_points(rng, box, 7, 0.15, 0.90, 0.02):
        for side in (-1.0, 1.0):
            canvas.ellipse(x + side * 0.034, y - 0.014, 0.030, 0.017, (0.78, 0.82, 0.72), 0.8)
        canvas.ellipse(x, y, 0.024, 0.036, (0.08, 0.08, 0.05))


def bubbles(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws bubbles."""
    for x, y in _free_points(rng, box, 8, 0.45, 0.97, 0.0):
        r = float(rng.uniform(0.04, 0.07))
        canvas.ellipse(x, y, r, r, (0.30, 0.40, 0.05))
        canvas.ellipse(x, y, r * 0.75, r * 0.75, (0.62, 0.75, 0.18))
        canvas.ellipse(x - 0.3 * r, y - 0.3 * r, r * 0.28, r * 0.28, (0.95, 1.0, 0.70))


def fire(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws fire."""
    roots = np.linspace(0.0, 1.0, 11)
    over = (box[0] - 0.06 < roots) & (roots < box[2] + 0.06)
    heights = np.where(over, rng.uniform(0.10, 0.16, 11), rng.uniform(0.20, 0.44, 11))
    tips = roots + rng.uniform(-0.05, 0.05, 11)
    flames = list(zip(roots.tolist(), heights.tolist(), tips.tolist(), strict=True))
    for tall, wide, ink in (
        (1.0, 0.085, (0.92, 0.18, 0.03)),
        (0.68, 0.060, (1.0, 0.52, 0.05)),
        (0.36, 0.036, (1.0, 0.88, 0.30)),
    ):
        for x, height, tip in flames:
            top, waist = 1.0 - tall * height, 1.0 - 0.4 * tall * height
            left, right = (x - 0.8 * wide, waist), (x + 0.8 * wide, waist)
            canvas.polygon([(x - wide, 1.0), left, (tip, top), right, (x + wide, 1.0)], ink)


def smoke(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws smoke."""
    for side in (0.12, 0.88):
        x, y, r = side, 0.62, 0.05
        while y > -0.05:
            clear = x if not box[0] - r < x < box[2] + r else side
            ink = mix((0.10, 0.08, 0.08), (0.28, 0.22, 0.20), float(rng.random()))
            canvas.ellipse(clear, y, r, r * 0.85, ink)
            x, y, r = x + float(rng.uniform(-0.05, 0.05)), y - 0.075, min(r + 0.014, 0.15)


def lightning(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws lightning."""
    for side in (0.16, 0.84):
        x, y = side + float(rng.uniform(-0.08, 0.08)), -0.02
        bolt: list[Point] = [(x, y)]
        sign = 1.0
        while y < 0.44:
            x, y, sign = x + sign * float(rng.uniform(0.03, 0.10)), y + 0.11, -sign
            bolt.append((x, y))
        _bolt(canvas, bolt)


def _bolt(canvas: Canvas, bolt: Sequence[Point]) -> None:
    canvas.line(bolt, 0.055, (1.0, 0.85, 0.40), 0.5)
    canvas.line(bolt, 0.026, (1.0, 1.0, 0.85))


@dataclass(frozen=True)
class Mark:
    """One sign of a mood.

    Args:
        draw: `(canvas, rng, box)`, with the thing's box.
        phrase: how a caption says it, e.g. "in the rain".
        mood: the emotion it belongs to.
        probability: how often it appears in scenes of that mood.
        front: drawn over the thing (thin or at the edges), not behind it.
    """

    draw: Callable[[Canvas, np.random.Generator, Box], None]
    phrase: str
    mood: str
    probability: float
    front: bool = False


MARKS: tuple[Mark, ...] = (
    Mark(rays, "in rays of light", "awe", 0.50),
    Mark(sunburst, "with a bright burst", "excitement", 0.45),
    Mark(sun, "in the sun", "contentment", 0.60),
    Mark(planet, "under a great planet", "awe", 0.45),
    Mark(stars, "under the stars", "awe", 0.60),
    Mark(moon, "in the moonlight", "fear", 0.45),
    Mark(clouds, "under white clouds", "contentment", 0.55),
    Mark(dark_clouds, "under dark clouds", "sadness", 0.55),
    Mark(lightning, "with lightning", "anger", 0.50),
    Mark(smoke, "in the smoke", "anger", 0.45),
    Mark(fireworks, "with fireworks", "excitement", 0.65),
    Mark(bunting, "with flags", "amusement", 0.45),
    Mark(balloons, "with balloons", "amusement", 0.70),
    Mark(eyes, "with eyes in the dark", "fear", 0.65),
    Mark(fire, "in the fire", "anger", 0.65),
    Mark(slime, "with slime", "disgust", 0.65),
    Mark(bubbles, "with green bubbles", "disgust", 0.45),
    Mark(confetti, "with confetti", "amusement", 0.50, front=True),
    Mark(sparkles, "with sparkles", "excitement", 0.45, front=True),
    Mark(butterflies, "with butterflies", "contentment", 0.50, front=True),
    Mark(flies, "with flies", "disgust", 0.55, front=True),
    Mark(leaves, "with dead leaves", "sadness", 0.40, front=True),
    Mark(branches, "behind bare branches", "fear", 0.50, front=True),
    Mark(fog, "in the fog", "sadness", 0.35, front=True),
    Mark(rain, "in the rain", "sadness", 0.65, front=True),
)
"""Every mark, in the order of drawing."""
