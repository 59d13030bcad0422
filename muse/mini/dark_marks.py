"""The marks of the unpleasant moods: fear, sadness, disgust and anger."""

from collections.abc import Sequence

import numpy as np

from muse.mini.bright_marks import row_of_clouds
from muse.mini.draw import Canvas, Point, mix, pick
from muse.mini.placing import Box, free_points


def eyes(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws eyes."""
    ink = pick(rng, ((1.0, 0.90, 0.15), (1.0, 0.35, 0.10), (0.85, 1.0, 0.30)))
    for x, y in free_points(rng, box, 5, 0.08, 0.62, 0.07):
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
    row_of_clouds(canvas, rng, (0.50, 0.53, 0.58), (0.36, 0.39, 0.44), 4, 0.125)


def leaves(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws leaves."""
    for x, y in free_points(rng, box, 9, 0.08, 0.96, 0.0):
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
    for x, y in free_points(rng, box, 7, 0.15, 0.90, 0.02):
        for side in (-1.0, 1.0):
            canvas.ellipse(x + side * 0.034, y - 0.014, 0.030, 0.017, (0.78, 0.82, 0.72), 0.8)
        canvas.ellipse(x, y, 0.024, 0.036, (0.08, 0.08, 0.05))


def bubbles(canvas: Canvas, rng: np.random.Generator, box: Box) -> None:
    """Draws bubbles."""
    for x, y in free_points(rng, box, 8, 0.45, 0.97, 0.0):
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
