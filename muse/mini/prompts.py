"""Prompts: those that settings are chosen on, and those that figures are reported on."""

import random

from muse.mini.captions import HELD_OUT, content_caption
from muse.mini.places import PLACES
from muse.mini.things import THINGS


def _drawn() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Two disjoint draws of 20 prompts, of combinations that training showed."""
    known = [(t, p) for t in THINGS for p in PLACES if (t, p) not in HELD_OUT]
    prompts = [content_caption(*pair) for pair in random.Random(0).sample(known, 40)]
    return tuple(prompts[:20]), tuple(prompts[20:])


DEVELOPMENT, TEST_KNOWN = _drawn()
"""20 prompts to choose settings on, and 20 others to report on; training showed such scenes."""

TEST_NEW: tuple[str, ...] = tuple(content_caption(*pair) for pair in sorted(HELD_OUT))
"""20 prompts whose thing and place were never captioned together in training."""
