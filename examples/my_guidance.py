"""A steering of one's own that searches nothing: the clean latent is nudged, the model not asked.

muse fit-free --config configs/toy.yaml --model.steering examples.my_guidance.Nudge
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from muse.core.asks import Ask, Judge
from muse.core.types import Denoised, MuseError, Tensors
from muse.steering import Steered, Steering, Step


class Nudge(Steering):
    r"""Move each step's predicted x0 by one length against the loss's gradient.

    :math:`x_0' = x_0 - r\,RMS(x_0)\,g / RMS(g)` with :math:`g = \nabla_{x_0} L(f(x_0))`: guidance
    by x0 alone, as MPGD has it (He et al. 2024), with a step that has no unit. No gradient goes
    through the model.

    Args:
        rate: r, 0 or more.

    Raises:
        MuseError: a rate below 0.
    """

    needs_plain = True

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        if not rate >= 0:
            raise MuseError(f"rate = {rate:g} is not allowed. Use 0 or more.")
        self.rate = rate

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """One judgement for each step."""
        plain = yield from step.predicted()
        guided = step.guidance.mixed(plain, step.unconditional)
        [judged] = yield [Judge(guided.x0, step.goal, step.job.prompt)]
        step.note(0, judged)
        if judged.finite and judged.gradient.any():
            size = guided.x0.square().mean().sqrt() / judged.gradient.square().mean().sqrt()
            x0 = guided.x0 - self.rate * size * judged.gradient
            guided = Denoised.from_x0(step.x, x0, step.node.alpha, step.node.sigma)
        step.trace.iterations.append(1)
        return Steered(guided, state)
