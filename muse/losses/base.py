"""WHICH emotions pull and push: the loss contract."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from muse.core.emotions import neighbour_table, spread_over
from muse.core.types import Goal, LossTerms, Reading


class EmotionLoss(nn.Module, ABC):
    """What the emotion tokens minimise, per row and never reduced."""

    needs_similarity: bool = False
    """Whether `forward` reads the similarity of the prediction to its prompt."""

    def similar_to(self, target: Tensor) -> Tensor:
        """The emotions that count as similar to each target, as weights, (B, K) -> (B, K): traces
        tell their probability. By default its neighbours on the wheel.
        """
        return spread_over(target, neighbour_table())

    @abstractmethod
    def forward(self, reading: Reading, goal: Goal) -> LossTerms:
        """Weigh what is seen against what is wanted, differentiably in the reading.

        Args:
            reading: logits (B, K) and, if `needs_similarity`, similarity (B,).
            goal: target and inherent (B, K), similarity when steering began (B,) or None.

        Returns:
            total (B,) and its terms (B,) by name, ``target`` among them.
        """
