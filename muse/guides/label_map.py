"""From a classifier's own classes to the eight emotions, by name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS, check_emotion
from muse.core.types import MuseError
from muse.pretrained.weights import json_in

SHOWN = 40
"""Classes that the table in an error shows."""


class LabelMap:
    """Reads the logits of a classifier of any classes as those of the eight emotions.

    Classes that map to one emotion add up their probabilities (a logsumexp of logits); classes
    left out are dropped, as if the classifier had never known them. A classifier of the eight
    emotions needs no map, whatever their order.

    Args:
        classes: the classifier's, in the order of its logits.
        label_map: class -> emotion; every emotion needs a class. None for the eight emotions.
        name: the classifier's, for errors.

    Raises:
        MuseError: classes other than the eight without a map, a map that names no class or no
            emotion, or an emotion without a class. A note has a table of the classes.
    """

    def __init__(
        self, classes: Sequence[str], label_map: Mapping[str, str] | None, name: str
    ) -> None:
        self.labels: tuple[str, ...] = tuple(classes)
        self.metadata: dict[str, str] = {}
        self._groups: list[list[int]] | None = None
        if label_map is None:
            if sorted(map(_plain, classes)) != sorted(EMOTIONS):
                raise _refusal(
                    f"{name!r} has {len(classes)} classes that are not the eight emotions. Give "
                    "a label_map, class: emotion, for those that count.",
                    classes,
                    {c: _plain(c) for c in classes if _plain(c) in EMOTIONS},
                )
            return
        known = {str(given): check_emotion(emotion) for given, emotion in label_map.items()}
        for given in known.keys() - set(classes):
            near = difflib.get_close_matches(given, classes, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise _refusal(
                f"label_map names {given!r}, which is no class of {name!r}.{hint}", classes, known
            )
        without = [emotion for emotion in EMOTIONS if emotion not in known.values()]
        if without:
            raise _refusal(
                f"label_map gives {', '.join(without)} no class of {name!r}. Every emotion needs "
                "one.",
                classes,
                known,
            )
        self._groups = [
            [i for i, own in enumerate(classes) if known.get(own) == emotion]
            for emotion in EMOTIONS
        ]
        self.labels = EMOTIONS
        self.metadata = {"labels": json.dumps(list(classes)), "label_map": json.dumps(known)}

    def __call__(self, logits: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of the classifier's (B, classes)."""
        if self._groups is None:
            return logits
        return torch.stack([logits[:, group].logsumexp(-1) for group in self._groups], dim=-1)


def map_in(metadata: Mapping[str, str], file: str = "The checkpoint") -> dict[str, str] | None:
    """The map that a checkpoint's metadata carries under ``label_map`` (`json_in`)."""
    return json_in(metadata, "label_map", dict, file)


def _plain(name: str) -> str:
    return name.strip().lower()


def _refusal(line: str, classes: Sequence[str], known: Mapping[str, str]) -> MuseError:
    """An error whose note is a table of the classes and what they are mapped to."""
    width = max(map(len, ["class", *classes[:SHOWN]]))
    rows = [f"  {name:<{width}}  {known.get(name, '-')}" for name in classes[:SHOWN]]
    if len(classes) > SHOWN:
        rows.append(f"  ... and {len(classes) - SHOWN} more")
    error = MuseError(line)
    error.add_note("\n".join([f"  {'class':<{width}}  emotion", *rows]))
    return error
