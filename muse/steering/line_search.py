"""A step rule that tries its steps before it takes them."""

from __future__ import annotations

import torch
from torch import Tensor

from muse.core.types import MuseError, Tensors, per_row
from muse.steering.rules import Aimed

DECREASE = 1e-4
"""Of what the slope promises, how much a first step must keep (Nocedal & Wright 2006, Sec. 3.1)."""
NEAR = 0.15
"""Another trial is not worth a pass where it is less than this much longer or shorter than the best
one."""


class LineSearch(Aimed):
    r"""Conjugate gradients with a line search whose trials are evaluations without gradient.

    The direction is Polak and Ribiere's (Nocedal & Wright 2006, Eq. 5.44 and 5.45),
    :math:`d = -g + \beta d_-` with :math:`\beta = \max(0, g^T (g - g_-) / |g_-|^2)`, begun with
    :math:`-g` at each sampling step, whose loss is another, and where d isn't downhill. Along
    :math:`\phi(t) = L(x + t d)` the first trial is Polyak's step, :math:`t = (L - L^*) / |g^T d|`,
    no longer than `reach`. Then

    - while none lowers the loss enough, :math:`\phi(t) \le \phi(0) - 10^{-4}\, t\, |g^T d|`: the
      least of the parabola through :math:`\phi(0)`, its slope and :math:`\phi(t)` (Eq. 3.58),
      between a tenth and a half of t;
    - while each is lower than the last: the least of that parabola, between half as far again and
      three times as far;
    - once a longer one is higher: the least of the parabola through 0, the best t and the longer
      one, no nearer to the longer than a quarter of the gap.

    The best one is where the next gradient is taken, when `trials` are spent or another would be
    within 15 % of it. Where no gradient follows (the last iteration, a trial below the tolerance) a
    step has cost passes without gradient alone.

    Trials count as iterations (`max_iterations`). Where a steering makes one evaluation a step
    (`TokensAndLatent`) none is made, and this is `Polyak`.

    Args:
        aim, reach: as `Aimed`'s.
        trials: after each gradient, at most, 1 or more.

    Raises:
        MuseError: reach not above 0, or trials below 1.
    """

    def __init__(self, aim: float | None = None, reach: float = 0.2, trials: int = 4) -> None:
        super().__init__(aim, reach)
        if trials < 1:
            raise MuseError(f"trials = {trials} is not allowed. Use 1 or more.")
        self.trials = trials

    def init(self, variable: Tensor) -> Tensors:
        """No direction, and no trial to make."""
        names = "began", "promise", "length", "low", "least", "high", "above", "left"
        return {
            "direction": torch.zeros_like(variable),
            "slope": torch.zeros_like(variable),
            **{name: variable.new_zeros(1) for name in names},
            **self.told(variable),
        }

    def forward(
        self, slope: Tensor, state: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensors]:
        """The first trial along each row's direction; rows at their aim stay where they are."""
        direction = _conjugate(slope, state["slope"], state["direction"], k)
        promise = -_dot(slope, direction).clamp(max=-1e-30)
        size = direction.flatten(1).norm(dim=1).clamp(min=1e-30)
        needed = self.gap(loss, state, promise) / promise
        length = torch.minimum(needed, self.longest(slope) / size)
        began, none = loss.to(promise), torch.zeros_like(promise)
        after = {
            "direction": direction,
            "slope": slope,
            "began": began,
            "promise": promise,
            "length": length,
            "low": none,
            "least": began,
            "high": none + torch.inf,
            "above": none + torch.inf,
            "left": torch.where(length > 0, self.trials, none),
        }
        return per_row(length, direction) * direction, {**after, **self.kept(state)}

    def tries(self, state: Tensors) -> bool:
        """Until none is left, or none worth it."""
        return bool((state["left"] > 0).all())

    def tried(self, state: Tensors, loss: Tensor) -> tuple[Tensor, Tensors]:
        """Another trial, or back to the best one, where that was the last; rows that have none left
        stay where they are.
        """
        t, going = state["length"], state["left"] > 0
        found = _bracketed(state, loss.to(t))
        low, after, left = found["low"], _next(found), state["left"] - 1
        kept = low > 0
        known = ((after - low).abs() < NEAR * low) | (after == t)  # a shorter one was worse
        left = torch.where(kept & known, 0, left).clamp(min=0)
        after = torch.where(kept & (left == 0), low, after)
        after = torch.where(going, after, t)
        move = per_row(after - t, state["direction"]) * state["direction"]
        return move, {**found, "length": after, "left": left}


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _conjugate(slope: Tensor, before: Tensor, last: Tensor, k: Tensor) -> Tensor:
    """Polak and Ribiere's direction, (B, ...); steepest where it begins, or isn't downhill."""
    size = _dot(before, before)
    begun = (k > 0).to(size.device) & (size > 0)
    beta = (_dot(slope, slope - before) / size.clamp(min=1e-30)).clamp(min=0)
    direction = per_row(torch.where(begun, beta, 0), slope) * last - slope
    downhill = _dot(direction, slope) < 0
    return torch.where(per_row(downhill, slope).bool(), direction, -slope)


def _bracketed(state: Tensors, loss: Tensor) -> Tensors:
    """The state with a trial's loss: the best one, and the next longer one that is higher."""
    t, low, least = state["length"], state["low"], state["least"]
    enough = torch.where(low > 0, 0, DECREASE * state["promise"] * t)
    better, longer = loss < least - enough, t > low
    high = torch.where(better, torch.where(longer, state["high"], low), state["high"])
    above = torch.where(better, torch.where(longer, state["above"], least), state["above"])
    worse = longer & ~better
    return {
        **state,
        "low": torch.where(better, t, low),
        "least": torch.where(better, loss, least),
        "high": torch.where(worse, t, high),
        "above": torch.where(worse, loss, above),
    }


def _next(state: Tensors) -> Tensor:
    """The length of the next trial, (B,)."""
    low, least, high, above = (state[name] for name in ("low", "least", "high", "above"))
    begun, promise = state["began"], state["promise"]
    shorter = _parabola(high, above - begun, promise).clamp(high / 10, high / 2)
    onward = _parabola(low, least - begun, promise).clamp(1.5 * low, 3 * low)
    # through (0, began), (low, least), (high, above)
    left, right = low * (least - above), (low - high) * (least - begun)
    curve = left - right
    between = low - (low * left - (low - high) * right) / (2 * curve)
    between = torch.where(curve.abs() > 0, between, low)
    between = between.clamp(low / 4, low + 0.75 * (high - low))
    return torch.where(low > 0, torch.where(high.isinf(), onward, between), shorter)


def _parabola(t: Tensor, rise: Tensor, promise: Tensor) -> Tensor:
    """Where a parabola is least that promises this much at 0 and has risen so much at t; inf where
    it has no least.
    """
    curve = rise + promise * t
    return torch.where(curve > 0, promise * t**2 / (2 * curve.clamp(min=1e-30)), torch.inf)
