"""Universal Guidance: gradients by the latent and by x0, and steps taken again."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from muse.core.asks import Ask, Judge
from muse.core.errors import check_counts
from muse.core.types import Denoised, Tensors, per_row
from muse.steering.base import Steered, Step
from muse.steering.by_latent import ByLatent, check_strengths, noised_back


class UniversalGuidance(ByLatent):
    r"""Universal Guidance (Bansal et al. 2023, Algorithm 1), with `MultiEmotionLoss` or any other.

    Forward (Eq. 6): :math:`\epsilon' = \epsilon + w\,\sigma\,\nabla_x L(f(x_0(x)))`, the gradient
    through the model, both branches of its guidance included. Backward (Eq. 7 to 9): :math:`m`
    steps of gradient descent on :math:`L(f(x_0 + \Delta))`, then :math:`\epsilon'' = \epsilon' -
    \frac{\alpha}{\sigma} \Delta`. With k recurrences the step is taken, noised back, and taken
    again.

    Published for Stable Diffusion 1.4: 500 steps, no backward steps, w 6 and k 6 for a style, CFG 3
    (the repository's README and scripts; its sampler for latent models never reads m).

    Args:
        strength: w, 0 or more.
        recurrences: k, how often each step is taken, 1 or more.
        backward: m, 0 or more.
        backward_rate: of the gradient descent on x0, above 0.
        template: of the prompt that the model is told while it is steered, as `EmotionWord`'s; None
            is the job's, as published.

    Raises:
        MuseError: one of them out of range, or a template without ``{emotion}``.
    """

    def __init__(
        self,
        strength: float = 15.0,
        recurrences: int = 1,
        backward: int = 0,
        backward_rate: float = 0.01,
        template: str | None = None,
    ) -> None:
        super().__init__(template)
        check_strengths(strength=strength, backward=backward, backward_rate=backward_rate)
        check_counts(recurrences=recurrences)
        self.strength, self.recurrences = strength, recurrences
        self.predicts = recurrences == 1  # the last of more is of a latent that was noised anew
        self.backward, self.backward_rate = backward, backward_rate

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """One evaluation for each recurrence, and m judgements."""
        step = self.told(step)
        x, here = step.x, step.node
        for again in range(self.recurrences):
            [found] = yield [self.ask(step, x, again)]
            step.note(again, found)
            plain = step.guidance.mixed(found.prediction, found.unconditional)
            noise = plain.eps
            if found.steppable:
                noise = noise + self.strength * per_row(here.sigma, x) * found.gradient["x"]
            change = yield from self.searched(step, plain)
            guided = plain
            if here.alpha > 0:  # at pure noise x0 can't be told from eps
                ratio = per_row(here.alpha / here.sigma, x)
                guided = Denoised.from_eps(x, noise - ratio * change, here.alpha, here.sigma)
            if again + 1 < self.recurrences:
                x = noised_back(step.advance(guided), step.grid, step.i, step.generator)
        step.trace.iterations.append(self.recurrences)
        return Steered(guided, state, quiet=step.satisfied(found))

    def searched(self, step: Step, plain: Denoised) -> Generator[list[Ask], list[Any], Any]:
        """What x0 is changed by, (1, ...); it ends early where the gradient is not finite."""
        x0 = plain.x0
        for _ in range(self.backward):
            [judged] = yield [Judge(x0, step.goal, step.job.prompt)]
            if not judged.finite:
                break
            x0 = x0 - self.backward_rate * judged.gradient
        return x0 - plain.x0
