"""Draw the docs' sheet of the procedural world: a row for every mood, ten contents as columns.

Run `python benchmarks/scenes.py [FILE]`; FILE is docs/scenes.png unless it is given. A cell shows
the first scene with two marks of its mood and none that the mood borrowed from a neighbour.
"""

import itertools
import sys

from PIL import Image

from muse.core.emotions import EMOTIONS
from muse.mini import VARIED, Scene, World, render
from muse.mini.marks import MARKS

CONTENTS = (
    ("dog", "park"),
    ("boat", "beach"),
    ("car", "street"),
    ("rabbit", "forest"),
    ("cat", "cemetery"),
    ("horse", "mountains"),
    ("bicycle", "fairground"),
    ("house", "swamp"),
    ("elephant", "desert"),
    ("umbrella", "stage"),
)
SIDE, GAP = 128, 4
MOODS = {mark.phrase: mark.mood for mark in MARKS}


def typical(seed: int, thing: str, place: str, mood: str, world: World) -> Scene:
    """The first scene from `seed` on that shows two marks of its mood, and no other's."""
    scenes = (render(at, thing, place, mood, world, size=SIDE) for at in itertools.count(seed))
    return next(s for s in scenes if [MOODS[sign] for sign in s.attributes] == [mood, mood])


def main(path: str, world: World = VARIED) -> None:
    """Write the sheet to `path`."""
    cell = SIDE + GAP
    sheet = Image.new("RGB", (len(CONTENTS) * cell - GAP, len(EMOTIONS) * cell - GAP), "white")
    for row, mood in enumerate(EMOTIONS):
        for column, (thing, place) in enumerate(CONTENTS):
            scene = typical(1000 * row + 100 * column, thing, place, mood, world)
            sheet.paste(Image.fromarray(scene.image), (column * cell, row * cell))
    sheet.quantize(255).save(path, optimize=True)  # for a small file


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/scenes.png")
