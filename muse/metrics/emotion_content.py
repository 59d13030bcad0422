"""Is all of it right in one picture: the emotion, and what the prompt says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from muse.core.types import MuseError
from muse.guides import Guide
from muse.metrics.base import Made, Metric
from muse.metrics.content import ContentAccuracy
from muse.metrics.emotion import EmotionAccuracy
from muse.metrics.zero_shot_content import ZeroShotContent
from muse.mini.content import ContentClassifier


class EmotionContentAccuracy(Metric):
    """The share of pictures whose emotion and content are right at once (EmoCtrl's EC-A).

    Either alone is easy: a picture that forgets its prompt may feel as it should, and a plain one
    shows its prompt. The emotion is right as in `EmotionAccuracy`, the content where all that the
    prompt names and the classifier knows (thing, place) is read as named. A prompt that names
    nothing it knows is left to `zero_shot`, and without one does not apply.

    Args:
        judge: any `Guide`; one that guided the run is starred.
        classifier: of muse-mini's things and places.
        zero_shot: asks CLIP, of prompts that the classifier doesn't know.
        name: its row in the tables.

    Raises:
        MuseError: neither a classifier nor a zero-shot CLIP.
    """

    show: ClassVar[str] = ".1%"

    def __init__(
        self,
        judge: Guide,
        classifier: ContentClassifier | None = None,
        zero_shot: ZeroShotContent | None = None,
        name: str = "EC-A",
    ) -> None:
        super().__init__()
        if classifier is None and zero_shot is None:
            raise MuseError(
                f"{name!r} has nothing to read content with. Give it a classifier (muse-mini's), "
                "or zero_shot: a ZeroShotContent with a CLIP."
            )
        self.emotion = EmotionAccuracy(judge)
        self.parts = [] if classifier is None else _parts(classifier)
        self.classifier, self.zero_shot, self.name = classifier, zero_shot, name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """1 where emotion and content are right, else 0; nan where no content can be told."""
        felt, shown = self.emotion.measure(pictures), self.content(pictures)
        return [one * other for one, other in zip(felt, shown, strict=True)]

    def content(self, pictures: Sequence[Made]) -> list[float]:
        """1 where the content is right, else 0; nan where it can't be told."""
        read = [part.measure(pictures) for part in self.parts]
        found = []
        for i in range(len(pictures)):
            known = [values[i] for values in read if not math.isnan(values[i])]
            found.append(min(known, default=float("nan")))
        rest = [i for i, value in enumerate(found) if math.isnan(value)]
        if self.zero_shot is not None and rest:
            told = self.zero_shot.measure([pictures[i] for i in rest])
            for i, value in zip(rest, told, strict=True):
                found[i] = value
        return found


def _parts(classifier: ContentClassifier) -> list[ContentAccuracy]:
    return [ContentAccuracy(classifier, "thing"), ContentAccuracy(classifier, "place")]
