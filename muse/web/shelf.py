"""The runs on this machine that the page shows, and what is found in them.

Names that visitors send are looked up in what was found; nothing is read outside of the folder, not
by a link in it either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from muse.core.types import MuseError
from muse.runs.records import LONG, Layout, Record, is_plain, on_target, read_record

Right: TypeAlias = Literal["all", "right", "wrong"]
DEPTH = 4
"""Folders below the shelf's that are looked into."""


@dataclass(frozen=True)
class Found:
    """A picture of a run.

    Attributes:
        run: the run's name.
        name: the picture's; of a plain one that nothing is compared with, ``plain/`` and its own.
        picture: its PNG.
        plain: the plain twin's, or the photo that was edited; None where there is none.
        record: without what is long.
    """

    run: str
    name: str
    picture: Path
    plain: Path | None
    record: Record


class Shelf:
    """Folders of runs.

    Args:
        folder: they lie in it, or below.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._known: dict[Path, tuple[float, Record]] = {}

    def runs(self) -> dict[str, Path]:
        """Name -> folder, those that were written to last first."""
        found = {str(path.relative_to(self.folder)): path for path in _runs(self.folder, DEPTH)}
        newest = sorted(found, key=lambda name: -(found[name] / "records").stat().st_mtime)
        return {name: found[name] for name in newest}

    def search(
        self, run: str, words: str = "", emotion: str = "", right: Right = "all"
    ) -> list[Found]:
        """Pictures of a run.

        Args:
            run: its name.
            words: all of them are in the prompt.
            emotion: the target holds it; ``plain`` is none, empty is any.
            right: whether the guide's likeliest emotion is the target's.

        Raises:
            MuseError: no such run.
        """
        layout = self._layout(run)
        wanted = words.lower().split()
        found = []
        for name, path in self._records(layout).items():
            record = self._short(path)
            if record is None or not self._fits(record, wanted, emotion, right):
                continue
            picture = layout.picture(path.stem, plain=name != path.stem)
            if self._inside(picture):
                found.append(Found(run, name, picture, self._before(layout, record), record))
        return found

    def record(self, run: str, name: str) -> Record:
        """All of a picture's record.

        Raises:
            MuseError: no such run or picture.
        """
        layout = self._layout(run)
        found = self._records(layout)
        if name not in found or not self._inside(found[name]):
            raise MuseError(f"There is no picture {name[:60]!r} in {run!r}. Search again.")
        return _read(found[name])

    def _layout(self, run: str) -> Layout:
        runs = self.runs()
        if run not in runs:
            raise MuseError(f"There is no run {run[:60]!r} here. Choose one from the list.")
        return Layout(runs[run])

    def _records(self, layout: Layout) -> dict[str, Path]:
        """Name -> record, of the steered pictures and of plain ones that are nobody's twin."""
        found = {path.stem: path for path in sorted(layout.records.glob("*.json"))}
        twins = {self._kept(path).get("plain") for path in found.values()}
        plain = sorted(layout.plain_records.glob("*.json"))
        return found | {f"plain/{path.stem}": path for path in plain if path.stem not in twins}

    def _short(self, path: Path) -> Record | None:
        """A finished picture's record without what is long."""
        record = self._kept(path)
        return record if record.get("status") == "done" else None

    def _kept(self, path: Path) -> Record:
        """A record without what is long, read once as long as the file stays as it is; empty where
        it is damaged.
        """
        time = path.stat().st_mtime
        if path not in self._known or self._known[path][0] != time:
            try:
                whole = _read(path) if self._inside(path) else {}
            except MuseError:  # one that is damaged hides itself alone
                whole = {}
            kept = {key: value for key, value in whole.items() if key not in LONG}
            self._known[path] = time, kept
        return self._known[path][1]

    def _fits(self, record: Record, words: list[str], emotion: str, right: Right) -> bool:
        prompt = str(record.get("prompt", "")).lower()
        if not all(word in prompt for word in words):
            return False
        if emotion and emotion not in (record["target"] or ["plain"]):
            return False
        return right == "all" or on_target(record) is (right == "right")

    def _before(self, layout: Layout, record: Record) -> Path | None:
        """What a picture is compared with: its plain twin, or the source where the run keeps it."""
        if isinstance(record.get("plain"), str):
            twin = layout.picture(record["plain"], plain=True)
        else:
            twin = Path(str(record.get("image") or ""))
        return twin if self._inside(twin) else None

    def _inside(self, path: Path) -> bool:
        return path.is_file() and path.resolve().is_relative_to(self.folder)


def _read(path: Path) -> Record:
    record = read_record(path)
    return {**record, "target": None} if is_plain(record["target"]) else record


def _runs(folder: Path, depth: int) -> Iterator[Path]:
    if not folder.is_dir():
        return
    if (folder / "records").is_dir():
        yield folder
    elif depth:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                yield from _runs(path, depth - 1)
