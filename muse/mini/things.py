"""The things a prompt can name, each drawn large and clear with a `Pen`."""

from collections.abc import Callable

import numpy as np

from muse.mini.draw import Color, Pen, jitter, pick, shade

FUR: tuple[Color, ...] = (
    (0.62, 0.40, 0.20),
    (0.85, 0.66, 0.40),
    (0.93, 0.90, 0.84),
    (0.35, 0.25, 0.20),
    (0.55, 0.54, 0.55),
)
PAINT: tuple[Color, ...] = (
    (0.88, 0.18, 0.16),
    (0.15, 0.40, 0.85),
    (0.98, 0.76, 0.12),
    (0.16, 0.62, 0.35),
    (0.93, 0.93, 0.93),
    (0.55, 0.25, 0.65),
)
DARK: Color = (0.10, 0.09, 0.11)
WHITE: Color = (0.98, 0.98, 0.96)
GLASS: Color = (0.72, 0.88, 0.97)


def dog(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a dog."""
    fur = jitter(rng, pick(rng, FUR))
    far, near = shade(fur, 0.75), shade(fur, 1.12)
    ear = shade(fur, 0.6)
    pen.line([(-0.33, 0.50), (-0.43, 0.62), (-0.46, 0.78)], 0.08, fur)
    for x in (-0.20, 0.24):
        pen.line([(x, 0.36), (x + 0.02, 0.03)], 0.095, far)
    pen.ellipse(-0.03, 0.44, 0.36, 0.17, fur)
    pen.ellipse(0.22, 0.48, 0.16, 0.19, fur)
    for x in (-0.30, 0.14):
        pen.line([(x, 0.38), (x, 0.04), (x + 0.05, 0.03)], 0.10, fur)
    pen.ellipse(0.31, 0.74, 0.17, 0.17, fur)
    pen.ellipse(0.46, 0.69, 0.13, 0.085, near)
    pen.ellipse(0.20, 0.70, 0.07, 0.16, ear, angle=-0.2)
    pen.ellipse(0.57, 0.72, 0.038, 0.032, DARK)
    pen.ellipse(0.37, 0.79, 0.032, 0.036, DARK, outline=False)
    pen.line([(0.19, 0.56), (0.36, 0.57)], 0.05, pick(rng, PAINT[:4]), outline=False)
    pen.ellipse(0.02, 0.37, 0.22, 0.06, near, outline=False)


def cat(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a cat."""
    fur = jitter(rng, pick(rng, ((0.92, 0.58, 0.22), (0.45, 0.45, 0.48), *FUR)))
    light, stripe = shade(fur, 1.35), shade(fur, 0.65)
    pen.line([(0.18, 0.06), (0.42, 0.10), (0.47, 0.30), (0.38, 0.44)], 0.09, fur)
    pen.ellipse(0.0, 0.28, 0.27, 0.29, fur)
    pen.ellipse(0.0, 0.24, 0.14, 0.20, light, outline=False)
    for x in (-0.11, 0.11):
        pen.ellipse(x, 0.055, 0.10, 0.06, fur)
    for side in (-1.0, 1.0):
        pen.polygon([(side * 0.27, 0.72), (side * 0.25, 1.02), (side * 0.06, 0.90)], fur)
        pen.polygon(
            [(side * 0.22, 0.80), (side * 0.21, 0.94), (side * 0.12, 0.88)],
            (0.95, 0.62, 0.62),
            outline=False,
        )
    pen.ellipse(0.0, 0.69, 0.28, 0.235, fur)
    for x in (-0.08, 0.0, 0.08):
        pen.line([(x, 0.91), (x, 0.83)], 0.03, stripe, outline=False)
    eye = pick(rng, ((0.55, 0.85, 0.25), (0.95, 0.80, 0.20), (0.35, 0.70, 0.95)))
    for x in (-0.12, 0.12):
        pen.ellipse(x, 0.71, 0.065, 0.065, eye, outline=False)
        pen.ellipse(x, 0.71, 0.025, 0.06, DARK, outline=False)
    pen.ellipse(0.0, 0.60, 0.10, 0.06, light, outline=False)
    pen.polygon([(-0.04, 0.64), (0.04, 0.64), (0.0, 0.59)], (0.85, 0.40, 0.45), outline=False)
    for side in (-1.0, 1.0):
        pen.line([(side * 0.10, 0.60), (side * 0.36, 0.63)], 0.014, WHITE, outline=False)
        pen.line([(side * 0.10, 0.58), (side * 0.35, 0.54)], 0.014, WHITE, outline=False)


def horse(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a horse."""
    coat = jitter(rng, pick(rng, ((0.55, 0.30, 0.15), (0.75, 0.50, 0.28), FUR[2], FUR[3])))
    far, mane = shade(coat, 0.75), shade(coat, 0.4)
    pen.line([(-0.36, 0.60), (-0.47, 0.52), (-0.48, 0.28)], 0.09, mane)
    for x in (-0.22, 0.20):
        pen.line([(x, 0.45), (x + 0.05, 0.03)], 0.07, far)
    pen.ellipse(-0.06, 0.54, 0.34, 0.16, coat)
    pen.polygon([(0.06, 0.58), (0.26, 0.42), (0.44, 0.86), (0.28, 0.98)], coat)
    for x in (-0.32, 0.13):
        pen.line([(x, 0.48), (x - 0.02, 0.26), (x, 0.04)], 0.08, coat)
        pen.line([(x, 0.05), (x + 0.02, 0.03)], 0.085, DARK)
    pen.polygon([(0.26, 0.98), (0.38, 1.02), (0.60, 0.76), (0.54, 0.66), (0.34, 0.78)], coat)
    pen.polygon([(0.28, 0.98), (0.31, 1.12), (0.38, 1.00)], coat)
    pen.polygon([(0.02, 0.66), (0.20, 1.02), (0.31, 1.02), (0.18, 0.72)], mane)
    pen.ellipse(0.40, 0.91, 0.028, 0.032, DARK, outline=False)
    pen.ellipse(0.55, 0.72, 0.02, 0.02, DARK, outline=False)


def bird(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a bird."""
    coat = jitter(rng, pick(rng, (*PAINT, (0.35, 0.30, 0.30))))
    wing, belly = shade(coat, 0.65), shade(coat, 1.5)
    for x in (-0.04, 0.10):
        pen.line([(x, 0.22), (x + 0.02, 0.03), (x + 0.11, 0.02)], 0.035, (0.90, 0.55, 0.15))
    pen.polygon([(-0.22, 0.36), (-0.56, 0.26), (-0.58, 0.40), (-0.26, 0.52)], wing)
    pen.ellipse(0.0, 0.44, 0.34, 0.25, coat, angle=0.35)
    pen.ellipse(0.12, 0.38, 0.20, 0.17, belly, angle=0.35, outline=False)
    pen.ellipse(0.26, 0.74, 0.19, 0.19, coat)
    pen.polygon([(0.42, 0.80), (0.66, 0.71), (0.41, 0.65)], (0.98, 0.65, 0.12))
    pen.ellipse(-0.10, 0.46, 0.25, 0.14, wing, angle=0.35)
    pen.ellipse(0.31, 0.79, 0.058, 0.058, WHITE, outline=False)
    pen.ellipse(0.33, 0.79, 0.034, 0.034, DARK, outline=False)


def person(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a person."""
    skin = jitter(rng, pick(rng, ((0.96, 0.80, 0.68), (0.80, 0.58, 0.42), (0.50, 0.33, 0.24))))
    hair = pick(rng, ((0.15, 0.10, 0.08), (0.50, 0.30, 0.12), (0.88, 0.70, 0.30)))
    shirt = jitter(rng, pick(rng, PAINT))
    trousers = pick(rng, ((0.18, 0.22, 0.42), (0.30, 0.28, 0.28), (0.52, 0.42, 0.30)))
    for x in (-0.08, 0.08):
        pen.line([(x, 0.42), (x * 1.3, 0.06)], 0.115, trousers)
        pen.line([(x * 1.3, 0.035), (x * 1.3 + 0.04, 0.035)], 0.075, DARK)
    lift = float(rng.uniform(0.0, 0.30))
    for side in (-1.0, 1.0):
        hand = 0.36 + (lift if side > 0 else 0.0)
        elbow = (side * 0.25, 0.53 + 0.3 * (hand - 0.36))
        pen.line([(side * 0.15, 0.69), elbow, (side * 0.28, hand)], 0.085, shirt)
        pen.ellipse(side * 0.28, hand, 0.052, 0.052, skin)
    body = [(-0.18, 0.73), (-0.15, 0.40), (0.15, 0.40), (0.18, 0.73), (0.08, 0.78), (-0.08, 0.78)]
    pen.polygon(body, shirt)
    pen.ellipse(0.0, 0.93, 0.155, 0.165, hair)
    pen.ellipse(0.01, 0.90, 0.125, 0.13, skin, outline=False)
    for x in (-0.04, 0.07):
        pen.ellipse(x, 0.92, 0.022, 0.026, DARK, outline=False)
    pen.line([(-0.03, 0.84), (0.015, 0.83), (0.06, 0.84)], 0.02, (0.65, 0.25, 0.25), outline=False)


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
    rear, front, crank = (-0.32, 0.23), (0.32, 0.23), (-0.04, 0.23)
    seat, head = (-0.14, 0.58), (0.22, 0.60)
    for x, y in (rear, front):
        turn = np.linspace(0.0, 2.0 * np.pi, 25)
        rim = list(
            zip((x + 0.22 * np.cos(turn)).tolist(), (y + 0.22 * np.sin(turn)).tolist(), strict=True)
        )
        pen.line(rim, 0.055, DARK, outline=False)
        for angle in (0.0, 1.05, 2.1):
            dx, dy = 0.2 * float(np.cos(angle)), 0.2 * float(np.sin(angle))
            pen.line([(x - dx, y - dy), (x + dx, y + dy)], 0.014, (0.75, 0.75, 0.78), outline=False)
    for points in (
        [rear, crank, seat, rear],
        [crank, head, seat],
        [head, front],
        [head, (0.20, 0.72)],
    ):
        pen.line(points, 0.055, paint)
    pen.line([(0.14, 0.74), (0.20, 0.72), (0.30, 0.74)], 0.05, DARK)
    pen.line([seat, (-0.15, 0.64)], 0.045, DARK)
    pen.line([(-0.24, 0.66), (-0.06, 0.66)], 0.07, DARK)
    pen.ellipse(crank[0], crank[1], 0.05, 0.05, (0.6, 0.6, 0.62))


def chair(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a chair."""
    wood = jitter(rng, pick(rng, ((0.62, 0.40, 0.20), (0.82, 0.62, 0.38), *PAINT[:3])))
    cushion = jitter(rng, pick(rng, PAINT))
    far = shade(wood, 0.7)
    for x in (-0.20, 0.30):
        pen.line([(x, 0.45), (x, 0.12)], 0.065, far)
    for x in (-0.24, 0.24):
        pen.line([(x, 0.45), (x * 0.95, 1.0)], 0.075, wood)
    for y in (0.66, 0.80, 0.95):
        pen.line([(-0.22, y), (0.22, y)], 0.075, wood)
    pen.polygon([(-0.36, 0.36), (0.28, 0.36), (0.36, 0.50), (-0.26, 0.50)], wood)
    pen.polygon([(-0.31, 0.41), (0.25, 0.41), (0.31, 0.50), (-0.24, 0.50)], cushion, False)
    for x in (-0.32, 0.25):
        pen.line([(x, 0.36), (x, 0.03)], 0.075, wood)


THINGS: dict[str, Callable[[Pen, np.random.Generator], None]] = {
    drawing.__name__: drawing
    for drawing in (
        dog,
        cat,
        horse,
        bird,
        person,
        house,
        tree,
        flower,
        car,
        boat,
        bicycle,
        chair,
    )
}
"""Every thing by the word that names it."""
