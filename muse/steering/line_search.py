"""A step rule that tries its steps before it takes them."""

from __future__ import annotations

import torch
from torch import Tensor

from muse.core.types import MuseError, Tensors, per_row
from muse.steering.rules import Aimed, TrialRule

DECREASE = 1e-4
"""Of what the slope promises, how much a step must keep (Nocedal & Wright 2006, Sec. 3.1)."""


class LineSearch(Aimed, TrialRule):
    r"""Steepest descent by a backtracking line search (Nocedal & Wright 2006, Alg. 3.1) whose
    trials are evaluations without gradient.

    From a gradient g at loss :math:`L_0` the first trial is Polyak's step,
    :math:`t_0 = (L_0 - L^*) / |g|` along :math:`-g / |g|`, no longer than `reach`. It is kept where
    :math:`L(t) \le L_0 - 10^{-4}\, t\, |g|`; else the next trial is where the parabola through
    :math:`L_0`, its slope and :math:`L(t)` is least (Eq. 3.58),
    :math:`t' = \frac{|g| t^2}{2 (L(t) - L_0 + |g| t)}`, between a tenth and a half of t. When one
    is kept, or `trials` are spent, the next evaluation takes a gradient again. Where no gradient
    follows (the last iteration, a trial below the tolerance) a step has cost one forward pass.

    Trials count as iterations (`max_iterations`). Where a steering makes one evaluation a step
    (`TokensAndLatent`) none is made, and this is `Polyak`.

    Args:
        aim, reach: as `Aimed`'s.
        trials: after each gradient, at most, 1 or more.

    Raises:
        MuseError: reach not above 0, or trials below 1.
    """

    def __init__(self, aim: float | None = None, reach: float = 0.5, trials: int = 3) -> None:
        super().__init__(aim, reach)
        if trials < 1:
            raise MuseError(f"trials = {trials} is not allowed. Use 1 or more.")
        self.trials = trials

    def init(self, variable: Tensor) -> Tensors:
        """No direction, and no trial to make."""
        none = variable.new_zeros(1)
        return {
            "direction": torch.zeros_like(variable),
            "began": none,
            "steepness": none.clone(),
            "length": none.clone(),
            "left": none.clone(),
            **self.told(variable),
        }

    def forward(
        self, slope: Tensor, state: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensors]:
        """The first trial along each row's gradient; rows at their aim stay where they are."""
        steepness = slope.flatten(1).norm(dim=1).clamp(min=1e-12)
        direction = -slope / per_row(steepness, slope)
        length = (self.gap(loss, state, steepness) / steepness).clamp(max=self.longest(slope))
        after = {
            "direction": direction,
            "began": loss.to(steepness),
            "steepness": steepness,
            "length": length,
            "left": torch.full_like(length, self.trials),
        }
        return per_row(length, direction) * direction, {**after, **self.kept(state)}

    def tries(self, state: Tensors) -> bool:
        """Until one is kept, or none is left."""
        return bool((state["left"] > 0).all())

    def tried(self, state: Tensors, loss: Tensor) -> tuple[Tensor, Tensors]:
        """A trial is kept, or shortened."""
        length, steepness, left = state["length"], state["steepness"], state["left"]
        promised, risen = steepness * length, loss.to(length) - state["began"]
        keep = risen <= -DECREASE * promised
        least = promised * length / (2 * (risen + promised)).clamp(min=1e-30)
        shorter = torch.minimum(torch.maximum(least, length / 10), length / 2)
        after = torch.where(keep, length, shorter)
        move = per_row(after - length, state["direction"]) * state["direction"]
        left = torch.where(keep, 0, left - 1)
        return move, {**state, "length": after, "left": left}
