"""Antialiased drawing on a supersampled canvas: the only place that talks to PIL."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

SIZE = 64
"""Side of a scene in pixels, where nothing else is asked for."""

SUPERSAMPLE = 3
"""Canvas pixels per scene pixel and axis; averaging them antialiases every edge."""

Color = tuple[float, float, float]
Point = tuple[float, float]
T = TypeVar("T")

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
"""Colours that many things share."""

_CIRCLE: tuple[Point, ...] = tuple(
    (math.cos(turn * math.pi / 10.0), math.sin(turn * math.pi / 10.0)) for turn in range(20)
)


def mix(a: Color, b: Color, weight: float) -> Color:
    """Linear blend of two colours in [0, 1]: `a` at weight 0, `b` at weight 1."""
    keep = 1.0 - weight
    return (
        a[0] * keep + b[0] * weight,
        a[1] * keep + b[1] * weight,
        a[2] * keep + b[2] * weight,
    )


def shade(color: Color, factor: float) -> Color:
    """A colour made darker (factor < 1) or moved toward white (factor > 1)."""
    if factor <= 1.0:
        return mix((0.0, 0.0, 0.0), color, factor)
    return mix(color, (1.0, 1.0, 1.0), min(factor - 1.0, 1.0))


def jitter(rng: np.random.Generator, color: Color, amount: float = 0.06) -> Color:
    """`color` with independent uniform noise of at most `amount` in each channel."""
    r, g, b = (
        min(max(channel + noise, 0.0), 1.0)
        for channel, noise in zip(color, rng.uniform(-amount, amount, 3).tolist(), strict=True)
    )
    return (r, g, b)


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of `options`, uniformly."""
    return options[int(rng.integers(len(options)))]


class Canvas:
    """A transparent picture in unit coordinates, x to the right and y down, both in [0, 1].

    Args:
        size: its side in pixels.
    """

    def __init__(self, size: int = SIZE) -> None:
        side = size * SUPERSAMPLE
        self.side = side
        self.image = Image.new("RGBa", (side, side))  # premultiplied: averaging needs no detour
        self.draw = ImageDraw.Draw(self.image)

    def _ink(self, color: Color, alpha: float) -> tuple[int, int, int, int]:
        top = alpha * 255.0
        r, g, b = color
        return (
            int(min(max(r, 0.0), 1.0) * top),
            int(min(max(g, 0.0), 1.0) * top),
            int(min(max(b, 0.0), 1.0) * top),
            int(top),
        )

    def _points(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.side, y * self.side) for x, y in points]

    def polygon(self, points: Sequence[Point], color: Color, alpha: float = 1.0) -> None:
        """A filled polygon."""
        self.draw.polygon(self._points(points), fill=self._ink(color, alpha))

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, color: Color, alpha: float = 1.0
    ) -> None:
        """A filled rectangle from its upper left to its lower right corner."""
        box = (x0 * self.side, y0 * self.side, x1 * self.side, y1 * self.side)
        self.draw.rectangle(box, fill=self._ink(color, alpha))

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, color: Color, alpha: float = 1.0
    ) -> None:
        """A filled ellipse around (x, y)."""
        s = self.side
        box = ((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s)
        self.draw.ellipse(box, fill=self._ink(color, alpha))

    def ring(
        self, x: float, y: float, r: float, width: float, color: Color, alpha: float = 1.0
    ) -> None:
        """A circle's outline."""
        s = self.side
        box = ((x - r) * s, (y - r) * s, (x + r) * s, (y + r) * s)
        pixels = max(1, round(width * s))
        self.draw.ellipse(box, outline=self._ink(color, alpha), width=pixels)

    def line(self, points: Sequence[Point], width: float, color: Color, alpha: float = 1.0) -> None:
        """A polyline with round joints; bare ones where many points make a smooth curve."""
        pixels = max(1, round(width * self.side))
        ink = self._ink(color, alpha)
        joint = "curve" if len(points) < 20 else None
        self.draw.line(self._points(points), fill=ink, width=pixels, joint=joint)

    def gradient(self, y0: float, y1: float, top: Color, bottom: Color, alpha: float = 1.0) -> None:
        """A full-width band that blends from `top` at y0 to `bottom` at y1."""
        first, last = round(y0 * self.side), round(y1 * self.side)
        for y in range(first, last):
            ink = self._ink(mix(top, bottom, (y - first) / (last - first)), alpha)
            self.draw.line([(0, y), (self.side, y)], fill=ink)

    def finish(self) -> np.ndarray:
        """The picture averaged down: (size, size, 4) float32 in [0, 1], premultiplied by alpha."""
        small = np.asarray(self.image.reduce(SUPERSAMPLE), dtype=np.float32)
        small *= 1.0 / 255.0
        return small


class Pen:
    """Draws one thing in its own coordinates: x in about [-0.5, 0.5], y up from the ground at 0.

    Shapes are collected first and drawn by `finish`: once grown and dark, which leaves an outline
    around the whole silhouette, and once filled.
    """

    def __init__(self, canvas: Canvas, x: float, ground: float, scale: float, flip: bool) -> None:
        self.canvas = canvas
        self.x, self.ground, self.scale = x, ground, scale
        self.sign = -1.0 if flip else 1.0
        self.shapes: list[tuple[str, list[Point], float, Color, bool]] = []

    def _place(self, points: Sequence[Point]) -> list[Point]:
        return [
            (self.x + self.sign * px * self.scale, self.ground - py * self.scale)
            for px, py in points
        ]

    def polygon(self, points: Sequence[Point], color: Color, outline: bool = True) -> None:
        """A filled polygon."""
        self.shapes.append(("polygon", self._place(points), 0.0, color, outline))

    def box(
        self, x0: float, y0: float, x1: float, y1: float, color: Color, outline: bool = True
    ) -> None:
        """A filled axis-aligned box between two corners."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, outline)

    def ellipse(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        color: Color,
        angle: float = 0.0,
        outline: bool = True,
    ) -> None:
        """A filled ellipse, turned by `angle` radians against the clock."""
        c, s = math.cos(angle), math.sin(angle)
        points = [(x + c * rx * u - s * ry * v, y + s * rx * u + c * ry * v) for u, v in _CIRCLE]
        self.polygon(points, color, outline)

    def line(
        self, points: Sequence[Point], width: float, color: Color, outline: bool = True
    ) -> None:
        """A polyline with round joints and ends."""
        self.shapes.append(("line", self._place(points), width * self.scale, color, outline))

    def finish(self, outline: float = 0.014, darkness: float = 0.25) -> None:
        """Draws the silhouette's outline, then the shapes in their order."""
        for kind, points, width, color, outlined in self.shapes:
            if outlined:
                self._draw(kind, points, width, shade(color, darkness), outline)
        for kind, points, width, color, _ in self.shapes:
            self._draw(kind, points, width, color, 0.0)

    def _draw(
        self, kind: str, points: list[Point], width: float, color: Color, grow: float
    ) -> None:
        if kind == "line":
            self.canvas.line(points, width + 2.0 * grow, color)
            cap = 0.5 * width + grow
            for px, py in (points[0], points[-1]):
                self.canvas.ellipse(px, py, cap, cap, color)
            return
        self.canvas.polygon(points, color)
        if grow > 0.0:
            self.canvas.line([*points, points[0], points[1]], 2.0 * grow, color)
