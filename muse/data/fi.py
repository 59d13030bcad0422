"""FI_8: photographs with one of eight emotions (You et al. 2016)."""

from __future__ import annotations

from muse.core.emotions import check_emotion
from muse.core.types import MuseError
from muse.data.emotion_pictures import (
    SUFFIXES,
    EmotionPicture,
    EmotionPictureData,
    Split,
    find_root,
)


class FI(EmotionPictureData):
    """FI_8: ``FI/{train,val}/<emotion>/``, the emotions' names in either case.

    Nothing is annotated, so captions say the emotion alone. Options and errors:
    `EmotionPictureData`.
    """

    def pictures(self, split: Split) -> list[EmotionPicture]:
        """The picture files of the split's folders."""
        folder = find_root(self.root, ("train", "val"), "FI_8") / split
        found: list[EmotionPicture] = []
        for path in sorted(folder.iterdir()):
            if not path.is_dir() or path.name.startswith("."):
                continue
            try:
                emotion = check_emotion(path.name)
            except MuseError as error:
                raise MuseError(f"Folder {path}: {error}") from None
            found += [
                EmotionPicture(file, emotion)
                for file in sorted(path.iterdir())
                if file.name.lower().endswith(SUFFIXES)
            ]
        return found
