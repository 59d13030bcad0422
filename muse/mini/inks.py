"""Colours that many things share."""

from muse.mini.draw import Color

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
