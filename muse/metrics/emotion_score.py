"""How much of the target's probability an edit, or steering, brought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from muse.guides import Guide
from muse.metrics.base import Made, Metric
from muse.metrics.emotion import EmotionAccuracy


class EmotionScore(Metric):
    r"""EmoEdit's Emo-S: :math:`p(target \mid edit) - p(target \mid source)`.

    Of a picture that edits none the plain picture is the source: what steering brought. The
    probabilities of a mixture's emotions add up. Where less of the target was wanted, what was lost
    counts.

    Args:
        judge: any `Guide`.
        name: its row in the tables.
    """

    show: ClassVar[str] = "+.3f"
    needs_source: ClassVar[bool] = True

    def __init__(self, judge: Guide, name: str = "Emo-S") -> None:
        super().__init__()
        self.judge = EmotionAccuracy(judge)
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """In [-1, 1]; nan where there is neither a source nor a plain picture."""
        before = [p.plain if p.source is None else p.source for p in pictures]
        known = [(p, image) for p, image in zip(pictures, before, strict=True) if image is not None]
        sources = [Made(p.prompt, p.target, image) for p, image in known]
        probability = self.judge.target_probability([p for p, _ in known] + sources)
        signs = [-1.0 if p.less else 1.0 for p, _ in known]
        ends = zip(signs, probability, probability[len(known) :], strict=False)
        gains = iter(sign * (after - before) for sign, after, before in ends)
        return [float("nan") if image is None else next(gains) for image in before]
