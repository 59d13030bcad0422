"""How far a variable is moved along its gradient: step rules, for any search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from muse.core.errors import check_choice
from muse.core.types import MuseError, Tensors, per_row


class StepRule(nn.Module, ABC):
    """One step of a search, for B rows apart. Variables and gradients come in units of their own
    size (`TokenOptimization` divides by the text's root mean square), so that a setting means the
    same for every model.

    State goes in and comes out, with the row axis first; nothing about a row is kept here.
    """

    @abstractmethod
    def init(self, variable: Tensor) -> Tensors:
        """The state of one row (1, ...) when steering begins.

        Args:
            variable: what is searched for, (1, ...).
        """

    @abstractmethod
    def forward(
        self, slope: Tensor, state: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensors]:
        """What to add to the variable.

        Args:
            slope: the loss's gradient by it, (B, ...).
            state: what `init` or the last call returned.
            loss: at the present iterate, (B,).
            i: sampling step of each row, (B,).
            k: inner iteration of each row, (B,).

        Returns:
            the move (B, ...), and the new state.
        """

    def tries(self, state: Tensors) -> bool:
        """Whether the step that was just made is a trial, of one row (1, ...): the next evaluation
        takes no gradient, and the rule may move again; False for most.
        """
        return False

    def tried(self, state: Tensors, loss: Tensor) -> tuple[Tensor, Tensors]:
        """What to add to the variable after a trial; nothing for rules that try none.

        Args:
            state: what `forward` or the last call returned, of B rows.
            loss: at the trial, (B,).

        Returns:
            the move (B, ...), and the new state.
        """
        return torch.zeros_like(loss[:1]), state


class Adam(StepRule):
    r"""Adam (Kingma & Ba 2015; betas 0.9 and 0.999, eps 1e-8), its moments anew at each sampling
    step, with a rate that falls linearly, :math:`lr_i = lr\,(1 - i / 100)`, at least 0: the
    paper's (Sec. V-A).

    Args:
        lr: learning rate, above 0.
        decay_over: what i counts: the sampling ``step`` (as null-text inversion does, whose
            schedule this is), or the inner ``iteration``.

    Raises:
        MuseError: a rate not above 0.
    """

    def __init__(self, lr: float = 0.01, decay_over: Literal["step", "iteration"] = "step") -> None:
        super().__init__()
        above_zero(lr=lr)
        check_choice("decay_over", decay_over, ("step", "iteration"))
        self.lr, self.decay_over = lr, decay_over

    def init(self, variable: Tensor) -> Tensors:
        """Zero moments."""
        return {"mean": torch.zeros_like(variable), "square": torch.zeros_like(variable)}

    def forward(
        self, slope: Tensor, state: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensors]:
        """One step of Adam; the loss is not looked at."""
        i, k = i.cpu(), k.cpu()  # counted there in float64, which not every device has
        count = (k + 1).double()
        fresh = per_row(k == 0, slope).bool()
        mean = 0.1 * slope + 0.9 * state["mean"].masked_fill(fresh, 0)
        square = 0.001 * slope**2 + 0.999 * state["square"].masked_fill(fresh, 0)
        first = mean / per_row(1 - 0.9**count, slope)
        second = square / per_row(1 - 0.999**count, slope)
        decay = i if self.decay_over == "step" else k
        lr = self.lr * (1 - decay.double() / 100).clamp(min=0)
        move = -per_row(lr, slope) * first / (second.sqrt() + 1e-8)
        return move, {"mean": mean, "square": square}


class Aimed(StepRule):
    """A rule that is headed for a loss, and steps no further than a reach.

    Args:
        aim: the loss :math:`L^*` that it is headed for; None is half the tolerance at which a
            search ends, as far below it where that isn't above 0: a loss and a tolerance that are
            both so many times as large are searched alike.
        reach: the longest step, as the root mean square over the variable in its unit, above 0.

    Raises:
        MuseError: reach not above 0.
    """

    def __init__(self, aim: float | None = None, reach: float = 0.2) -> None:
        super().__init__()
        above_zero(reach=reach)
        self.aim, self.reach = aim, reach

    def told(self, variable: Tensor) -> Tensors:
        """Room in the state for the tolerance (1,), which `Step.evaluate` fills in; none where the
        aim is given.
        """
        return {"tolerance": variable.new_zeros(1)} if self.aim is None else {}

    def kept(self, state: Tensors) -> Tensors:
        """The tolerance as it was, for the new state."""
        return {"tolerance": state["tolerance"]} if self.aim is None else {}

    def aims(self, state: Tensors, like: Tensor) -> Tensor:
        """The loss :math:`L^*` of each row, (B,) or ()."""
        if self.aim is not None:
            return like.new_tensor(self.aim)
        tolerance = state["tolerance"].to(like)
        return tolerance - tolerance.abs() / 2

    def gap(self, loss: Tensor, state: Tensors, like: Tensor) -> Tensor:
        r""":math:`L - L^*` of each row, 0 at or below its aim, (B,)."""
        return (loss.to(like) - self.aims(state, like)).clamp(min=0)

    def longest(self, slope: Tensor) -> float:
        """The longest step's Euclidean length."""
        return float(self.reach * slope[0].numel() ** 0.5)


class Polyak(Aimed):
    r"""Polyak's step (Polyak 1987, Sec. 5.3): as far as a loss that fell straight along its
    gradient would need to the aim, :math:`-\frac{L - L^*}{|g|^2}\,g`, no further than `reach`.
    There is no rate, and each row has a step of its own.

    Where `growth` is above 1 the reach is a trust region (Nocedal & Wright 2006, Ch. 4): it grows
    by that factor where the loss has fallen since the last step of the row, and shrinks by its
    square where it hasn't, between a tenth and ten times `reach`; it is carried from sampling step
    to sampling step.

    Args:
        aim, reach: as `Aimed`'s.
        growth: 1 (a fixed reach) or more.

    Raises:
        MuseError: reach not above 0, or growth below 1.
    """

    def __init__(self, aim: float | None = None, reach: float = 0.2, growth: float = 1.0) -> None:
        super().__init__(aim, reach)
        if not growth >= 1:
            raise MuseError(f"growth = {growth:g} is not allowed. Use 1 or more.")
        self.growth = growth

    def init(self, variable: Tensor) -> Tensors:
        """The reach (1,), and no loss before."""
        reach = variable.new_full((1,), self.reach)
        before = torch.full_like(reach, float("inf"))
        return {"reach": reach, "before": before, **self.told(variable)}

    def forward(
        self, slope: Tensor, state: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensors]:
        """One step of each row; rows at their aim stay where they are."""
        loss = loss.to(state["reach"])
        change = torch.where(loss < state["before"], self.growth, self.growth**-2)
        change = torch.where(state["before"].isinf(), 1.0, change)
        reach = (state["reach"] * change).clamp(self.reach / 10, self.reach * 10)
        length = slope.flatten(1).norm(dim=1).clamp(min=1e-12)
        needed = self.gap(loss, state, length) / length
        longest = reach * slope[0].numel() ** 0.5
        move = -per_row(torch.minimum(needed, longest) / length, slope) * slope
        return move, {"reach": reach, "before": loss, **self.kept(state)}


def above_zero(**values: float) -> None:
    """Refuse numbers that are not above 0.

    Raises:
        MuseError: one of them.
    """
    for name, value in values.items():
        if not value > 0:
            raise MuseError(f"{name} = {value:g} is not allowed. Use a number above 0.")
