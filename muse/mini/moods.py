"""The palettes of the eight moods: the sky's colours, and the grade of everything below it."""

from dataclasses import dataclass, replace

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Palette:
    """Light and colour of a mood: twelve sky and tone channels, then saturation to strength.

    Args:
        sky: colour at the zenith and at the horizon.
        shadow, light: what dark and bright tones are tinted toward.
        saturation, contrast, gain: factors of the plain colours.
        strength: how far the tint goes, 0 (not at all) to 1.
    """

    sky: np.ndarray
    shadow: np.ndarray
    light: np.ndarray
    saturation: float
    contrast: float
    gain: float
    strength: float

    def toward(self, other: "Palette", weight: float) -> "Palette":
        """The linear blend with `other` at `weight` in [0, 1]."""

        def blend(a: float, b: float) -> float:
            return (1.0 - weight) * a + weight * b

        return Palette(
            sky=(1.0 - weight) * self.sky + weight * other.sky,
            shadow=(1.0 - weight) * self.shadow + weight * other.shadow,
            light=(1.0 - weight) * self.light + weight * other.light,
            saturation=blend(self.saturation, other.saturation),
            contrast=blend(self.contrast, other.contrast),
            gain=blend(self.gain, other.gain),
            strength=blend(self.strength, other.strength),
        )

    def grading(self, strength: float = 1.0) -> np.ndarray:
        """The grade as a (4, 3) float32 matrix; `strength` scales the tint and the darkening.

        It maps red, green, blue and alpha, premultiplied, to the graded colour: saturation, then
        contrast around grey, then the tint by brightness, then the gain.
        """
        tint = self.strength * strength
        gain = 1.0 + (self.gain - 1.0) * strength
        spread = self.contrast * (1.0 - tint)
        matrix = np.empty((4, 3), dtype=np.float32)
        matrix[:3] = spread * self.saturation * np.eye(3)
        matrix[:3] += spread * (1.0 - self.saturation) * LUMA[:, None]
        matrix[:3] += tint * LUMA[:, None] * (self.light - self.shadow)
        matrix[3] = (1.0 - tint) * 0.5 * (1.0 - self.contrast) + tint * self.shadow
        return matrix * np.float32(gain)

    def recoloured(self, hue: float, saturation: float, lightness: float) -> "Palette":
        """The palette with other colours.

        Args:
            hue: turn of every colour around grey, in radians.
            saturation: factor of every colour's distance from grey.
            lightness: what is added to every colour, in [-1, 1].
        """
        axis = np.full((3, 3), 1.0 / 3.0)
        cross = np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]]) / np.sqrt(3.0)
        turn = np.cos(hue) * (np.eye(3) - axis) + np.sin(hue) * cross
        matrix = (axis + saturation * turn).astype(np.float32)

        def move(color: np.ndarray) -> np.ndarray:
            return np.clip(color @ matrix + lightness, 0.0, 1.0).astype(np.float32)

        return replace(
            self,
            sky=move(self.sky),
            shadow=move(self.shadow),
            light=move(self.light),
            saturation=self.saturation * saturation,
        )


def _palette(
    zenith: tuple[float, float, float],
    horizon: tuple[float, float, float],
    shadow: tuple[float, float, float],
    light: tuple[float, float, float],
    saturation: float,
    contrast: float,
    gain: float,
    strength: float,
) -> Palette:
    return Palette(
        np.array([zenith, horizon], dtype=np.float32),
        np.array(shadow, dtype=np.float32),
        np.array(light, dtype=np.float32),
        saturation,
        contrast,
        gain,
        strength,
    )


PALETTES: dict[str, Palette] = {
    "amusement": _palette(
        (0.40, 0.80, 1.0),
        (1.0, 0.84, 0.94),
        (0.45, 0.10, 0.40),
        (1.0, 0.95, 0.80),
        1.45,
        1.05,
        1.08,
        0.15,
    ),
    "contentment": _palette(
        (0.58, 0.80, 0.90),
        (1.0, 0.92, 0.70),
        (0.36, 0.30, 0.14),
        (1.0, 0.94, 0.72),
        0.95,
        0.90,
        1.04,
        0.32,
    ),
    "awe": _palette(
        (0.13, 0.10, 0.42),
        (0.96, 0.62, 0.50),
        (0.10, 0.06, 0.36),
        (0.88, 0.76, 1.0),
        1.05,
        1.10,
        0.95,
        0.45,
    ),
    "excitement": _palette(
        (0.95, 0.12, 0.58),
        (1.0, 0.72, 0.12),
        (0.45, 0.0, 0.36),
        (1.0, 0.82, 0.25),
        1.55,
        1.20,
        1.0,
        0.32,
    ),
    "fear": _palette(
        (0.02, 0.04, 0.09),
        (0.10, 0.19, 0.22),
        (0.0, 0.02, 0.05),
        (0.36, 0.52, 0.56),
        0.50,
        1.05,
        0.62,
        0.60,
    ),
    "sadness": _palette(
        (0.40, 0.46, 0.54),
        (0.68, 0.72, 0.77),
        (0.12, 0.16, 0.24),
        (0.70, 0.75, 0.82),
        0.30,
        0.92,
        0.85,
        0.52,
    ),
    "disgust": _palette(
        (0.44, 0.50, 0.13),
        (0.78, 0.78, 0.30),
        (0.15, 0.18, 0.02),
        (0.82, 0.84, 0.36),
        0.80,
        0.95,
        0.92,
        0.55,
    ),
    "anger": _palette(
        (0.24, 0.0, 0.02),
        (0.88, 0.20, 0.05),
        (0.14, 0.0, 0.0),
        (1.0, 0.42, 0.20),
        1.10,
        1.25,
        0.85,
        0.55,
    ),
}
"""The palette of every mood."""
