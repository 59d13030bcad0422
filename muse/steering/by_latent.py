"""What guidance by a gradient of the latent is made of, whatever becomes of the gradient."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.asks import Ask, Evaluate
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError, Tensors
from muse.schedulers import TimeGrid
from muse.steering.base import Steered, Steering, Step
from muse.steering.word import checked, prompts_of, worded


class ByLatent(Steering):
    """A steering whose gradient is one by the latent, through the model: both branches of its
    guidance, which are made anew at the latent that is varied.
    """

    needs_unconditional = False  # it is made with the gradient
    scales_apart = False  # its own strength says how much is added

    def __init__(self, template: str | None = None) -> None:
        super().__init__()
        self.template = None if template is None else checked(template)

    def prompts(self, job: Job) -> Sequence[str]:
        """The one with the word, where there is a template."""
        return prompts_of(self.template, job)

    def told(self, step: Step) -> Step:
        """With the condition of that prompt, and with no plain prediction, which is another's."""
        told = worded(step, self.template)
        return step if told is step else replace(told, plain=None)

    def follow(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The prediction of what the model is told."""
        return (yield from super().follow(self.told(step), state))

    def variables(self, state: Tensors) -> tuple[str, ...]:
        """The latent."""
        return ("x",)

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The model is shown the latent of the state."""
        return state["x"], cond

    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> Tensors:
        """Nothing is searched."""
        return state

    def ask(self, step: Step, x: Tensor, again: int = 0, noise: Tensor | None = None) -> Evaluate:
        """The loss at a latent of this step's node, and its gradient by that latent.

        Args:
            step: where the row stands.
            x: the latent, (1, ...).
            again: how often the step was taken before.
            noise: as `Evaluate`'s.
        """
        given = {"unconditional": None, "plain": None, "null": step.null}
        ask = step.evaluate(self, {"x": x}, iteration=again, noise=noise, **given)
        return replace(ask, x=x)


def noised_back(x: Tensor, grid: TimeGrid, i: int, generator: torch.Generator) -> Tensor:
    r"""A latent at node i + 1 brought back to node i by fresh noise, for a step to be taken again:
    :math:`\frac{\alpha}{\alpha'} x + \sqrt{\sigma^2 - (\alpha\sigma' / \alpha')^2}\, z` (Lugmayr et
    al. 2022, Eq. 1, with both levels, so that it holds for flows too).

    Args:
        x: the latent, (1, ...).
        grid: the nodes.
        i: of the node to go back to.
        generator: draws z, on the CPU.
    """
    here, there = grid[i], grid[i + 1]
    kept = here.alpha / there.alpha
    fresh = (here.sigma**2 - (kept * there.sigma) ** 2).clamp(min=0).sqrt()
    noise = torch.randn(x.shape, generator=generator)
    return kept.to(x) * x + fresh.to(x) * noise.to(x)


def check_strengths(**strengths: float) -> None:
    """Refuse strengths below 0.

    Raises:
        MuseError: one of them.
    """
    for name, value in strengths.items():
        if not value >= 0:
            raise MuseError(f"{name} = {value:g} is not allowed. Use 0 or more.")
