"""A finished run, as metrics read it: its records, its pictures, its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from muse.core.digests import file_digest
from muse.core.pictures import open_picture
from muse.core.registry import resolve
from muse.core.types import MuseError
from muse.guides import Guide
from muse.pretrained.packaged import PACKAGED, locate
from muse.runs.deciding import absolute
from muse.runs.records import Layout, Record, is_plain, read_config, read_listing, read_records
from muse.steering import Steering


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What a run left in its folder (see `muse.runs.RunFolder`).

    Attributes:
        folder: the folder.
        records: of the pictures that were made; there is at least one.
        failed: how many jobs failed.
        left: how many jobs of the run are not made yet: it was interrupted, or goes on.
        config: the resolved configuration, empty where the run had none (one from Python).
    """

    folder: Path
    records: list[Record]
    failed: int
    config: dict[str, Any]
    left: int = 0

    @classmethod
    def open(cls, folder: Path) -> FinishedRun:
        """Read the records in a folder.

        Raises:
            MuseError: no such folder, no picture in it, records that can't be read or are newer
                than this muse, or pictures that are no pictures.
        """
        if not folder.is_dir():
            raise MuseError(
                f"There is no folder {str(folder)!r}. Give the one that muse fit-free wrote."
            )
        records = read_records(folder)
        made = [record for record in records if record["status"] == "done"]
        done = [record for record in made if not is_plain(record["target"])]
        if not done:
            found = f"{len(records)} records, none of a finished picture" if records else "none"
            raise MuseError(
                f"No records of pictures in {str(folder / 'records')!r} (found {found}). Give the "
                "--output_dir of a run of muse fit-free."
            )
        if any("point" in record for record in done):
            raise MuseError(
                f"The pictures in {str(folder)!r} are drawings of the toy's points, which no "
                "metric reads. Evaluate a run of a backbone with pictures."
            )
        left = len({entry["id"] for entry in read_listing(folder)} - {r["id"] for r in records})
        return cls(folder, done, len(records) - len(made), read_config(folder), left)

    @property
    def arms(self) -> dict[str, Callable[[Record], Path | None]]:
        """Where the pictures of the plain model lie, if there are any, and those that muse steered:
        ``plain`` and ``steered``.
        """
        found = {"plain": self.plain, "steered": self.steered}
        return {name: of for name, of in found.items() if any(map(of, self.records))}

    def steered(self, record: Record) -> Path:
        """Where a record's picture lies."""
        return Layout(self.folder).picture(record["id"])

    def plain(self, record: Record) -> Path | None:
        """Where its plain twin's does; None where that was never made."""
        # A twin that failed has no probabilities, and no picture.
        told = record["plain"] and record["plain_probabilities"]
        return Layout(self.folder).picture(record["plain"], plain=True) if told else None

    def check_pictures(
        self, sources: bool, arms: Mapping[str, Callable[[Record], Path | None]] | None = None
    ) -> None:
        """Refuse pictures that are not all there.

        Args:
            sources: whether the pictures that were edited are needed too.
            arms: whose pictures; None is the run's own.

        Raises:
            MuseError: some are missing; says how many, and names the first.
        """
        wanted = [arm(record) for record in self.records for arm in (arms or self.arms).values()]
        if sources:
            wanted += [Path(record["image"]) for record in self.records if record["image"]]
        paths = list(dict.fromkeys(path for path in wanted if path is not None))
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise MuseError(
                f"{len(missing)} of {len(paths)} pictures are missing: {names}. Put them back, or "
                "make the run again."
            )

    @property
    def of_muse_mini(self) -> bool:
        """Whether muse-mini made the pictures, its UNet or its flow transformer."""
        backbone = self._part("backbone")
        name = backbone.get("init_args", {}).get("pretrained")
        return _file(name) in map(_file, PACKAGED)

    def guided_by(self, judge: Mapping[str, Any]) -> bool:
        """Whether this judge also guided the run, alone or inside another (an ensemble, a guide
        that asks it about several views): the same class with the same checkpoint, or, without
        checkpoints, with the same options. Where steering asks no guide, none did.

        Args:
            judge: its configuration, ``class_path`` and ``init_args``.
        """
        if not self._guided:
            return False
        asked = _members(judge)
        guides = _members(self._part("guide"))
        return any(_same(guide, one) for guide in guides for one in asked)

    @property
    def _guided(self) -> bool:
        """Whether the guide had a say."""
        try:
            steering = resolve(Steering, self._part("steering").get("class_path", ""))  # type: ignore[type-abstract]
        except MuseError:  # not told, or a class of the user's own that isn't there any more
            return True
        return steering.asks_guide

    def _part(self, name: str) -> dict[str, Any]:
        part = (self.config.get("model") or {}).get(name)
        return part if isinstance(part, dict) else {}


def load(path: Path, size: Sequence[int] | None = None) -> Tensor:
    """A picture file, (3, H, W) in [0, 1]: in its own size, or made to fit (H, W).

    Raises:
        MuseError: a file that is no picture, or a damaged one.
    """
    picture = open_picture(path)
    height, width = size or (picture.image.height, picture.image.width)
    return picture.fitted((height, width))[0]


def _members(guide: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A guide's configuration, and those of the guides that it is made of, in whichever options."""
    inner: list[Any] = []
    for value in (guide.get("init_args") or {}).values():
        inner += value if isinstance(value, list) else [value]
    parts = [part for part in inner if isinstance(part, Mapping) and "class_path" in part]
    return [guide, *(member for part in parts for member in _members(part))]


def _same(guide: Mapping[str, Any], judge: Mapping[str, Any]) -> bool:
    if "class_path" not in guide or _class(guide) != _class(judge):
        return False
    mine, its = guide.get("init_args", {}), judge.get("init_args", {})
    one, other = _file(mine.get("checkpoint")), _file(its.get("checkpoint"))
    if one is None or other is None:
        return bool(absolute(mine) == absolute(its))
    if one.is_file() and other.is_file():
        return file_digest(one) == file_digest(other)
    return one.name == other.name  # a run may come from a machine with other folders


def _class(part: Mapping[str, Any]) -> type | str:
    name = str(part["class_path"])
    try:
        return resolve(Guide, name)  # type: ignore[type-abstract]
    except MuseError:  # a class of the user's own that isn't there any more
        return name


def _file(name: str | None) -> Path | None:
    if name is None:
        return None
    try:
        return Path(locate(name)).resolve()
    except MuseError:  # packaged once, and no more
        return Path(name)
