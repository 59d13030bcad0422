"""Does the picture feel as it should, to a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS
from muse.guides import Guide
from muse.metrics.base import Made, Metric, read_each


class EmotionAccuracy(Metric):
    r"""The share of pictures that a judge reads as their target (the paper's Emo-A, -B, -C).

    A picture counts where :math:`\arg\max_k p_k` is the target, or one of a mixture's emotions; or
    where it is none of these, if less of them was wanted.
    What a judge that also guided says is starred in the tables: steering aims at just that.

    Args:
        judge: any `Guide`.
        name: its row in the tables; None takes the judge's class name.
    """

    show: ClassVar[str] = ".1%"

    def __init__(self, judge: Guide, name: str | None = None) -> None:
        super().__init__()
        self.judge = judge
        self.name = name or type(judge).__name__

    def read(self, pictures: Sequence[Made]) -> Tensor:
        """The judge's probabilities, (N, K), in the order of `EMOTIONS`."""
        logits = read_each([picture.image for picture in pictures], self.judge.read)
        return logits.float().softmax(-1).cpu()

    def score(self, probabilities: Tensor, pictures: Sequence[Made]) -> list[float]:
        """1 where the likeliest emotion is as wanted, else 0."""
        likeliest = probabilities.argmax(-1).tolist()
        pairs = zip(likeliest, pictures, strict=True)
        return [float((EMOTIONS[index] in p.target) != p.less) for index, p in pairs]

    def target_probability(self, pictures: Sequence[Made]) -> list[float]:
        """The judge's probability of each target; those of a mixture's emotions add up."""
        if not pictures:
            return []
        wanted = [[float(name in p.target) for name in EMOTIONS] for p in pictures]
        values: list[float] = (self.read(pictures) * torch.tensor(wanted)).sum(-1).tolist()
        return values

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """Read the pictures and score them."""
        return self.score(self.read(pictures), pictures)
