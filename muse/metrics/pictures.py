"""The pictures of a run's arms, as metrics take them; what can't be read is kept in mind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from muse.core.types import MuseError
from muse.metrics.base import Made
from muse.runs.finished import load
from muse.runs.records import Record, wants_less

Arm: TypeAlias = Callable[[Record], Path | None]
"""Where the picture of a record lies; None where there is none."""


class Pictures:
    """The pictures of some records, each read once.

    Args:
        arms: whose pictures.
        base: the arm that others are compared with.
        sources: whether the pictures that were edited are read too.
        device: where they go.

    Attributes:
        unreadable: the files that can't be read, and why.
    """

    def __init__(self, arms: Mapping[str, Arm], base: str, sources: bool, device: str) -> None:
        self.arms, self.base, self.sources, self.device = arms, base, sources, device
        self.unreadable: dict[Path, str] = {}
        self.kept: dict[tuple[Path, tuple[int, ...]], Tensor | None] = {}

    def forget(self) -> None:
        """Let go of the pictures read so far."""
        self.kept.clear()

    def made(self, record: Record, arm: str) -> Made | None:
        """A record's picture of an arm; None where there is none that can be read."""
        path, plain = self.arms[arm](record), None
        image = None if path is None else self._read(path)
        if image is None:
            return None
        source = None
        if self.sources and record["image"]:
            source = self._read(Path(record["image"]), tuple(image.shape[-2:]))
            if source is None:
                return None
        if self.base in self.arms:
            base = self.arms[self.base](record)
            plain = None if base is None else self._read(base)
        less = wants_less(record)
        return Made(record["prompt"], record["target"], image, source, plain, less)

    def _read(self, path: Path, size: tuple[int, ...] = ()) -> Tensor | None:
        if (path, size) not in self.kept:
            try:
                self.kept[path, size] = load(path, size).to(self.device)
            except MuseError as error:
                self.kept[path, size] = None
                self.unreadable[path] = str(error)
        return self.kept[path, size]
