"""Distributions of scenes: which mood a place is in, and what the mood looks like.

Neighbours on Mikels' wheel borrow from each other: a palette is blended toward a neighbour's, and
a neighbour's marks appear too, so that similar emotions are really confusable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from muse.core.emotions import EMOTIONS, neighbours
from muse.mini.marks import MARKS, Mark
from muse.mini.moods import PALETTES, Palette

WorldName = Literal["main", "fi-like", "varied", "varied-fi"]
Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """One drawing of a mood: its palette and the marks that appear."""

    palette: Palette
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class World:
    """A distribution of moods and of their looks; things and places are the same in all.

    Args:
        palettes: one for every emotion.
        inherent_share: P(mood | place) of the place's inherent emotion, in [0, 1]; the other
            seven share the rest equally.
        mark_share: factor of every mark's probability, in [0, 1].
        borrowed: a neighbour's mark appears with this share of its own probability, in [0, 1].
        blend: Beta parameters of the weight with which a palette moves toward a neighbour's.
        layouts: how many layouts a place or a mark comes in, 1 or more.
        mirrored: whether half of the places and marks are drawn as in a mirror.
        scale: the least and the largest side of a thing's box.
        across: where the box's middle stands, from left (0) to right (1).
    """

    palettes: Mapping[str, Palette]
    inherent_share: float
    mark_share: float
    borrowed: float
    blend: tuple[float, float]
    layouts: int = 6
    mirrored: bool = False
    scale: Range = (0.61, 0.67)
    across: Range = (0.45, 0.55)

    def draw_mood(self, inherent: str, rng: np.random.Generator) -> str:
        """Draws the mood of a place whose inherent emotion is given."""
        if rng.random() < self.inherent_share:
            return inherent
        others = [emotion for emotion in EMOTIONS if emotion != inherent]
        return others[int(rng.integers(len(others)))]

    def draw_look(self, mood: str, rng: np.random.Generator) -> Look:
        """Draws palette and marks for a mood."""
        near = neighbours(mood)
        other = near[int(rng.integers(2))]
        weight = float(rng.beta(*self.blend))
        palette = self.palettes[mood].toward(self.palettes[other], weight)
        marks = []
        for mark, chance in zip(MARKS, rng.random(len(MARKS)).tolist(), strict=True):
            share = 1.0 if mark.mood == mood else self.borrowed if mark.mood in near else 0.0
            if chance < share * self.mark_share * mark.probability:
                marks.append(mark)
        return Look(palette, tuple(marks))


MAIN = World(palettes=PALETTES, inherent_share=0.5, mark_share=1.0, borrowed=0.3, blend=(1.0, 1.4))
"""Scenes that a model of 64 pixels can afford: what muse-mini was trained on at first."""

FI_LIKE = World(
    palettes={mood: palette.recoloured(0.55, 0.65, 0.08) for mood, palette in PALETTES.items()},
    inherent_share=0.3,
    mark_share=0.75,
    borrowed=0.2,
    blend=(1.0, 2.0),
)
"""Other colours, fewer marks and freer moods, as FI differs from EmoSet: for cross-data judges."""

_MORE: dict[str, Any] = {
    "layouts": 12,
    "mirrored": True,
    "scale": (0.56, 0.68),
    "across": (0.42, 0.58),
}
VARIED = replace(MAIN, **_MORE)
"""The main world with more layouts and positions: what muse-mini is trained on, at 128 pixels."""

SIDE = 128
"""Of muse-mini's pictures and of the scenes that it learned from, in pixels."""

VARIED_FI = replace(FI_LIKE, **_MORE)
"""The same of the other colours and freer moods."""

WORLDS: dict[WorldName, World] = {
    "main": MAIN,
    "fi-like": FI_LIKE,
    "varied": VARIED,
    "varied-fi": VARIED_FI,
}
"""Every world by its name."""
