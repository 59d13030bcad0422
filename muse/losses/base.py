"""WHICH emotions pull and push: the loss contract."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from muse.core.types import Goal, LossTerms, Reading


class EmotionLoss(nn.Module, ABC):
    """What the emotion tokens minimise, per row and never reduced."""

    needs_similarity: bool = False
    """Whether `forward` reads the similarity of the prediction to its prompt."""

    @abstractmethod
    def forward(self, reading: Reading, goal: Goal) -> LossTerms:
        """Weigh what is seen against what is wanted, differentiably in the reading.

        Args:
            reading: logits (B, K) and, if `needs_similarity`, similarity (B,).
            goal: target and inherent (B, K), similarity when steering began (B,) or None.

        Returns:
            total (B,) and its terms (B,) by name, ``target`` among them.
        """
