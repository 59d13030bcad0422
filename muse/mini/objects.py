"""Things that stand still, or that people made."""

import numpy as np

from muse.mini.draw import DARK, GLASS, PAINT, WHITE, Pen, Point, jitter, pick, shade


def house(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a house."""
    wall = jitter(
        rng, pick(rng, ((0.96, 0.90, 0.76), (0.80, 0.45, 0.35), (0.75, 0.85, 0.92), WHITE))
    )
    roof = jitter(rng, pick(rng, ((0.72, 0.22, 0.16), (0.35, 0.30, 0.38), (0.45, 0.28, 0.18))))
    door = pick(rng, PAINT)
    pen.box(0.18, 0.68, 0.30, 1.02, shade(wall, 0.7))
    pen.box(-0.42, 0.0, 0.42, 0.55, wall)
    pen.polygon([(-0.54, 0.52), (0.0, 1.0), (0.54, 0.52)], roof)
    pen.polygon([(-0.54, 0.52), (0.54, 0.52), (0.48, 0.58), (-0.48, 0.58)], shade(roof, 0.7), False)
    pen.box(-0.09, 0.0, 0.10, 0.36, door)
    pen.ellipse(0.065, 0.17, 0.02, 0.02, (0.95, 0.85, 0.30), outline=False)
    for x in (-0.28, 0.28):
        pen.box(x - 0.10, 0.20, x + 0.10, 0.42, shade(wall, 0.5), outline=False)
        pen.box(x - 0.08, 0.22, x + 0.08, 0.40, (1.0, 0.92, 0.60), outline=False)
        pen.line([(x, 0.22), (x, 0.40)], 0.025, shade(wall, 0.5), outline=False)
        pen.line([(x - 0.08, 0.31), (x + 0.08, 0.31)], 0.025, shade(wall, 0.5), outline=False)


def tree(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a tree."""
    leaf = jitter(rng, pick(rng, ((0.20, 0.55, 0.20), (0.35, 0.65, 0.18), (0.85, 0.45, 0.12))))
    trunk = jitter(rng, (0.45, 0.29, 0.16))
    pen.polygon(
        [(-0.13, 0.0), (0.13, 0.0), (0.07, 0.16), (0.07, 0.5), (-0.07, 0.5), (-0.07, 0.16)], trunk
    )
    pen.polygon([(0.02, 0.02), (0.09, 0.02), (0.06, 0.5), (0.02, 0.5)], shade(trunk, 0.65), False)
    lobes = ((-0.24, 0.56, 0.21), (0.24, 0.56, 0.21), (-0.14, 0.80, 0.22), (0.16, 0.79, 0.21))
    for x, y, r in (*lobes, (0.0, 0.64, 0.26)):
        pen.ellipse(x, y, r, r * 0.95, leaf)
    for x, y, r in lobes:
        pen.ellipse(x - 0.04, y + 0.06, r * 0.62, r * 0.52, shade(leaf, 1.2), outline=False)
    pen.ellipse(0.06, 0.50, 0.26, 0.09, shade(leaf, 0.7), outline=False)
    if rng.random() < 0.4:
        for x, y in ((-0.24, 0.58), (0.02, 0.72), (0.22, 0.62), (-0.08, 0.88), (0.20, 0.86)):
            pen.ellipse(x, y, 0.045, 0.045, (0.90, 0.15, 0.12), outline=False)


def flower(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a flower."""
    petal = jitter(
        rng, pick(rng, ((0.95, 0.30, 0.45), (0.98, 0.80, 0.15), (0.60, 0.35, 0.85), WHITE))
    )
    green = (0.22, 0.58, 0.22)
    bend = float(rng.uniform(-0.06, 0.06))
    pen.line([(0.0, 0.0), (bend, 0.30), (0.0, 0.62)], 0.06, green)
    pen.ellipse(0.17, 0.20, 0.19, 0.075, green, angle=0.5)
    pen.ellipse(-0.17, 0.15, 0.19, 0.075, shade(green, 0.8), angle=-0.5)
    count = int(rng.integers(6, 9))
    start = float(rng.uniform(0.0, 1.0))
    for turn in np.linspace(start, start + 2.0 * np.pi, count, endpoint=False).tolist():
        x, y = 0.22 * np.cos(turn), 0.70 + 0.22 * np.sin(turn)
        pen.ellipse(float(x), float(y), 0.17, 0.10, petal, angle=turn)
    center = (0.55, 0.33, 0.12) if petal[2] < 0.3 else (0.98, 0.80, 0.20)
    pen.ellipse(0.0, 0.70, 0.125, 0.125, center)
    pen.ellipse(-0.03, 0.73, 0.05, 0.05, shade(center, 1.4), outline=False)


def car(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a car."""
    paint = jitter(rng, pick(rng, PAINT))
    pen.polygon([(-0.34, 0.34), (-0.20, 0.60), (0.16, 0.60), (0.34, 0.34)], paint)
    pen.polygon([(-0.26, 0.36), (-0.16, 0.54), (-0.03, 0.54), (-0.03, 0.36)], GLASS, False)
    pen.polygon([(0.03, 0.36), (0.03, 0.54), (0.13, 0.54), (0.25, 0.36)], GLASS, False)
    hull = [(-0.56, 0.12), (-0.58, 0.32), (-0.50, 0.39), (0.40, 0.39), (0.58, 0.30), (0.58, 0.12)]
    pen.polygon(hull, paint)
    pen.polygon(
        [(-0.57, 0.12), (0.58, 0.12), (0.58, 0.19), (-0.57, 0.19)], shade(paint, 0.65), False
    )
    pen.line([(-0.46, 0.345), (0.38, 0.345)], 0.03, shade(paint, 1.4), outline=False)
    pen.ellipse(0.53, 0.27, 0.045, 0.045, (1.0, 0.95, 0.60), outline=False)
    pen.box(-0.575, 0.24, -0.53, 0.31, (0.85, 0.10, 0.10), outline=False)
    for x in (-0.32, 0.33):
        pen.ellipse(x, 0.13, 0.135, 0.135, DARK)
        pen.ellipse(x, 0.13, 0.065, 0.065, (0.75, 0.75, 0.78), outline=False)


def boat(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a boat."""
    hull = jitter(rng, pick(rng, (*PAINT[:4], (0.50, 0.30, 0.16))))
    sail = jitter(rng, pick(rng, (WHITE, WHITE, (0.98, 0.86, 0.55), (0.92, 0.35, 0.28))))
    pen.line([(0.0, 0.2), (0.0, 1.02)], 0.045, (0.48, 0.32, 0.18))
    pen.polygon([(0.05, 0.30), (0.05, 0.98), (0.44, 0.32)], sail)
    pen.polygon([(0.05, 0.30), (0.05, 0.98), (0.15, 0.82), (0.17, 0.31)], shade(sail, 0.85), False)
    pen.polygon([(-0.05, 0.32), (-0.05, 0.86), (-0.34, 0.34)], shade(sail, 0.93))
    pen.polygon([(-0.52, 0.26), (0.56, 0.26), (0.38, 0.0), (-0.36, 0.0)], hull)
    pen.polygon([(-0.52, 0.26), (0.56, 0.26), (0.52, 0.19), (-0.48, 0.19)], shade(hull, 1.5), False)
    pen.polygon([(-0.41, 0.07), (0.43, 0.07), (0.38, 0.0), (-0.36, 0.0)], shade(hull, 0.6), False)


def bicycle(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a bicycle."""
    paint = jitter(rng, pick(rng, PAINT[:4]))
    rear, front, crank = (-0.34, 0.25), (0.34, 0.25), (-0.04, 0.24)
    seat, head = (-0.15, 0.60), (0.22, 0.64)
    for x, y in (rear, front):
        pen.line(_circle(x, y, 0.23), 0.085, DARK, outline=False)
        pen.line(_circle(x, y, 0.23), 0.03, (0.82, 0.82, 0.85), outline=False)
        pen.ellipse(x, y, 0.05, 0.05, (0.82, 0.82, 0.85))
    for points in ([rear, crank, seat, rear], [crank, head, seat], [head, front]):
        pen.line(points, 0.075, paint)
    pen.line([head, (0.19, 0.82), (0.34, 0.86)], 0.065, DARK)
    pen.line([seat, (-0.17, 0.72)], 0.065, DARK)
    pen.line([(-0.29, 0.74), (-0.06, 0.74)], 0.095, DARK)


def _circle(x: float, y: float, radius: float) -> list[Point]:
    turn = np.linspace(0.0, 2.0 * np.pi, 25)
    xs, ys = x + radius * np.cos(turn), y + radius * np.sin(turn)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def chair(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a chair, half from the side: tall back, thick seat, four legs."""
    wood = jitter(rng, pick(rng, ((0.72, 0.45, 0.20), (0.88, 0.66, 0.38), *PAINT[:3])), 0.04)
    for x in (-0.16, 0.36):
        pen.line([(x, 0.42), (x, 0.12)], 0.10, shade(wood, 0.6))
    pen.line([(-0.28, 0.03), (-0.28, 1.03)], 0.115, wood)
    pen.line([(-0.28, 0.97), (-0.08, 0.99)], 0.13, wood)
    pen.line([(-0.28, 0.73), (-0.08, 0.75)], 0.11, wood)
    pen.line([(-0.08, 0.50), (-0.08, 1.05)], 0.10, shade(wood, 0.82))
    pen.line([(0.26, 0.40), (0.26, 0.03)], 0.115, wood)
    pen.polygon([(-0.36, 0.36), (0.34, 0.36), (0.46, 0.53), (-0.22, 0.53)], shade(wood, 1.25))
    pen.polygon([(-0.36, 0.36), (0.34, 0.36), (0.34, 0.43), (-0.36, 0.43)], shade(wood, 0.8), False)


def umbrella(pen: Pen, rng: np.random.Generator) -> None:
    """Draws an open umbrella: a striped dome over a hooked stick."""
    cloth = jitter(rng, pick(rng, PAINT[:4]))
    other = pick(rng, (WHITE, shade(cloth, 0.6)))
    hook = [(0.0, 0.60), (0.0, 0.10), (0.05, 0.04), (0.12, 0.04), (0.16, 0.12)]
    pen.line(hook, 0.065, (0.45, 0.28, 0.16))
    pen.line([(0.0, 0.95), (0.0, 1.06)], 0.05, (0.45, 0.28, 0.16))
    for outer, ink in ((1.0, cloth), (0.62, other), (0.22, cloth)):
        pen.polygon(_gore(outer), ink, outline=outer == 1.0)


def _gore(share: float) -> list[Point]:
    """The dome narrowed to `share` of its width, with the hem's scallops."""
    turn = np.linspace(0.0, np.pi, 17)
    top, bottom = 0.46 + 0.52 * np.sin(turn), 0.46 + 0.06 * np.abs(np.sin(3.0 * turn))
    across = 0.56 * share
    xs = [*(across * np.cos(turn)).tolist(), *np.linspace(-across, across, 17).tolist()]
    return list(zip(xs, [*top.tolist(), *bottom.tolist()], strict=True))


def lighthouse(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a lighthouse: a striped tower with a lamp that shines to both sides."""
    stripe = jitter(rng, pick(rng, ((0.86, 0.14, 0.14), (0.15, 0.35, 0.75), (0.88, 0.30, 0.10))))
    for side in (-1.0, 1.0):
        beam = [(0.0, 0.92), (side * 0.60, 1.08), (side * 0.60, 0.76)]
        pen.polygon(beam, (1.0, 0.94, 0.55), outline=False)
    pen.box(-0.36, 0.0, 0.36, 0.10, (0.50, 0.48, 0.50))
    pen.polygon([(-0.25, 0.08), (0.25, 0.08), (0.15, 0.80), (-0.15, 0.80)], WHITE)
    for low in (0.20, 0.50):
        a, b = (0.25 - 0.139 * (y - 0.08) for y in (low, low + 0.15))
        pen.polygon([(-a, low), (a, low), (b, low + 0.15), (-b, low + 0.15)], stripe, False)
    pen.box(-0.07, 0.08, 0.07, 0.20, DARK, outline=False)
    pen.box(-0.22, 0.78, 0.22, 0.84, DARK)
    pen.box(-0.12, 0.84, 0.12, 1.0, (1.0, 0.92, 0.40))
    pen.polygon([(-0.19, 1.0), (0.19, 1.0), (0.0, 1.16)], stripe)
