"""EmoSet-118K: pictures with an emotion and attributes (Yang et al. 2023)."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.data.emotion_pictures import (
    SUFFIXES,
    EmotionPicture,
    EmotionPictureData,
    Split,
    examples,
    find_root,
)

SEEN = ("object", "scene", "human_action")
"""The attributes that name what is seen; the others describe colours and faces."""

logger = logging.getLogger(__name__)


class EmoSet(EmotionPictureData):
    """EmoSet-118K as it is published.

    ``{train,val}.json`` list the pictures, ``image/<emotion>/*.jpg`` and
    ``annotation/<emotion>/*.json`` hold them. Captions are SimEmo's, with the annotated objects,
    scene and action as what the photo contains, and the form without them where an annotation is
    missing or damaged. Options and errors: `EmotionPictureData`.
    """

    def pictures(self, split: Split) -> list[EmotionPicture]:
        """The entries of ``<split>.json``, with what their annotations name; tells in one line how
        many annotations can't be read.
        """
        root = find_root(self.root, ("train.json", "val.json"), "EmoSet-118K")
        file = root / f"{split}.json"
        try:
            entries = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MuseError(f"{file} can't be read ({error}). Fetch it again.") from None
        if not isinstance(entries, list):
            raise MuseError(f"{file} is no list of pictures. Fetch it again.")
        found = [_files(entry, root, f"{file}, entry {i}") for i, entry in enumerate(entries)]
        notes = [note for _, note, _ in found]
        # Once for the whole run, several at a time: 100,000 files take long on a network disk.
        with ThreadPoolExecutor() as pool:
            seen = list(pool.map(_entities, notes))
        lost = [note for note, names in zip(notes, seen, strict=True) if names is None]
        if lost:
            rank_zero_only(logger.warning)(
                "%d of %d annotations of %s are missing or damaged (%s). The captions of their "
                "pictures say the emotion alone.",
                len(lost),
                len(notes),
                split,
                examples(lost),
            )
        return [
            EmotionPicture(path, emotion, names or ())
            for (path, _, emotion), names in zip(found, seen, strict=True)
        ]


def _entities(annotation: Path) -> tuple[str, ...] | None:
    """What an annotation file names; None where it is missing or damaged."""
    try:
        attributes = json.loads(annotation.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return seen_in(attributes) if isinstance(attributes, dict) else None


def _files(entry: Any, root: Path, where: str) -> tuple[Path, Path, str]:
    """The picture, the annotation and the emotion of an entry."""
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
    return root / paths[0], root / notes[0], emotions[0]


def seen_in(attributes: dict[str, Any]) -> tuple[str, ...]:
    """What an annotation names: ``{"object": ["Tree"], "scene": "forest_path"}`` gives
    ``("tree", "forest path")``; attributes may be absent.
    """
    values = [attributes.get(key) or [] for key in SEEN]
    names = [name for value in values for name in (value if isinstance(value, list) else [value])]
    plain = (str(name).replace("_", " ").replace("/", " ").strip().lower() for name in names)
    return tuple(dict.fromkeys(name for name in plain if name))
