"""Does the picture still show what the prompt names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from muse.metrics.base import Made, Metric, read_each
from muse.mini.content import ContentClassifier, named


class ContentAccuracy(Metric):
    """The share of pictures in which a content classifier finds what the prompt names.

    It has no say in any loss or timing. A prompt that names none of its classes, or several, does
    not apply.

    Args:
        classifier: of muse-mini's things and places.
        part: which of the two to look at.
        name: its row in the tables; None takes `part`.
    """

    show: ClassVar[str] = ".1%"
    relative: ClassVar[bool] = True

    def __init__(
        self,
        classifier: ContentClassifier,
        part: Literal["thing", "place"],
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.part = part
        self.name = name or part

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """1 where the class read is the one that the prompt names, else 0."""
        logits = read_each(
            [picture.image for picture in pictures],
            lambda image: getattr(self.classifier(image), self.part),
        )
        names = self.classifier.names[self.part]
        wanted = [named(picture.prompt, names) for picture in pictures]
        read = [names[index] for index in logits.argmax(-1).tolist()]
        return [
            float("nan") if name is None else float(name == found)
            for name, found in zip(wanted, read, strict=True)
        ]
