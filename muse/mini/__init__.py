"""muse-mini: a procedural world, and what it takes to train the small pipeline that ships."""

from muse.mini.captions import HELD_OUT, content_caption
from muse.mini.catalog import PLACES, THINGS
from muse.mini.data import SceneData
from muse.mini.scenes import Scene, render, render_many
from muse.mini.tokenizer import save_tokenizer
from muse.mini.world import FI_LIKE, MAIN, VARIED, WORLDS, World

__all__ = [
    "FI_LIKE",
    "HELD_OUT",
    "MAIN",
    "PLACES",
    "THINGS",
    "VARIED",
    "WORLDS",
    "Scene",
    "SceneData",
    "World",
    "content_caption",
    "render",
    "render_many",
    "save_tokenizer",
]
