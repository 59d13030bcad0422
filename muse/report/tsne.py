"""t-SNE: points of many dimensions on a plane, neighbours beside each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

STEPS, EARLY = 600, 150
EXAGGERATION = 12.0
LEAST = 1e-12


def tsne(points: Tensor, perplexity: float = 30.0) -> Tensor:
    r"""Exact t-SNE (van der Maaten and Hinton 2008), by gradient descent from the first two
    principal components, so that it is the same every time.

    Similarities are :math:`p_{ij} \propto e^{-\|x_i - x_j\|^2 / 2 \sigma_i^2}`, each
    :math:`\sigma_i` of the given perplexity, symmetrised; on the plane
    :math:`q_{ij} \propto (1 + \|y_i - y_j\|^2)^{-1}`; the descent is on
    :math:`KL(p \,\|\, q)`, with early exaggeration 12 and the rate N / 12 (Belkina et al. 2019).
    Memory grows with the square of N.

    Args:
        points: (N, D), N at least 4.
        perplexity: about how many neighbours count; at most a third of N is used.

    Returns:
        (N, 2).
    """
    x = points.double() - points.double().mean(0)
    count = len(x)
    p = _similarities(torch.cdist(x, x).square(), min(perplexity, (count - 1) / 3))
    y = _principal(x)
    speed, gain = torch.zeros_like(y), torch.ones_like(y)
    for step in range(STEPS):
        wanted = p * EXAGGERATION if step < EARLY else p
        near = 1 / (1 + torch.cdist(y, y).square())
        near.fill_diagonal_(0)
        pull = (wanted - near / near.sum()) * near
        gradient = 4 * (pull.sum(1, keepdim=True) * y - pull @ y)
        same = (gradient > 0) == (speed > 0)
        gain = torch.where(same, gain * 0.8, gain + 0.2).clamp(min=0.01)
        momentum = 0.5 if step < EARLY else 0.8
        speed = momentum * speed - max(count / EXAGGERATION, 50.0) * gain * gradient
        y = y + speed
        y = y - y.mean(0)
    return y


def _principal(x: Tensor) -> Tensor:
    """The first two principal components, their signs fixed, the first of deviation 1e-4."""
    _, _, directions = torch.linalg.svd(x, full_matrices=False)
    first = directions[:2]
    largest = first.gather(1, first.abs().argmax(1, keepdim=True))
    y = x @ (first * largest.sign()).T
    return 1e-4 * y / y[:, 0].std().clamp(min=LEAST)


def _similarities(squared: Tensor, perplexity: float) -> Tensor:
    """The symmetric p (N, N), each row's width found by bisection."""
    count = len(squared)
    low = torch.zeros(count, 1, dtype=squared.dtype, device=squared.device)
    high = torch.full_like(low, math.inf)
    scale = squared.mean().clamp(min=LEAST)
    beta = torch.ones_like(low)
    own = torch.eye(count, dtype=torch.bool, device=squared.device)
    away = (squared / scale).masked_fill(own, math.inf)
    for _ in range(60):
        p = (-(away - away.amin(1, keepdim=True)) * beta).softmax(1)
        entropy = -(p * p.clamp(min=LEAST).log()).sum(1, keepdim=True)
        wide = entropy > math.log(perplexity)
        low, high = torch.where(wide, beta, low), torch.where(wide, high, beta)
        beta = torch.where(high.isinf(), 2 * beta, (low + high) / 2)
    return ((p + p.T) / (2 * count)).clamp(min=LEAST)
