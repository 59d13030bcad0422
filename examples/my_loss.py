"""A loss of one's own: as clearly as you like, and not more.

muse fit-free --config configs/toy.yaml --model.loss examples.my_loss.Margin --model.loss.margin 3
"""

from __future__ import annotations

import math

from muse.core.types import Goal, LossTerms, MuseError, Reading
from muse.losses import EmotionLoss


class Margin(EmotionLoss):
    r"""The target must lead every other emotion by a margin, and no more is asked.

    :math:`L = \sum_k t_k \max(0, m + \max_{j \notin t} z_j - z_k)` (Crammer & Singer 2001) with
    logits z and target weights t. Differences of logits are logarithms of ratios of probabilities:
    a margin of 2 makes the target at least 7.4 times as likely as any emotion that isn't wanted.
    From there on the loss is 0, the search of a step ends, and the picture is left alone; so the
    margin says how strong the emotion shall be.

    Args:
        margin: m, above 0.

    Raises:
        MuseError: a margin not above 0.
    """

    def __init__(self, margin: float = 2.0) -> None:
        super().__init__()
        if not margin > 0:
            raise MuseError(f"margin = {margin:g} is not allowed. Use a number above 0.")
        self.margin = margin

    def forward(self, reading: Reading, goal: Goal) -> LossTerms:
        """The loss of each row (B,), from logits and targets (B, K)."""
        target = goal.target.to(reading.logits)
        rival = reading.logits.masked_fill(target > 0, -math.inf).amax(-1, keepdim=True)
        lacking = (self.margin + rival - reading.logits).relu()
        loss = (target * lacking).sum(-1)
        return LossTerms(loss, {"target": loss})
