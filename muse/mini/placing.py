"""Where marks may go: outside the box that the thing takes up."""

import numpy as np

from muse.mini.draw import Point

Box = tuple[float, float, float, float]
"""Left, top, right, bottom of the thing, in unit coordinates."""


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


def free_points(
    rng: np.random.Generator, box: Box, count: int, top: float, bottom: float, margin: float
) -> list[Point]:
    """Up to `count` random points as `_free` finds them; one that finds no room is left out."""
    tries = (_free(rng, box, top, bottom, margin) for _ in range(count))
    return [point for point in tries if point is not None]
