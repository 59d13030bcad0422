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


def fingerprints(pictures: Sequence[Made]) -> Tensor:
    """A number for each picture that those of the same pixels share, (N, 1), float64."""
    found = {id(p.image): _fingerprint(p.image) for p in pictures}
    return torch.tensor([[found[id(p.image)]] for p in pictures], dtype=torch.float64)


def _fingerprint(image: Tensor) -> int:
    data = image.cpu().contiguous().numpy().tobytes()
    return int.from_bytes(blake2b(data, digest_size=6).digest())  # 48 bits: exact as float64


def emotion_numbers(pictures: Sequence[Made]) -> Tensor:
    """The strongest emotion of each picture's target, as its number in `EMOTIONS`, (N, 1)."""
    numbers = [[EMOTIONS.index(strongest(p.target))] for p in pictures]
    return torch.tensor(numbers, dtype=torch.float64)


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


def spread(rows: Tensor, weights: Tensor) -> float:
    r"""The mean of :math:`\frac12 |x_i - x_j|^2` over pairs of different pictures: what the sample
    variance is, summed over dimensions, where each occurs once.

    Args:
        rows: (n, D), of different pictures.
        weights: (n,), how often each occurs.

    Returns:
        nan for a single picture.
    """
    total, squares = weights.sum(), (weights**2).sum()
    if len(rows) < 2:
        return float("nan")
    moment = total * (weights @ (rows**2).sum(-1)) - ((weights @ rows) ** 2).sum()
    return float(moment / (total**2 - squares))


def mean_over_emotions(described: Tensor) -> float:
    """The mean over emotions of the `spread` of their pictures; those with a single one have none.

    Args:
        described: (N, 2 + D): fingerprint, emotion's number, features.
    """
    groups = [described[described[:, 1] == number] for number in range(len(EMOTIONS))]
    found = []
    for group in groups:
        rows, weights = distinct(group)
        if len(rows) > 1:
            found.append(spread(rows[:, 1:], weights))
    return sum(found) / len(found) if found else float("nan")
