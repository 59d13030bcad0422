"""Places without people: beach, forest, mountains, swamp and desert."""

import numpy as np

from muse.mini.draw import Canvas, jitter, mix, pick, shade


def beach(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a beach."""
    sea = jitter(rng, (0.12, 0.50, 0.72))
    sand = jitter(rng, (0.95, 0.84, 0.58))
    shore = horizon + 0.20
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


def forest(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a forest."""
    moss = jitter(rng, (0.24, 0.36, 0.16))
    canvas.gradient(0.0, horizon + 0.08, moss, moss, 0.35)
    floor = horizon + 0.06
    canvas.gradient(floor, 1.0, mix(moss, (0.4, 0.3, 0.16), 0.35), shade(moss, 0.6))
    for depth, count in ((0.55, 9), (0.25, 6), (0.0, 4)):
        bark = jitter(rng, (0.26, 0.18, 0.12), 0.03)
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
                1.0 - depth,
            )
    for _ in range(12):
        x, y = float(rng.uniform(0.0, 1.0)), float(rng.uniform(-0.03, 0.07))
        leaf = shade(moss, float(rng.uniform(0.55, 1.1)))
        canvas.ellipse(x, y, float(rng.uniform(0.09, 0.16)), float(rng.uniform(0.05, 0.09)), leaf)
    for _ in range(6):
        x, y = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.80, 0.99))
        for dx in (-0.05, -0.02, 0.02, 0.05):
            canvas.line([(x, y), (x + dx, y - 0.07)], 0.014, shade(moss, 1.15))


def mountains(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws mountains."""
    rock = jitter(rng, (0.42, 0.45, 0.55))
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


def swamp(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a swamp."""
    water = jitter(rng, (0.36, 0.42, 0.22))
    canvas.gradient(0.0, horizon + 0.05, water, water, 0.2)
    for x in np.linspace(0.06, 0.94, 5).tolist():
        x += float(rng.uniform(-0.06, 0.06))
        bark, top = (0.28, 0.26, 0.18), float(rng.uniform(0.05, 0.25))
        canvas.polygon([(x - 0.04, horizon + 0.04), (x + 0.04, horizon + 0.04), (x, top)], bark)
        for dx in (-0.10, 0.11):
            y = top + float(rng.uniform(0.07, 0.18))
            canvas.line([(x, y + 0.05), (x + dx, y)], 0.016, bark)
            canvas.line([(x + dx, y), (x + dx, y + 0.14)], 0.022, (0.38, 0.44, 0.24))
    canvas.gradient(horizon + 0.02, 1.0, mix(water, (0.75, 0.78, 0.70), 0.3), shade(water, 0.6))
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


def desert(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draws a desert."""
    sand = jitter(rng, (0.94, 0.70, 0.40), 0.04)
    canvas.gradient(horizon + 0.08, 1.0, sand, shade(sand, 0.74))
    xs = np.linspace(0.0, 1.0, 24)
    dunes = ((0.11, 0.09, 0.80, 4.2), (0.06, 0.20, 1.12, 5.4), (0.04, 0.33, 0.92, 3.8))
    for swell, below, tone, pace in dunes:
        crest = horizon + below - swell * np.sin(pace * xs + float(rng.uniform(0.0, 6.0)))
        ridge = list(zip(xs.tolist(), crest.tolist(), strict=True))
        canvas.polygon([*ridge, (1.0, 1.0), (0.0, 1.0)], shade(sand, tone))
        canvas.line(ridge, 0.012, shade(sand, 1.3 * tone))
    side = pick(rng, (0.12, 0.88))
    _cactus(canvas, side, horizon + 0.30, 0.44)
    _cactus(canvas, 1.0 - side + float(rng.uniform(-0.05, 0.05)), horizon + 0.17, 0.28)


def _cactus(canvas: Canvas, x: float, foot: float, height: float) -> None:
    """A saguaro with two raised arms."""
    green = (0.16, 0.48, 0.26)
    reach = 0.22 * height
    left = [(x, foot - 0.38 * height), (x - reach, foot - 0.38 * height)]
    right = [(x, foot - 0.52 * height), (x + reach, foot - 0.52 * height)]
    strokes = (
        [(x, foot), (x, foot - height)],
        [*left, (x - reach, foot - 0.72 * height)],
        [*right, (x + reach, foot - 0.86 * height)],
    )
    for grow, ink in ((0.018, shade(green, 0.4)), (0.0, green)):
        for stroke, share in zip(strokes, (0.19, 0.13, 0.13), strict=True):
            width = share * height + grow
            canvas.line(stroke, width, ink)
            canvas.ellipse(*stroke[-1], width / 2, width / 2, ink)
    canvas.line(
        [(x - 0.03 * height, foot), (x - 0.03 * height, foot - height)], 0.012, (0.5, 0.8, 0.4)
    )
