"""Places that people made: park, street, cemetery, fairground and stage."""

import itertools

import numpy as np

from muse.mini.draw import Canvas, Color, jitter, pick, shade


def park(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a park."""
    grass = jitter(rng, (0.42, 0.70, 0.28))
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


def street(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a street."""
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


def cemetery(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a cemetery."""
    grass = jitter(rng, (0.40, 0.48, 0.34))
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


def fairground(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a fairground."""
    dirt = jitter(rng, (0.85, 0.70, 0.48))
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


def stage(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a stage."""
    boards = jitter(rng, (0.66, 0.42, 0.22), 0.04)
    velvet = jitter(rng, (0.72, 0.08, 0.14), 0.04)
    floor = horizon + 0.20
    canvas.gradient(0.0, floor, (0.10, 0.06, 0.14), (0.16, 0.10, 0.20), 0.55)
    for lamp in (0.27, 0.73):
        middle = 1.0 - lamp + float(rng.uniform(-0.08, 0.08))
        beam = [
            (lamp - 0.02, 0.0),
            (lamp + 0.02, 0.0),
            (middle + 0.20, floor),
            (middle - 0.20, floor),
        ]
        canvas.polygon(beam, (1.0, 0.95, 0.72), 0.5)
    canvas.gradient(floor, 1.0, shade(boards, 0.8), shade(boards, 1.15))
    for x in np.linspace(-0.9, 1.9, 12).tolist():
        canvas.line([(0.5 + 0.6 * (x - 0.5), floor), (x, 1.0)], 0.012, shade(boards, 0.55))
    canvas.ellipse(0.5, 0.90, 0.42, 0.085, (1.0, 0.90, 0.62))
    for side in (0.0, 1.0):
        sign = 1.0 - 2.0 * side
        for fold, tone in enumerate((0.62, 1.0, 0.62, 1.0)):
            inner, outer = side + sign * 0.055 * fold, side + sign * 0.055 * (fold + 1)
            hem = 0.92 - 0.02 * fold
            folds = [(inner, 0.0), (outer, 0.0), (outer, hem), (inner, hem)]
            canvas.polygon(folds, shade(velvet, tone))
    for x in np.linspace(0.0, 1.0, 6).tolist():
        canvas.ellipse(x, 0.03, 0.115, 0.125, (0.95, 0.76, 0.25))
        canvas.ellipse(x, 0.02, 0.115, 0.115, velvet)
