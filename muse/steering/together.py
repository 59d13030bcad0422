"""Tokens and latent guided together, by one backward pass."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal

from torch import Tensor

from muse.backbones import Backbone
from muse.core.asks import Ask, Evaluation
from muse.core.errors import check_choice
from muse.core.jobs import Job
from muse.core.types import Cond, Denoised, MuseError, Tensors, per_row
from muse.steering.base import Steered, Step
from muse.steering.by_latent import ByLatent, check_strengths
from muse.steering.optimization import Optimization
from muse.steering.rules import Polyak
from muse.steering.tokens import TokenOptimization
from muse.steering.training_free import rms


class TokensAndLatent(ByLatent):
    r"""Emotion tokens S and the latent, both from one evaluation a step, with no inner loop.

    The loss of the prediction under S is differentiated by x, through both branches of guidance,
    and by S. The gradient by x is added to the noise, as in forward Universal Guidance (Bansal et
    al. 2023, Eq. 6); the one by S moves S for the next step, as in the paper, by the tokens' own
    rule. The tokens say it in the words of the model, the latent keeps the step from waiting for
    them.

    Args:
        tokens: the search for S; None is `TokenOptimization` with `Polyak`'s step, which has no
            rate.
        strength: w, of the gradient by x, 0 or more.
        unit: what w counts: ``noise``: :math:`\epsilon' = \epsilon + w\,\sigma\,\nabla_x L`;
            ``guidance``: the change of the noise has w times the root mean square of
            :math:`\epsilon_c - \epsilon_u` (as FreeDoM's scale, which has no unit).

    Raises:
        MuseError: a strength below 0.
    """

    def __init__(
        self,
        tokens: Optimization | None = None,
        strength: float = 6.0,
        unit: Literal["noise", "guidance"] = "noise",
    ) -> None:
        super().__init__()
        check_strengths(strength=strength)
        check_choice("unit", unit, ("noise", "guidance"))
        self.tokens = tokens or TokenOptimization(rule=Polyak())
        self.strength, self.unit = strength, unit

    def init(self, x: Tensor, cond: Cond, generator: Any) -> Tensors:
        """What the tokens begin with."""
        return self.tokens.init(x, cond, generator)

    def prompts(self, job: Job) -> Sequence[str]:
        """Those of the tokens."""
        return self.tokens.prompts(job)

    def variables(self, state: Tensors) -> tuple[str, ...]:
        """The latent, and what the tokens vary."""
        return ("x", *self.tokens.variables(state))

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The latent of the state, and the condition with S."""
        return self.tokens.inject(backbone, state["x"], cond, state)

    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> Tensors:
        """One step of S; the latent stays what it was."""
        return {**self.tokens.step(state, gradient, loss, i, k), "x": state["x"]}

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """One evaluation."""
        given = {"unconditional": None, "plain": None, "null": step.null}
        told = self.tokens.told(step)
        [found] = yield [told.evaluate(self, {**state, "x": step.x}, **given)]
        step.note(0, found)
        guided = step.guidance.mixed(found.prediction, found.unconditional)
        step.trace.iterations.append(1)
        if not found.steppable:
            return Steered(guided, state)
        after = {name: value for name, value in found.proposal.items() if name != "x"}
        here = step.node
        if here.alpha > 0:  # at pure noise x0 can't be told from eps
            noise = guided.eps + self.push(step, found)
            guided = Denoised.from_eps(step.x, noise, here.alpha, here.sigma)
        return Steered(guided, after, quiet=step.satisfied(found))

    def follow(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The prediction under S, as it is, and nothing pushed."""
        x, cond = step.inject(self.tokens, self.tokens.told(step).cond, state)
        return Steered((yield from step.guided(cond, x=x)), state)

    def push(self, step: Step, found: Evaluation) -> Tensor:
        """What is added to the noise, (1, ...)."""
        slope = found.gradient["x"]
        if self.unit == "noise":
            return self.strength * per_row(step.node.sigma, slope) * slope
        if found.unconditional is None:
            raise MuseError(
                "unit = guidance measures by what the prompt adds to the unconditional prediction. "
                "Use a guidance_scale other than 1, or unit = noise."
            )
        apart = rms(found.prediction.eps - found.unconditional.eps)
        return self.strength * apart / rms(slope).clamp(min=1e-12) * slope
