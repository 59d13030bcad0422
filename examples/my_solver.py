"""A solver of one's own: two predictions weighed as Adams and Bashforth do.

muse fit-free --config configs/toy.yaml --model.scheduler examples.my_solver.AdamsBashforth
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from muse.core.types import Denoised, per_row
from muse.schedulers import Solver, TimeGrid


class AdamsBashforth(Solver):
    r"""Euler's step in :math:`\tau = \sigma / \alpha`, along this noise and the one before.

    With :math:`h = \tau' - \tau` and :math:`r = h / h_{before}` it goes along
    :math:`(1 + r/2)\,\epsilon - (r/2)\,\epsilon_{before}`, the two-step Adams-Bashforth method for
    uneven steps (PNDM's higher orders, Liu et al. 2022); the first step is Euler's.
    """

    def forward(
        self, denoised: Denoised, state: Any, grid: TimeGrid, i: int, generator: torch.Generator
    ) -> tuple[Tensor, Any]:
        """The step, and the noise and step length that it had."""
        here, there = grid[i], grid[i + 1]
        if not here.alpha:  # a flow's first node, infinitely far in tau
            return grid.advance(denoised, i), None
        h = there.sigma / there.alpha - here.sigma / here.alpha
        eps = denoised.eps
        if state is not None:
            r = h / state["h"]
            eps = per_row(1 + r / 2, eps) * eps - per_row(r / 2, eps) * state["eps"]
        x = denoised.at(here.alpha, here.sigma) / here.alpha.to(eps) + h.to(eps) * eps
        return there.alpha.to(eps) * x, {"eps": denoised.eps, "h": h}
