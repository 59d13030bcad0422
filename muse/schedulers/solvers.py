r"""How a latent moves from node to node: solvers.

Nodes and solver are chosen apart. Every solver reads the prediction alone: with
:math:`x = \alpha x_0 + \sigma \epsilon` the latent is in it.

====================  =============================================================================
diffusers             here
====================  =============================================================================
DDIMScheduler         `DDIM`, ``eta`` as there
EulerDiscrete         `DDIM` at that scheduler's nodes: the same step
FlowMatchEuler        `DDIM` at a flow's nodes: the same step
DPMSolverMultistep    `DPMSolver2M` at that scheduler's nodes (order 2, midpoint, dpmsolver++)
====================  =============================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from muse.core.types import Denoised, MuseError
from muse.schedulers.grid import TimeGrid


class Solver(nn.Module, ABC):
    """Moves a latent from one node to the next.

    State goes in and comes out: a solver keeps nothing about a row, so rows never meet in it.
    """

    undoable: bool = False
    """Whether a step is the plain DDIM step, which an inversion undoes."""

    def init(self) -> Any:
        """The state before the first step; None for solvers that look at one step alone."""
        return None

    @abstractmethod
    def forward(
        self, denoised: Denoised, state: Any, grid: TimeGrid, i: int, generator: torch.Generator
    ) -> tuple[Tensor, Any]:
        """One step.

        Args:
            denoised: the prediction at node `i`, one row (1, ...).
            state: what `init` or the last call returned.
            grid: the row's nodes.
            i: the node that the latent is at.
            generator: the row's own stream for noise that a step adds, on the CPU.

        Returns:
            the latent at node i + 1, (1, ...), and the new state.
        """


class DDIM(Solver):
    r"""The DDIM step; with noise of its own where eta is above 0, DDPM's at 1 (Song et al. 2021).

    :math:`x' = \alpha' x_0 + \sqrt{\sigma'^2 - n^2}\,\epsilon + n z` with
    :math:`n = \eta\,\sigma' \sqrt{1 - (\alpha\sigma' / \alpha'\sigma)^2}`, z standard normal (Eq.
    12 and 16; written with both levels it holds for flows too). Without noise it is Euler's step in
    :math:`\sigma / \alpha`, and for a flow Euler's step.

    Args:
        eta: how much of the noise is new, 0 to 1.

    Raises:
        MuseError: eta out of range.
    """

    def __init__(self, eta: float = 0.0) -> None:
        super().__init__()
        if not 0 <= eta <= 1:
            raise MuseError(f"eta = {eta:g} is out of range. Use 0 to 1.")
        self.eta = eta
        self.undoable = eta == 0

    def forward(
        self, denoised: Denoised, state: Any, grid: TimeGrid, i: int, generator: torch.Generator
    ) -> tuple[Tensor, Any]:
        """The step; it keeps no state."""
        if self.eta == 0:
            return grid.advance(denoised, i), state
        here, there = grid[i], grid[i + 1]
        kept = (here.alpha * there.sigma / (there.alpha * here.sigma)) ** 2
        new = self.eta * there.sigma * (1 - kept).clamp(min=0).sqrt()
        x = denoised.at(there.alpha, (there.sigma**2 - new**2).clamp(min=0).sqrt())
        noise = torch.randn(x.shape, generator=generator)
        return x + new.to(x) * noise.to(x), state


class DPMSolver2M(Solver):
    r"""DPM-Solver++ of second order in many steps, midpoint: half the steps of DDIM for the same
    picture (Lu et al. 2022, Algorithm 2).

    With :math:`\lambda = \log(\alpha / \sigma)`, :math:`h = \lambda' - \lambda` and, of the step
    before, :math:`r = h_{before} / h`:

    .. math::
        D &= x_0 + \tfrac{1}{2r}(x_0 - x_{0,before}), \qquad
        x' = \tfrac{\sigma'}{\sigma} x - \alpha' (e^{-h} - 1) D

    The first step, and the last one to a node without noise, are of first order, as is the last of
    fewer than 15 (diffusers' ``lower_order_final``). Its state is the step before.
    """

    def init(self) -> Mapping[str, Tensor]:
        """No step before."""
        return {}

    def forward(
        self, denoised: Denoised, state: Any, grid: TimeGrid, i: int, generator: torch.Generator
    ) -> tuple[Tensor, Any]:
        """The step, and the prediction and lambda that it began with."""
        here, there = grid[i], grid[i + 1]
        now, then = (here.alpha / here.sigma).log(), (there.alpha / there.sigma).log()
        last = i + 1 == len(grid) and (len(grid) < 15 or not there.sigma)
        direction = denoised.x0
        if state and not last and now > state["lambda"]:  # a clamped grid may hold a node twice
            r = (now - state["lambda"]) / (then - now)
            direction = direction + (0.5 / r).to(direction) * (direction - state["x0"])
        x = denoised.at(here.alpha, here.sigma)
        shrink, pull = there.sigma / here.sigma, there.alpha * torch.expm1(now - then)
        moved = shrink.to(x) * x - pull.to(x) * direction
        return moved, {"x0": denoised.x0, "lambda": now}
