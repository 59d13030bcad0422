"""Which rows of a set are one picture: bootstrap draws repeat some, and a plain one stands for
several jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS, strongest
from muse.metrics.base import Made

BITS = 2**48
"""Fingerprints are smaller; times 8, they are still exact as float64."""


def fingerprints(pictures: Sequence[Made]) -> Tensor:
    """A number for each picture that those of the same pixels share, (N, 1), float64."""
    found = {id(p.image): _fingerprint(p.image) for p in pictures}
    return torch.tensor([[found[id(p.image)]] for p in pictures], dtype=torch.float64)


def _fingerprint(image: Tensor) -> int:
    data = image.cpu().contiguous().numpy().tobytes()
    return int.from_bytes(blake2b(data, digest_size=6).digest())


def of_emotions(pictures: Sequence[Made], features: Tensor) -> Tensor:
    """Features beside what they are of, for `spread_within_emotions`.

    Args:
        pictures: N.
        features: (N, D), float64.

    Returns:
        (N, 2 + D): a number that the same pixels with the same strongest emotion share, that
        emotion's number in `EMOTIONS`, and the features.
    """
    numbers = [[EMOTIONS.index(strongest(p.target))] for p in pictures]
    emotion = torch.tensor(numbers, dtype=torch.float64)
    return torch.cat([fingerprints(pictures) + BITS * emotion, emotion, features], dim=1)


def distinct(described: Tensor) -> tuple[Tensor, Tensor]:
    """The different pictures among rows that begin with a fingerprint.

    Args:
        described: (N, 1 + D).

    Returns:
        their other columns (n, D), and how often each occurs (n,).
    """
    _, inverse, counts = described[:, 0].unique(return_inverse=True, return_counts=True)
    rows = torch.arange(len(described))
    first = torch.full_like(counts, len(described)).scatter_reduce(0, inverse, rows, "amin")
    return described[first, 1:], counts.to(described)


def spread_within_emotions(described: Tensor) -> float:
    r"""The mean of :math:`\frac12 |x_i - x_j|^2` over pairs of different pictures of an emotion
    (the sample variance, summed over dimensions, where each occurs once), as a mean over emotions.

    Over weights, :math:`\sum_{ij} w_i w_j \frac12 |x_i - x_j|^2 = W \sum_i w_i |x_i|^2 - |\sum_i
    w_i x_i|^2`, and :math:`W^2 - \sum_i w_i^2` is the weight of pairs of different ones.

    Args:
        described: (N, 2 + D), as `of_emotions` makes it.

    Returns:
        nan where no emotion has two different pictures.
    """
    rows, weights = distinct(described)
    emotion, features = rows[:, 0].long(), rows[:, 1:]

    def total(values: Tensor) -> Tensor:
        sums = torch.zeros(len(EMOTIONS), *values.shape[1:]).to(values)
        return sums.index_add(0, emotion, values)

    weight = total(weights)
    moment = weight * total(weights * (features**2).sum(-1))
    moment = moment - (total(weights[:, None] * features) ** 2).sum(-1)
    several = total(torch.ones_like(weights)) > 1
    return float((moment / (weight**2 - total(weights**2)))[several].mean())
