"""What reads the toy's points: the exact guide, and the exact similarity to a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from muse.backbones.toy.mixture import CONTENTS, SCALE, means, words_of
from muse.core.emotions import EMOTIONS
from muse.guides import Guide, Similarity

BLUR = 0.6


class BayesGuide(Guide):
    """The toy's exact guide: p(emotion | x), whatever the place.

    Logits are log sum over places of N(x; mean, s^2), with no noise of their own.

    Args:
        dimension: of the points, as the backbone's.
    """

    means: Tensor

    def __init__(self, dimension: int = 2) -> None:
        super().__init__()
        self.register_buffer("means", means(dimension))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) of points (B, dimension)."""
        square = ((image[:, None] - self.means) ** 2).sum(-1) / (2 * SCALE**2)
        return (-square).unflatten(-1, (len(CONTENTS), len(EMOTIONS))).logsumexp(1)


class PlaceSimilarity(Similarity):
    r"""The toy's exact similarity: how surely a point lies at its prompt's place.

    :math:`100 \sum_{e \in c} g / (\sum g + 0.5)` with
    :math:`g = \exp(-d^2 / 2(s^2 + 0.6^2))`: the 0.5 stands for "nothing yet".

    Args:
        dimension: of the points, as the backbone's.
    """

    means: Tensor

    def __init__(self, dimension: int = 2) -> None:
        super().__init__()
        self.register_buffer("means", means(dimension))

    def forward(self, image: Tensor, prompts: Sequence[str]) -> Tensor:
        """(B,) in [0, 100], of points (B, dimension)."""
        square = ((image[:, None] - self.means) ** 2).sum(-1)
        g = (-square / (2 * (SCALE**2 + BLUR**2))).exp()
        places = g.unflatten(-1, (len(CONTENTS), len(EMOTIONS))).sum(-1)
        said = [set(words_of(prompt)) for prompt in prompts]
        named = torch.tensor([[float(name in words) for name in CONTENTS] for words in said])
        return 100 * (places * named.to(places)).sum(-1) / (places.sum(-1) + 0.5)
