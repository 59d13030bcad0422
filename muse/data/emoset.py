"""EmoSet-118K: pictures with an emotion and attributes (Yang et al. 2023)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muse.data.emotion_pictures import (
    SUFFIXES,
    EmotionPicture,
    EmotionPictureData,
    Split,
    find_root,
)
from muse.emotions import EMOTIONS
from muse.types import MuseError

SEEN = ("object", "scene", "human_action")
"""The attributes that name what is seen; the others describe colours and faces."""


@dataclass(frozen=True)
class EmoSetPicture(EmotionPicture):
    """A picture of EmoSet.

    Attributes:
        annotation: its JSON file, read when its caption is asked for.
    """

    annotation: Path

    def entities(self) -> Sequence[str]:
        """Objects, scene and action, in plain words; none where the annotation lacks them."""
        try:
            attributes = json.loads(self.annotation.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ()
        return seen_in(attributes) if isinstance(attributes, dict) else ()


class EmoSet(EmotionPictureData):
    """EmoSet-118K as it is published.

    ``{train,val}.json`` list the pictures, ``image/<emotion>/*.jpg`` and
    ``annotation/<emotion>/*.json`` hold them. Captions are SimEmo's, with the annotated objects,
    scene and action as what the photo contains. Options and errors: `EmotionPictureData`.
    """

    def pictures(self, split: Split) -> list[EmoSetPicture]:
        """The entries of ``<split>.json``."""
        root = find_root(self.root, ("train.json", "val.json"), "EmoSet-118K")
        file = root / f"{split}.json"
        try:
            entries = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MuseError(f"{file} can't be read ({error}). Fetch it again.") from None
        if not isinstance(entries, list):
            raise MuseError(f"{file} is no list of pictures. Fetch it again.")
        return [_picture(entry, root, f"{file}, entry {i}") for i, entry in enumerate(entries)]


def _picture(entry: Any, root: Path, where: str) -> EmoSetPicture:
    # Published versions have 3 or 4 elements (one has an id as well), in no fixed order.
    words = [word for word in entry if isinstance(word, str)] if isinstance(entry, list) else []
    paths = [word for word in words if word.lower().endswith(SUFFIXES)]
    notes = [word for word in words if word.lower().endswith(".json")]
    emotions = [word.lower() for word in words if word.lower() in EMOTIONS]
    if len(words) not in (3, 4) or not len(paths) == len(notes) == len(emotions) == 1:
        raise MuseError(
            f"{where}: {str(entry)[:200]} is none of EmoSet's. It needs an emotion, a picture and "
            "a .json file, and at most one more word."
        )
    return EmoSetPicture(root / paths[0], emotions[0], root / notes[0])


def seen_in(attributes: dict[str, Any]) -> tuple[str, ...]:
    """What an annotation names: ``{"object": ["Tree"], "scene": "forest_path"}`` gives
    ``("tree", "forest path")``; attributes may be absent.
    """
    values = [attributes.get(key) or [] for key in SEEN]
    names = [name for value in values for name in (value if isinstance(value, list) else [value])]
    plain = (str(name).replace("_", " ").replace("/", " ").strip().lower() for name in names)
    return tuple(dict.fromkeys(name for name in plain if name))
