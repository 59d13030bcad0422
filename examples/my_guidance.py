"""A steering of one's own that searches nothing: forward Universal Guidance.

muse fit-free --config configs/toy.yaml --model.steering examples.my_guidance.ForwardGuidance \
    --model.steering.strength 1
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.asks import Ask
from muse.core.types import Cond, Denoised, MuseError, Tensors
from muse.steering import Steered, Steering, Step


class ForwardGuidance(Steering):
    r"""Add the loss's gradient by the latent to the noise (Bansal et al. 2023, Sec. 3.1, forward).

    :math:`\epsilon' = \epsilon + w\,\sigma\,\nabla_x L(f(x_0(x)))`, the gradient through the model,
    both branches of its guidance included. With recurrences the step is taken, noised back by fresh
    noise, and taken again.

    Args:
        strength: w, 0 or more.
        recurrences: how often each step is taken, 1 or more.

    Raises:
        MuseError: one of them out of range.
    """

    needs_unconditional = False  # it is made with the gradient

    def __init__(self, strength: float = 15.0, recurrences: int = 1) -> None:
        super().__init__()
        if not strength >= 0:
            raise MuseError(f"strength = {strength:g} is not allowed. Use 0 or more.")
        if recurrences < 1:
            raise MuseError(f"recurrences = {recurrences} is not allowed. Use 1 or more.")
        self.strength, self.recurrences = strength, recurrences

    def variables(self, state: Tensors) -> tuple[str, ...]:
        """The latent."""
        return ("x",)

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The model is shown the latent of the state."""
        return state["x"], cond

    def step(self, state: Tensors, gradient: Tensors, i: Tensor, k: Tensor) -> Tensors:
        """Nothing is searched."""
        return state

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """One evaluation for each recurrence."""
        x, here, there = step.x, step.node, step.grid[step.i + 1]
        for again in range(self.recurrences):
            ask = step.evaluate(self, {"x": x}, unconditional=None, null=step.null, iteration=again)
            [found] = yield [replace(ask, x=x)]
            step.note(again, found)
            guided = step.guidance.mixed(found.prediction, found.unconditional)
            if found.steppable and here.alpha > 0:  # at pure noise x0 can't be told from eps
                push = self.strength * here.sigma.to(x) * found.gradient["x"]
                guided = Denoised.from_eps(x, guided.eps + push, here.alpha, here.sigma)
            if again + 1 < self.recurrences:
                kept = here.alpha / there.alpha
                fresh = (here.sigma**2 - (kept * there.sigma) ** 2).clamp(min=0).sqrt()
                noise = torch.randn(x.shape, generator=step.generator)
                x = kept.to(x) * step.grid.advance(guided, step.i) + fresh.to(x) * noise.to(x)
        step.trace.iterations.append(self.recurrences)
        return Steered(guided, state)
