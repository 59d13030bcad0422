"""HOW the model is steered: the contract.

A steering method owns the variable that is optimised; the sampler owns the loop. How methods are
made of the same pieces:

===================  ==================  ================  ============================
method               variable            ``inject``        ``carry``
===================  ==================  ================  ============================
MUSE                 tokens S            c -> c ++ S       S, to the next step
latent guidance      offset on x         x -> x + offset   0: each step starts anew
prompt only          none                identity          nothing
===================  ==================  ================  ============================
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from muse.backbones import Backbone
from muse.core.types import Cond, Denoised, Rows


class Steering(nn.Module, ABC):
    """Something to optimise, and the way that it enters the model.

    State is a mapping of tensors with the row axis first; it goes in and comes out, and every
    method here treats rows apart.
    """

    @abstractmethod
    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Rows:
        """The state of one row (1, ...) when steering begins.

        Args:
            x: its latent.
            cond: its text condition.
            generator: its own random stream, on the CPU.
        """

    @abstractmethod
    def variables(self, state: Rows) -> tuple[str, ...]:
        """The names in `state` that the loss is differentiated by."""

    @abstractmethod
    def inject(self, backbone: Backbone, x: Tensor, cond: Cond, state: Rows) -> tuple[Tensor, Cond]:
        """How the state enters the model: the latent and the condition that it is shown.

        The unconditional prediction of a step is made at x as it was.
        """

    @abstractmethod
    def step(self, state: Rows, gradient: Rows, i: Tensor, k: Tensor) -> Rows:
        """One optimiser step.

        Args:
            state: of B rows.
            gradient: of the total loss by each variable, same shapes.
            i: sampling step of each row, (B,).
            k: inner iteration of each row, (B,); moments start anew where it is 0.

        Returns:
            the new state; `state` itself is left as it is.
        """

    def finish(self, denoised: Denoised, state: Rows) -> Denoised:
        """What becomes of a prediction when it is accepted for the step; identity for most."""
        return denoised

    def carry(self, state: Rows) -> Rows:
        """What the next sampling step starts from, given the accepted state; all of it for most."""
        return state
