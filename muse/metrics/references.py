"""Pictures that sets are compared with: a folder, a run's arm, rendered scenes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.metrics.pictures import Arm
from muse.mini.captions import content_caption
from muse.mini.catalog import PLACES, THINGS
from muse.mini.content import named
from muse.mini.scenes import render
from muse.mini.world import SIDE, WORLDS, WorldName
from muse.runs.finished import FinishedRun, load

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""What the names of pictures end in."""


class Reference(ABC):
    """A set of pictures that others are compared with.

    Attributes:
        told: what it is, in words, such as ``pictures of coco``.
    """

    told: str

    @abstractmethod
    def pictures(self) -> Iterator[Tensor]:
        """Each picture, (3, H, W) in [0, 1]; they may differ in size.

        Raises:
            MuseError: a file that can't be read as a picture.
        """


class PictureFolder(Reference):
    """The pictures in a folder and in the folders inside it.

    Args:
        folder: where they lie.
        count: take the first so many, by name; None takes all.

    Raises:
        MuseError: no such folder, or no picture in it.
    """

    def __init__(self, folder: str, count: int | None = None) -> None:
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURES)
        if not files:
            raise MuseError(
                f"No pictures in {folder!r}. Give a folder of files that end in "
                f"{', '.join(PICTURES)}."
            )
        self.files = files[:count]
        self.told = f"pictures of {Path(folder).resolve().name}"

    def pictures(self) -> Iterator[Tensor]:
        """Each in its own size."""
        yield from map(load, self.files)


class RunPictures(Reference):
    """The pictures of a run's arm, each once: a plain one may stand for several jobs.

    Args:
        folder: the run's.
        arm: ``plain`` or ``steered``.

    Raises:
        MuseError: no run in the folder, or no such arm.
    """

    def __init__(self, folder: str, arm: str = "plain") -> None:
        run = FinishedRun.open(Path(folder))
        if arm not in run.arms:
            raise MuseError(
                f"The run in {folder!r} has no pictures {arm!r}. It has: {', '.join(run.arms)}."
            )
        of: Arm = run.arms[arm]
        self.files = list(dict.fromkeys(path for path in map(of, run.records) if path is not None))
        self.told = f"{arm} pictures of {Path(folder).resolve().name}"

    def pictures(self) -> Iterator[Tensor]:
        """Each in its own size."""
        yield from map(load, self.files)


class RenderedScenes(Reference):
    """Scenes of muse-mini's world, rendered anew: what its pictures should look like.

    Args:
        count: how many.
        world: ``varied`` is what muse-mini is trained on.
        size: their side in pixels; muse-mini's is 128.
        seed: the first scene's; the next ones have the next seeds. Training used those from 0.
        prompts: the scenes show what these name, in turn, in all eight moods alike; None leaves
            things, places and moods to the world. For pictures of few prompts, which differ from
            the world in what they show.

    Raises:
        MuseError: a world that there isn't, or a prompt that names no thing in a place.
    """

    def __init__(
        self,
        count: int = 2_000,
        world: WorldName = "varied",
        size: int = SIDE,
        seed: int = 900_000_000,
        prompts: Sequence[str] | None = None,
    ) -> None:
        if world not in WORLDS:
            raise MuseError(f"There is no world {world!r}. Allowed: {', '.join(WORLDS)}.")
        self.count, self.world, self.size, self.seed = count, world, size, seed
        self.contents = None if prompts is None else [_content(prompt) for prompt in prompts]
        of = "" if prompts is None else f" of {len(prompts)} prompts"
        self.told = f"rendered scenes{of} ({world}, {size} px)"

    def pictures(self) -> Iterator[Tensor]:
        """Each (3, size, size)."""
        for i in range(self.count):
            thing = place = mood = None
            if self.contents is not None:
                thing, place = self.contents[i % len(self.contents)]
                mood = EMOTIONS[i // len(self.contents) % len(EMOTIONS)]
            yield _scene(self.seed + i, thing, place, mood, self.world, self.size).float() / 255


@lru_cache(maxsize=2_000)  # metrics side by side have the same ones; 100 MB at 128 px
def _scene(
    seed: int, thing: str | None, place: str | None, mood: str | None, world: WorldName, size: int
) -> Tensor:
    """(3, size, size), in bytes."""
    scene = render(seed, thing, place, mood, WORLDS[world], all_pairs=True, size=size)
    return torch.from_numpy(scene.image).permute(2, 0, 1)


def _content(prompt: str) -> tuple[str, str]:
    thing, place = named(prompt, list(THINGS)), named(prompt, list(PLACES))
    if thing is None or place is None:
        example = content_caption("dog", "park")
        raise MuseError(
            f"The prompt {prompt!r} names no single thing in a place of muse-mini's world. Give "
            f"prompts such as {example!r}."
        )
    return thing, place
