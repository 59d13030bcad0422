"""What a prompt can name: things, drawn large and clear, in places that fill the frame below the
mood's sky.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from muse.mini.animals import bird, cat, dog, elephant, horse, person, rabbit
from muse.mini.draw import Canvas, Pen
from muse.mini.nature import beach, desert, forest, mountains, swamp
from muse.mini.objects import (
    bicycle,
    boat,
    car,
    chair,
    flower,
    house,
    lighthouse,
    tree,
    umbrella,
)
from muse.mini.town import cemetery, fairground, park, stage, street


@dataclass(frozen=True)
class Place:
    """How a place is drawn, how a caption says that something is there, and how it feels.

    Args:
        draw: `(canvas, rng, horizon)`; leaves the sky above the horizon transparent.
        phrase: the caption's words, e.g. "in a park".
        inherent: the emotion that the place leans to when nothing else is said.
    """

    draw: Callable[[Canvas, np.random.Generator, float], None]
    phrase: str
    inherent: str


PLACES: dict[str, Place] = {
    "park": Place(park, "in a park", "contentment"),
    "beach": Place(beach, "on a beach", "excitement"),
    "street": Place(street, "on a street", "anger"),
    "forest": Place(forest, "in a forest", "fear"),
    "cemetery": Place(cemetery, "in a cemetery", "sadness"),
    "mountains": Place(mountains, "in the mountains", "awe"),
    "fairground": Place(fairground, "at a fairground", "amusement"),
    "swamp": Place(swamp, "in a swamp", "disgust"),
    "desert": Place(desert, "in a desert", "awe"),
    "stage": Place(stage, "on a stage", "excitement"),
}
"""Every place by the word that names it; each of the eight emotions is inherent in some."""

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
        elephant,
        rabbit,
        umbrella,
        lighthouse,
    )
}
"""Every thing by the word that names it."""
