"""The marks of the pleasant moods: amusement, contentment, awe and excitement."""

import itertools

import numpy as np

from muse.mini.draw import Canvas, Color, pick, shade
from muse.mini.placing import Box, free_points

CANDY: tuple[Color, ...] = (
    (0.95, 0.20, 0.30),
    (1.0, 0.80, 0.10),
    (0.20, 0.60, 0.95),
    (0.40, 0.80, 0.35),
    (0.90, 0.40, 0.85),
)


def balloons(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws balloons."""
    for x, y in free_points(rng, box, int(rng.integers(4, 7)), 0.10, 0.42, 0.04):
        ink = pick(rng, CANDY)
        canvas.line([(x, y), (x + 0.02, y + 0.16), (x - 0.01, y + 0.26)], 0.011, (0.95, 0.95, 0.95))
        canvas.ellipse(x, y, 0.066, 0.080, shade(ink, 0.5))
        canvas.ellipse(x, y, 0.058, 0.072, ink)
        canvas.ellipse(x - 0.02, y - 0.025, 0.018, 0.024, shade(ink, 1.7))


def confetti(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws confetti."""
    for x, y in free_points(rng, box, 20, 0.02, 0.98, 0.0):
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
    row_of_clouds(canvas, rng, (1.0, 0.99, 0.96), (0.90, 0.92, 0.95), 3, 0.095)


def row_of_clouds(
    canvas: Canvas, rng: np.random.Generator, top: Color, under: Color, count: int, size: float
) -> None:
    """Draws clouds across the sky, lit from above."""
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
    for x, y in free_points(rng, box, 4, 0.12, 0.85, 0.06):
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
    for x, y in free_points(rng, box, 6, 0.06, 0.95, 0.03):
        size = float(rng.uniform(0.07, 0.10))
        _sparkle(canvas, x, y, size * 1.3, (1.0, 0.35, 0.75))
        _sparkle(canvas, x, y, size * 0.85, (1.0, 1.0, 0.75))
