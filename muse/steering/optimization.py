"""Steering by search: a variable is optimised at each step until the loss is small."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.asks import Ask
from muse.core.types import Cond, Denoised, MuseError, Tensors
from muse.steering.base import Steered, Steering, Step


class Optimization(Steering):
    """Something to optimise, and the way that it enters the model; when the search ends, and which
    iterate is accepted, is the sampler's business (`muse.sampling.search`).

    ===================  ==================  ================  ============================
    method               variable            ``inject``        ``carry``
    ===================  ==================  ================  ============================
    MUSE                 tokens S            c -> c ++ S       S, to the next step
    latent guidance      offset on x         x -> x + offset   0: each step starts anew
    ===================  ==================  ================  ============================

    Every method here treats rows apart.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a `step` that was written before it was given the loss."""
        super().__init_subclass__(**options)
        if "step" in cls.__dict__ and len(inspect.signature(cls.step).parameters) != 6:
            raise MuseError(
                f"{cls.__name__}.step takes other arguments than muse gives: "
                "step(self, state, gradient, loss, i, k), the loss (B,) of each row among them."
            )

    @abstractmethod
    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Tensors:
        """The state of one row (1, ...) when steering begins.

        Args:
            x: its latent.
            cond: its text condition.
            generator: its own random stream, on the CPU.
        """

    @abstractmethod
    def variables(self, state: Tensors) -> tuple[str, ...]:
        """The names in `state` that the loss is differentiated by; none for a search that takes no
        gradient.
        """

    @abstractmethod
    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """How the state enters the model: the latent and the condition that it is shown.

        The unconditional prediction of a step is made at x as it was.
        """

    @abstractmethod
    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> Tensors:
        """One step of the search.

        Args:
            state: of B rows.
            gradient: of the total loss by each variable, same shapes.
            loss: the total loss of each row, (B,).
            i: sampling step of each row, (B,).
            k: inner iteration of each row, (B,); moments start anew where it is 0.

        Returns:
            the new state; `state` itself is left as it is.
        """

    def tries(self, state: Tensors) -> bool:
        """Whether a row's state is a trial, to be looked at without gradient; False for most."""
        return False

    def tried(self, state: Tensors, loss: Tensor) -> Tensors:
        """The new state after a trial, given the total loss there, (B,); `state` for most."""
        return state

    def told(self, step: Step) -> Step:
        """Where the row stands, with what the model is told in place of the prompt; the prompt for
        most.
        """
        return step

    def finish(self, denoised: Denoised, state: Tensors) -> Denoised:
        """What becomes of a prediction when it is accepted for the step; identity for most."""
        return denoised

    def carry(self, state: Tensors) -> Tensors:
        """What the next sampling step starts from, given the accepted state; all of it for most."""
        return state

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """Search from the state, and accept an iterate; where not even the first one is finite, the
        step is the plain model's.
        """
        ask = self.told(step).evaluate(self, state)
        accepted = yield from step.search(ask, step.trace, step.tell)
        if accepted is None:
            plain = yield from step.predicted()
            return Steered(step.guidance.mixed(plain, step.unconditional), state)
        denoised = step.guidance.mixed(accepted.prediction, step.unconditional, ask.plain)
        quiet = step.trace.iterations[-1] == 0 and step.satisfied(accepted)
        state = self.carry(accepted.state)
        return Steered(self.finish(denoised, accepted.state), state, quiet=quiet)

    def follow(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The prediction under the state, as it is."""
        x, cond = step.inject(self, self.told(step).cond, state)
        denoised = yield from step.guided(cond, x=x)
        return Steered(self.finish(denoised, state), self.carry(state))
