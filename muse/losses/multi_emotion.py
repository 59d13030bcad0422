"""The paper's multi-emotion loss, for targets that may be mixtures."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from muse.core.emotions import SimilarRule, neighbour_table, spread_over
from muse.core.types import Goal, LossTerms, MuseError, Reading
from muse.losses.base import EmotionLoss


class MultiEmotionLoss(EmotionLoss):
    r"""Pull to the target, push from the inherent and the similar emotions.

    Sec. IV-C, Eq. 13:

    .. math:: L = L_{target} - \lambda_1 L_{inh} - \lambda_2 L_{sim} + \lambda_c L_{content}

    - :math:`L_{target} = CE(target, p) - H(target)`: zero at best, and the paper's cross-entropy
      for a single emotion;
    - :math:`L_{inh} = CE(inherent, p)` (Eq. 11), zero where the inherent emotion is wanted;
    - :math:`L_{sim}` (Eq. 12): the cross-entropy averaged over the target's neighbours on the
      wheel that are not themselves wanted, weighted over a mixture's components;
    - :math:`L_{content} = \max(0, s_0 - s)`: beyond the paper, the similarity to the prompt must
      not fall below a floor (s in units of 1 = 100 %).

    The two negative terms have no lower bound, so every term is returned apart.

    Args:
        inherent_weight: :math:`\lambda_1`, 0 or more.
        similar_weight: :math:`\lambda_2`, 0 or more.
        content_weight: :math:`\lambda_c`, 0 or more; 0 is the paper.
        content_floor: :math:`s_0`, in [-100, 100], of its CLIP as eta is; None takes the similarity
            when steering began, which is low where that was early. 100 always asks for more.
        similar_rule: ``ring`` pushes from both neighbours, ``same_polarity`` from those that are
            positive (or negative) as the target is.
        inherent, similar, content: what the weights were called once; None.

    Raises:
        MuseError: a weight below 0, or a floor out of range.
    """

    neighbourhood: Tensor

    def __init__(
        self,
        inherent_weight: float = 0.0005,
        similar_weight: float = 0.0015,
        content_weight: float = 0.0,
        content_floor: float | None = None,
        similar_rule: SimilarRule = "ring",
        inherent: float | None = None,
        similar: float | None = None,
        content: float | None = None,
    ) -> None:
        super().__init__()
        self.inherent_weight = _weight("inherent", inherent_weight, inherent)
        self.similar_weight = _weight("similar", similar_weight, similar)
        self.content_weight = _weight("content", content_weight, content)
        if content_floor is not None and not -100 <= content_floor <= 100:
            raise MuseError(f"content_floor = {content_floor:g} is out of range. Use -100 to 100.")
        self.content_floor = content_floor
        self.needs_similarity = self.content_weight > 0
        table = neighbour_table(similar_rule).clone()
        self.register_buffer("neighbourhood", table, persistent=False)

    def forward(self, reading: Reading, goal: Goal) -> LossTerms:
        """Eq. 13 per row; `Reading` and `Goal` give the shapes."""
        log_p = reading.logits.log_softmax(-1)
        target = goal.target.to(log_p)
        terms = {
            "target": cross_entropy(target, log_p) + torch.xlogy(target, target).sum(-1),
            "inherent": cross_entropy(goal.inherent.to(log_p), log_p),
            "similar": cross_entropy(self.similar_to(target), log_p),
        }
        total = (
            terms["target"]
            - self.inherent_weight * terms["inherent"]
            - self.similar_weight * terms["similar"]
        )
        floor = goal.similarity if self.content_floor is None else self.content_floor
        if self.needs_similarity and reading.similarity is not None and floor is not None:
            terms["content"] = (floor - reading.similarity).relu() / 100
            total = total + self.content_weight * terms["content"]
        return LossTerms(total, terms)

    def similar_to(self, target: Tensor) -> Tensor:
        """By `similar_rule`: see `muse.core.emotions.spread_over`."""
        return spread_over(target, self.neighbourhood)


def cross_entropy(weights: Tensor, log_p: Tensor) -> Tensor:
    r""":math:`-\sum_k w_k \log p_k` per row, (B, K), (B, K) -> (B,)."""
    return -(weights * log_p).sum(-1)


def _weight(term: str, weight: float, older: float | None) -> float:
    """A term's weight, by the name that it was given under once where that is given."""
    if older is not None:
        warnings.warn(f"{term} is called {term}_weight now.", FutureWarning, stacklevel=3)
        weight = older
    if not weight >= 0:
        raise MuseError(f"{term}_weight = {weight:g} is not allowed. Use a weight of 0 or more.")
    return weight
