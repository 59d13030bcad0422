"""Things that live: six animals and a person."""

import numpy as np

from muse.mini.draw import DARK, PAINT, WHITE, Color, Pen, jitter, pick, shade

FUR: tuple[Color, ...] = (
    (0.70, 0.43, 0.20),
    (0.90, 0.70, 0.40),
    (0.95, 0.92, 0.86),
    (0.60, 0.60, 0.63),
)


def dog(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a dog from the side: big head, hanging ear, long muzzle, tail up, red collar."""
    fur = jitter(rng, pick(rng, FUR), 0.04)
    ear = shade(fur, 0.5)
    pen.line([(-0.36, 0.48), (-0.47, 0.60), (-0.46, 0.82)], 0.11, fur)
    for x in (-0.18, 0.20):
        pen.line([(x, 0.32), (x, 0.06)], 0.12, shade(fur, 0.72))
    pen.ellipse(-0.06, 0.42, 0.38, 0.19, fur)
    for x in (-0.34, 0.06):
        pen.line([(x, 0.34), (x, 0.06), (x + 0.05, 0.06)], 0.13, fur)
    pen.polygon([(0.02, 0.50), (0.14, 0.80), (0.40, 0.60), (0.26, 0.34)], fur)
    pen.line([(0.10, 0.53), (0.30, 0.47)], 0.08, (0.90, 0.12, 0.12), outline=False)
    pen.ellipse(0.28, 0.77, 0.22, 0.21, fur)
    pen.ellipse(0.49, 0.68, 0.17, 0.11, shade(fur, 1.25))
    pen.ellipse(0.13, 0.70, 0.095, 0.22, ear, angle=-0.15)
    pen.ellipse(0.63, 0.73, 0.06, 0.05, DARK, outline=False)
    pen.ellipse(0.36, 0.83, 0.045, 0.05, DARK, outline=False)


def cat(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a sitting cat from the front: pointed ears, wide face, tail in a curl."""
    fur = jitter(rng, pick(rng, ((0.96, 0.58, 0.18), (0.42, 0.42, 0.48), FUR[2], FUR[3])), 0.04)
    light = shade(fur, 1.4)
    pen.line([(0.16, 0.08), (0.42, 0.10), (0.49, 0.30), (0.40, 0.48)], 0.12, fur)
    pen.ellipse(0.0, 0.25, 0.28, 0.27, fur)
    pen.ellipse(0.0, 0.22, 0.14, 0.18, light, outline=False)
    for x in (-0.12, 0.12):
        pen.ellipse(x, 0.06, 0.11, 0.065, fur)
    for side in (-1.0, 1.0):
        pen.polygon([(side * 0.34, 0.66), (side * 0.33, 1.10), (side * 0.04, 0.90)], fur)
        inner = [(side * 0.27, 0.82), (side * 0.27, 0.99), (side * 0.13, 0.89)]
        pen.polygon(inner, (0.95, 0.58, 0.60), outline=False)
    pen.ellipse(0.0, 0.69, 0.35, 0.25, fur)
    eye = pick(rng, ((0.55, 0.90, 0.20), (0.98, 0.82, 0.15)))
    for x in (-0.15, 0.15):
        pen.ellipse(x, 0.72, 0.085, 0.08, eye, outline=False)
        pen.ellipse(x, 0.72, 0.032, 0.075, DARK, outline=False)
    pen.ellipse(0.0, 0.57, 0.12, 0.065, light, outline=False)
    pen.polygon([(-0.06, 0.63), (0.06, 0.63), (0.0, 0.56)], (0.88, 0.35, 0.42), outline=False)


def horse(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a horse from the side: long legs, arched neck with a mane, long face."""
    coat = jitter(rng, pick(rng, ((0.66, 0.34, 0.14), (0.85, 0.60, 0.32), FUR[2])), 0.04)
    mane = (0.16, 0.10, 0.08) if coat[2] < 0.5 else (0.55, 0.40, 0.28)
    pen.line([(-0.40, 0.70), (-0.54, 0.62), (-0.56, 0.30)], 0.12, mane)
    for x in (-0.24, 0.08):
        pen.line([(x, 0.50), (x + 0.05, 0.05)], 0.08, shade(coat, 0.65))
    pen.ellipse(-0.12, 0.62, 0.34, 0.165, coat)
    for x in (-0.38, 0.15):
        pen.line([(x, 0.58), (x, 0.05)], 0.095, coat)
        pen.line([(x, 0.06), (x + 0.02, 0.05)], 0.10, DARK)
    pen.polygon([(-0.04, 0.70), (0.20, 0.50), (0.42, 1.02), (0.24, 1.14)], coat)
    pen.polygon([(-0.10, 0.74), (0.08, 1.06), (0.26, 1.19), (0.29, 1.08), (0.10, 0.78)], mane)
    pen.polygon([(0.25, 1.12), (0.30, 1.27), (0.38, 1.12)], coat)
    pen.line([(0.33, 1.04), (0.58, 0.84)], 0.165, coat)
    pen.line([(0.58, 0.84), (0.60, 0.825)], 0.15, shade(coat, 0.62), outline=False)
    pen.ellipse(0.37, 1.06, 0.036, 0.038, DARK, outline=False)


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


def elephant(pen: Pen, rng: np.random.Generator) -> None:
    """Draws an elephant from the side: a great body, a round ear, a trunk to the ground."""
    skin = jitter(
        rng, pick(rng, ((0.58, 0.60, 0.66), (0.50, 0.54, 0.64), (0.68, 0.62, 0.60))), 0.03
    )
    pen.line([(-0.48, 0.56), (-0.58, 0.34)], 0.05, skin)
    for x in (-0.20, 0.14):
        pen.line([(x, 0.32), (x, 0.07)], 0.16, shade(skin, 0.7))
    pen.ellipse(-0.12, 0.50, 0.42, 0.31, skin)
    for x in (-0.36, 0.02):
        pen.line([(x, 0.36), (x, 0.08)], 0.185, skin)
    pen.line([(0.48, 0.56), (0.58, 0.34), (0.56, 0.12), (0.65, 0.10)], 0.125, skin)
    pen.ellipse(0.32, 0.66, 0.25, 0.25, skin)
    pen.line([(0.41, 0.47), (0.52, 0.37)], 0.06, WHITE)
    pen.ellipse(0.13, 0.66, 0.20, 0.26, shade(skin, 0.78))
    pen.ellipse(0.13, 0.65, 0.12, 0.17, (0.86, 0.62, 0.64), outline=False)
    pen.ellipse(0.43, 0.73, 0.04, 0.045, DARK, outline=False)


def rabbit(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a sitting rabbit from the side: tall ears, round back, white tail."""
    fur = jitter(rng, pick(rng, ((0.72, 0.54, 0.38), (0.96, 0.94, 0.92), (0.62, 0.62, 0.66))), 0.04)
    pen.ellipse(-0.42, 0.20, 0.12, 0.12, WHITE)
    for x, lean, ink in ((0.08, 0.30, shade(fur, 0.75)), (0.22, 0.02, fur)):
        pen.ellipse(x, 0.94, 0.085, 0.29, ink, angle=lean)
        pen.ellipse(x, 0.94, 0.04, 0.20, (0.95, 0.62, 0.66), angle=lean, outline=False)
    pen.ellipse(-0.10, 0.29, 0.34, 0.28, fur)
    pen.line([(0.17, 0.32), (0.20, 0.06), (0.28, 0.06)], 0.11, fur)
    pen.ellipse(0.24, 0.60, 0.23, 0.20, fur)
    pen.ellipse(-0.12, 0.20, 0.20, 0.17, shade(fur, 0.82), outline=False)
    pen.line([(-0.20, 0.06), (0.06, 0.06)], 0.12, fur)
    pen.ellipse(0.32, 0.65, 0.05, 0.058, DARK, outline=False)
    pen.ellipse(0.45, 0.58, 0.045, 0.04, (0.92, 0.42, 0.48), outline=False)


def person(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a person from the front: a big head, a bright shirt, one arm raised in a wave."""
    skin = pick(rng, ((0.98, 0.82, 0.68), (0.84, 0.60, 0.42), (0.56, 0.37, 0.26)))
    hair = pick(rng, ((0.15, 0.10, 0.08), (0.50, 0.28, 0.10)))
    shirt = jitter(rng, pick(rng, PAINT[:4]), 0.04)
    trousers = (0.16, 0.20, 0.42)
    for x in (-0.11, 0.11):
        pen.line([(x, 0.36), (x, 0.06)], 0.165, trousers)
        pen.line([(x - 0.02, 0.035), (x + 0.04, 0.035)], 0.08, DARK)
    pen.line([(-0.16, 0.58), (-0.33, 0.34)], 0.125, shirt)
    pen.ellipse(-0.34, 0.32, 0.075, 0.075, skin)
    pen.line([(0.16, 0.58), (0.35, 0.80)], 0.125, shirt)
    pen.ellipse(0.37, 0.83, 0.08, 0.08, skin)
    pen.polygon([(-0.19, 0.65), (-0.21, 0.32), (0.21, 0.32), (0.19, 0.65)], shirt)
    pen.ellipse(0.0, 0.87, 0.23, 0.23, hair)
    pen.ellipse(0.0, 0.83, 0.19, 0.18, skin, outline=False)
    for x in (-0.08, 0.08):
        pen.ellipse(x, 0.85, 0.034, 0.04, DARK, outline=False)
    pen.line([(-0.06, 0.75), (0.0, 0.735), (0.06, 0.75)], 0.035, (0.75, 0.22, 0.22), outline=False)
