"""The paper's multi-emotion loss, for targets that may be mixtures."""

from __future__ import annotations

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS, SimilarRule, neighbours
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
        inherent: :math:`\lambda_1`, 0 or more.
        similar: :math:`\lambda_2`, 0 or more.
        content: :math:`\lambda_c`, 0 or more; 0 is the paper.
        content_floor: :math:`s_0`, in [-100, 100], of its CLIP as eta is; None takes the similarity
            when steering began, which is low where that was early. 100 always asks for more.
        similar_rule: ``ring`` pushes from both neighbours, ``same_polarity`` from those that are
            positive (or negative) as the target is.

    Raises:
        MuseError: a weight below 0, or a floor out of range.
    """

    neighbourhood: Tensor

    def __init__(
        self,
        inherent: float = 0.0005,
        similar: float = 0.0015,
        content: float = 0.0,
        content_floor: float | None = None,
        similar_rule: SimilarRule = "ring",
    ) -> None:
        super().__init__()
        for name, weight in (("inherent", inherent), ("similar", similar), ("content", content)):
            if not weight >= 0:
                raise MuseError(f"{name} = {weight:g} is not allowed. Use a weight of 0 or more.")
        if content_floor is not None and not -100 <= content_floor <= 100:
            raise MuseError(f"content_floor = {content_floor:g} is out of range. Use -100 to 100.")
        self.inherent = inherent
        self.similar = similar
        self.content = content
        self.content_floor = content_floor
        self.needs_similarity = content > 0
        near = [neighbours(emotion, similar_rule) for emotion in EMOTIONS]
        table = torch.tensor([[float(other in row) for other in EMOTIONS] for row in near])
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
            terms["target"] - self.inherent * terms["inherent"] - self.similar * terms["similar"]
        )
        floor = goal.similarity if self.content_floor is None else self.content_floor
        if self.needs_similarity and reading.similarity is not None and floor is not None:
            terms["content"] = (floor - reading.similarity).relu() / 100
            total = total + self.content * terms["content"]
        return LossTerms(total, terms)

    def similar_to(self, target: Tensor) -> Tensor:
        """The similar emotions of each target as weights, (B, K) -> (B, K): for every component
        its share, spread evenly over its neighbours outside the target's support.
        """
        outside = (target == 0).to(target)[:, None, :] * self.neighbourhood.to(target)
        share = outside / outside.sum(-1, keepdim=True).clamp(min=1)
        return (target[:, :, None] * share).sum(1)


def cross_entropy(weights: Tensor, log_p: Tensor) -> Tensor:
    r""":math:`-\sum_k w_k \log p_k` per row, (B, K), (B, K) -> (B,)."""
    return -(weights * log_p).sum(-1)
