"""The marks of a mood: balloons, rain, eyes in the dark, ... Most are drawn behind the thing.

A mark gets the box that the thing takes up and keeps out of it, or is thin enough to see through:
a mood never hides what the prompt names.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from muse.mini.bright_marks import (
    balloons,
    bunting,
    butterflies,
    clouds,
    confetti,
    fireworks,
    planet,
    rays,
    sparkles,
    stars,
    sun,
    sunburst,
)
from muse.mini.dark_marks import (
    branches,
    bubbles,
    dark_clouds,
    eyes,
    fire,
    flies,
    fog,
    leaves,
    lightning,
    moon,
    rain,
    slime,
    smoke,
)
from muse.mini.draw import Canvas
from muse.mini.placing import Box


@dataclass(frozen=True)
class Mark:
    """One sign of a mood.

    Args:
        draw: `(canvas, rng, box)`, with the thing's box.
        phrase: how a caption says it, e.g. "in the rain".
        mood: the emotion it belongs to.
        probability: how often it appears in scenes of that mood.
        front: drawn over the thing (thin or at the edges), not behind it.
    """

    draw: Callable[[Canvas, np.random.Generator, Box], None]
    phrase: str
    mood: str
    probability: float
    front: bool = False


MARKS: tuple[Mark, ...] = (
    Mark(rays, "in rays of light", "awe", 0.50),
    Mark(sunburst, "with a bright burst", "excitement", 0.45),
    Mark(sun, "in the sun", "contentment", 0.60),
    Mark(planet, "under a great planet", "awe", 0.45),
    Mark(stars, "under the stars", "awe", 0.60),
    Mark(moon, "in the moonlight", "fear", 0.45),
    Mark(clouds, "under white clouds", "contentment", 0.55),
    Mark(dark_clouds, "under dark clouds", "sadness", 0.55),
    Mark(lightning, "with lightning", "anger", 0.50),
    Mark(smoke, "in the smoke", "anger", 0.45),
    Mark(fireworks, "with fireworks", "excitement", 0.65),
    Mark(bunting, "with flags", "amusement", 0.45),
    Mark(balloons, "with balloons", "amusement", 0.70),
    Mark(eyes, "with eyes in the dark", "fear", 0.65),
    Mark(fire, "in the fire", "anger", 0.65),
    Mark(slime, "with slime", "disgust", 0.65),
    Mark(bubbles, "with green bubbles", "disgust", 0.45),
    Mark(confetti, "with confetti", "amusement", 0.50, front=True),
    Mark(sparkles, "with sparkles", "excitement", 0.45, front=True),
    Mark(butterflies, "with butterflies", "contentment", 0.50, front=True),
    Mark(flies, "with flies", "disgust", 0.55, front=True),
    Mark(leaves, "with dead leaves", "sadness", 0.40, front=True),
    Mark(branches, "behind bare branches", "fear", 0.50, front=True),
    Mark(fog, "in the fog", "sadness", 0.35, front=True),
    Mark(rain, "in the rain", "sadness", 0.65, front=True),
)
"""Every mark, in the order of drawing."""
