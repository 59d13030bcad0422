"""The things a prompt can name, each drawn large and clear with a `Pen`."""

from collections.abc import Callable

import numpy as np

from muse.mini.animals import bird, cat, dog, elephant, horse, person, rabbit
from muse.mini.draw import Pen
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
