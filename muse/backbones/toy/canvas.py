"""Drawing the toy: blurred components, points and paths in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

SIDE = 336
OVERSAMPLING = 3


class Canvas:
    """A square window on the plane, [-extent, extent] each way, drawn three times as large and
    scaled down, so that lines are smooth.

    Args:
        means: of the components, (x, y) each.
        colors: of the components, ``#rrggbb``.
        scale: their standard deviation.
        labels: texts to write, and where.
        extent: half the window's width.
    """

    def __init__(
        self,
        means: Sequence[Sequence[float]],
        colors: Sequence[str],
        scale: float,
        labels: Mapping[str, Sequence[float]],
        extent: float,
    ) -> None:
        self.extent = extent
        frozen = tuple((x, y) for x, y in means)
        self.image = _background(frozen, tuple(colors), scale, extent).copy()
        self.draw = ImageDraw.Draw(self.image)
        font = ImageFont.load_default(11 * OVERSAMPLING)
        for text, (x, y) in labels.items():
            self.draw.text(self._pixel((x, y)), text, fill="#8e8e93", font=font, anchor="mm")

    def path(self, points: Sequence[Sequence[float]]) -> None:
        """Draw the way through `points`, from light to dark."""
        pixels = [self._pixel(point) for point in points]
        for index, (start, stop) in enumerate(pairwise(pixels)):
            shade = round(200 - 170 * index / max(1, len(pixels) - 1))
            self.draw.line((*start, *stop), fill=(shade,) * 3, width=2 * OVERSAMPLING)

    def point(self, point: Sequence[float], color: str, outline: str = "#ffffff") -> None:
        """Draw a dot."""
        x, y = self._pixel(point)
        r = 4 * OVERSAMPLING
        self.draw.ellipse((x - r, y - r, x + r, y + r), color, outline, OVERSAMPLING)

    def picture(self) -> Image.Image:
        """What was drawn, `SIDE` pixels square."""
        return self.image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)

    def _pixel(self, point: Sequence[float]) -> tuple[float, float]:
        x, y = (float(value) for value in point)
        side = SIDE * OVERSAMPLING
        return (side * (x / self.extent + 1) / 2, side * (1 - y / self.extent) / 2)


@lru_cache(maxsize=4)
def _background(
    means: tuple[tuple[float, float], ...], colors: tuple[str, ...], scale: float, extent: float
) -> Image.Image:
    axis = np.linspace(-extent, extent, SIDE)
    x, y = np.meshgrid(axis, -axis)
    paint = np.zeros((SIDE, SIDE, 3))
    cover = np.zeros((SIDE, SIDE))
    for (mx, my), color in zip(means, colors, strict=True):
        density = np.exp(-((x - mx) ** 2 + (y - my) ** 2) / (2 * scale**2))
        paint += density[..., None] * np.array(ImageColor.getrgb(color))
        cover += density
    ink = np.minimum(cover, 1)[..., None] * 0.75
    pixels = 255 * (1 - ink) + ink * paint / np.maximum(cover, 1e-9)[..., None]
    large = (SIDE * OVERSAMPLING, SIDE * OVERSAMPLING)
    return Image.fromarray(pixels.astype(np.uint8)).resize(large, Image.Resampling.BICUBIC)
