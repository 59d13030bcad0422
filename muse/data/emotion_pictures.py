"""Pictures with an emotion, from a data set on disk, as training batches."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS

from muse.core.emotions import EMOTIONS
from muse.core.pictures import open_picture
from muse.core.types import MuseError
from muse.data.captions import feeling_caption
from muse.data.transforms import train_transform, val_transform

Split = Literal["train", "val"]

SUFFIXES: tuple[str, ...] = IMG_EXTENSIONS
"""What a picture file's name ends in, in lower case."""

logger = logging.getLogger(__name__)


class EmotionBatch(TypedDict):
    """B pictures with their emotions.

    Keys:
        image: (B, 3, H, W) float32 in [0, 1].
        emotion: (B,) int64, an index into `muse.core.emotions.EMOTIONS`.
        caption: B sentences that say the emotion.
    """

    image: Tensor
    emotion: Tensor
    caption: list[str]


@dataclass(frozen=True)
class EmotionPicture:
    """A picture file and its emotion.

    Attributes:
        path: the file.
        emotion: a name from `EMOTIONS`.
        entities: what is known to be seen in it, for its caption.
    """

    path: Path
    emotion: str
    entities: tuple[str, ...] = ()


class EmotionPictures(Dataset[dict[str, Any]]):
    """Picture files as samples; one that can't be read is replaced by the next.

    Args:
        pictures: the files.
        transform: RGB picture -> (3, size, size) float32 in [0, 1].
        min_share: the share of them that must be readable, in [0, 1].
    """

    def __init__(
        self,
        pictures: Sequence[EmotionPicture],
        transform: Callable[[Image.Image], Tensor],
        min_share: float = 0.0,
    ) -> None:
        self.pictures, self.transform, self.min_share = pictures, transform, min_share
        # Shared by all workers, so that each bad file is tried and told of once.
        self.unreadable = torch.zeros(len(pictures), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One picture with the keys of `EmotionBatch`.

        Raises:
            MuseError: too many pictures can't be read, or none can.
        """
        for step in range(len(self)):
            at = (index + step) % len(self)
            image = None if self.unreadable[at] else self._read(at)
            if image is not None:
                picture = self.pictures[at]
                return {
                    "image": self.transform(image),
                    "emotion": EMOTIONS.index(picture.emotion),
                    "caption": feeling_caption(picture.emotion, picture.entities),
                }
        raise MuseError(f"None of the {len(self)} pictures can be read. Are the files whole?")

    def _read(self, at: int) -> Image.Image | None:
        path = self.pictures[at].path
        try:
            return open_picture(path).image
        except Exception as error:  # Pillow raises nearly anything on a damaged file
            self.unreadable[at] = True
            told = str(error) if isinstance(error, MuseError) else f"{path}: {error!r}."
            count = int(self.unreadable.sum())
            if len(self) - count < self.min_share * len(self):
                raise MuseError(
                    f"{told} With it, {count} of {len(self)} pictures can't be read; at least "
                    f"{self.min_share:.0%} must be: fetch them again, or lower --data.min_share."
                ) from None
            logger.warning("%s The next picture stands in for it (%d such so far).", told, count)
            return None


class EmotionPictureData(L.LightningDataModule, ABC):
    """Training and validation pictures of a data set on disk.

    Training pictures are cropped at random (50 to 100 % of the area) and mirrored; validation
    pictures are brought to size as CLIP does: shortest side, then the centre.

    Args:
        root: the data set's folder, or the one above.
        batch_size: pictures in a batch.
        workers: processes that read pictures; 0 reads in this one.
        size: side of the pictures; None takes the size that the trained classifier reads.
        min_share: the share of the pictures listed that must be on disk, and of those the share
            that must be readable, in [0, 1].

    Raises:
        MuseError: a batch size, share or size that makes no sense; in `setup`, a folder that isn't
            the data set, or one that lacks too many of its pictures; later, too many pictures that
            can't be read.
    """

    def __init__(
        self,
        root: str,
        batch_size: int = 64,
        workers: int = 4,
        size: int | None = None,
        min_share: float = 0.99,
    ) -> None:
        super().__init__()
        if batch_size < 1 or workers < 0 or (size is not None and size < 4):
            raise MuseError(
                f"batch_size={batch_size}, workers={workers}, size={size}: give batch_size >= 1, "
                "workers >= 0, and size >= 4 or none."
            )
        if not 0 <= min_share <= 1:
            raise MuseError(f"min_share={min_share} is not allowed. Use 0 to 1, such as 0.99.")
        self.root, self.batch_size, self.workers = root, batch_size, workers
        self.size, self.min_share = size, min_share
        self.train_set: EmotionPictures | None = None
        self.val_set: EmotionPictures | None = None

    @abstractmethod
    def pictures(self, split: Split) -> Sequence[EmotionPicture]:
        """What the data set lists for training or validation, on disk or not."""

    def setup(self, stage: str | None = None) -> None:
        """Lists the pictures and checks that they are there, once."""
        if self.train_set is not None:
            return
        size = self.size or self._size_of_the_classifier()
        share = self.min_share
        self.train_set = EmotionPictures(self._present("train"), train_transform(size), share)
        self.val_set = EmotionPictures(self._present("val"), val_transform(size), share)
        if len(self.train_set) < self.batch_size:
            raise MuseError(
                f"{self.root!r} has {len(self.train_set)} training pictures, fewer than "
                f"batch_size={self.batch_size}. Lower --data.batch_size."
            )
        lacking = set(EMOTIONS) - {picture.emotion for picture in self.train_set.pictures}
        if lacking:
            raise MuseError(
                f"{self.root!r} has no training pictures of {', '.join(sorted(lacking))}. "
                "A classifier needs pictures of all eight emotions."
            )

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Shuffled batches; an incomplete last one is dropped."""
        assert self.train_set is not None
        return self._loader(self.train_set, training=True)

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The validation pictures in their order."""
        assert self.val_set is not None
        return self._loader(self.val_set, training=False)

    def on_exception(self, exception: BaseException) -> None:
        """Takes off the traceback that a worker puts before a mistake's one line."""
        if isinstance(exception, MuseError):
            exception.args = (str(exception).rpartition("MuseError: ")[2].strip(),)

    def _loader(self, pictures: EmotionPictures, training: bool) -> DataLoader[dict[str, Any]]:
        return DataLoader(
            pictures,
            self.batch_size,
            shuffle=training,
            drop_last=training,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _size_of_the_classifier(self) -> int:
        task = self.trainer.lightning_module if self.trainer is not None else None
        return int(getattr(task, "picture_size", 224))

    def _present(self, split: Split) -> list[EmotionPicture]:
        listed = self.pictures(split)
        folders = {picture.path.parent for picture in listed}
        # One listing a folder: asking for each of 100,000 files takes minutes on a network disk.
        names = {folder: _names_in(folder) for folder in folders}
        found = [picture for picture in listed if picture.path.name in names[picture.path.parent]]
        if len(found) == len(listed) > 0:
            return found
        missing = [p.path for p in listed if p.path.name not in names[p.path.parent]]
        told = (
            f"{len(missing)} of {len(listed)} pictures of {split} are missing "
            f"({examples(missing)})."
        )
        if not found or len(found) < self.min_share * len(listed):
            raise MuseError(
                f"{self.root!r}: {told} At least {self.min_share:.0%} must be there: complete the "
                "data set, or lower --data.min_share."
            )
        rank_zero_only(logger.warning)("%s Going on with the %d others.", told, len(found))
        return found


def examples(paths: Sequence[Path]) -> str:
    """The first three of them, with commas."""
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")


def find_root(root: str, names: Sequence[str], what: str) -> Path:
    """The folder that holds `names`: `root` itself, or one right below it.

    Raises:
        MuseError: there is none; says what was looked for.
    """
    try:
        base = Path(root).expanduser()
    except RuntimeError:  # ~ of somebody who isn't there
        raise MuseError(f"{root!r} names no home folder. Give the path in full.") from None
    for folder in (base, *sorted(path for path in base.glob("*") if path.is_dir())):
        if all((folder / name).exists() for name in names):
            return folder
    raise MuseError(
        f"No {what} at {root!r}: looked for {' and '.join(names)} there and one folder below. "
        "Give its folder with --data.root."
    )


def _names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()
