"""Emotion accuracy that forgives near misses more than far ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS, POSITIVE, distance, strongest
from muse.guides import Guide
from muse.metrics.base import Made, Metric
from muse.metrics.emotion import EmotionAccuracy

APART = torch.tensor(
    [
        [float((1 if (a in POSITIVE) == (b in POSITIVE) else 4) + distance(a, b)) for b in EMOTIONS]
        for a in EMOTIONS
    ],
    dtype=torch.float64,
)
"""How far apart two emotions are, (K, K): 1 + their steps around Mikels' wheel where both are
positive or both negative, else 4 + these; 1 for an emotion and itself.
"""


class ECC(Metric):
    r"""Emotion accuracy weighed by how far what is read lies from the target (Zhao et al. 2024).

    :math:`\frac{1}{N} \sum_{ij} C_{ij} / D_{ij}`, C the confusion matrix of targets and readings
    and D as in `APART`: 1 where all is right, and a near miss counts for more than a far one.
    Targets that are mixtures don't apply.

    Args:
        judge: any `Guide`.
        name: its row in the tables.
    """

    show: ClassVar[str] = ".3f"

    def __init__(self, judge: Guide, name: str = "ECC") -> None:
        super().__init__()
        self.judge = EmotionAccuracy(judge)
        self.name = name

    def describe(self, pictures: Sequence[Made]) -> Tensor:
        """The numbers of the target and of the likeliest emotion, (N, 2)."""
        read = self.judge.read(pictures).argmax(-1).tolist()
        wanted = [
            float(EMOTIONS.index(strongest(p.target))) if len(p.target) == 1 else float("nan")
            for p in pictures
        ]
        return torch.tensor([wanted, read], dtype=torch.float64).T

    def sum_up(self, described: Tensor) -> float:
        """In (0, 1]."""
        target, read = described.long().T
        return float((1 / APART[target, read]).mean())


class EMC(ECC):
    r"""How near the misses lie (Zhao et al. 2024): of wrong readings alone, and higher is nearer.

    :math:`\frac{1}{\sum_{i \ne j} C_{ij}} \sum_{i \ne j} C_{ij} / (D_{ij} - 1)`, as in `ECC`.

    Args:
        judge: any `Guide`.
        name: its row in the tables.
    """

    def __init__(self, judge: Guide, name: str = "EMC") -> None:
        super().__init__(judge, name)

    def sum_up(self, described: Tensor) -> float:
        """In (0, 1]; nan where nothing is wrong."""
        target, read = described.long().T
        wrong = target != read
        return float((1 / (APART[target, read][wrong] - 1)).mean())
