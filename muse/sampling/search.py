"""The inner loop: search the steering variable at one sampling step (Eq. 8)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Literal

from muse.core.asks import Ask, Evaluate, Evaluation, Judgement, Row
from muse.core.errors import MuseError, check_choice, check_counts, check_number
from muse.core.results import Trace


@dataclass(frozen=True)
class Search:
    """When the inner loop ends, and which of its iterates is accepted.

    Attributes:
        max_iterations: optimiser steps at most, 0 or more; the paper gives no cap.
        tolerance: it ends below this loss.
        stop_on: which loss that is, ``total`` or ``target``.
        keep: ``best`` accepts the iterate with the least such loss, ``last`` the last one.
    """

    max_iterations: int
    tolerance: float
    stop_on: Literal["total", "target"]
    keep: Literal["best", "last"]

    def __post_init__(self) -> None:
        check_counts(0, max_iterations=self.max_iterations)
        check_number("tolerance", self.tolerance)
        check_choice("stop_on", self.stop_on, ("total", "target"))
        check_choice("keep", self.keep, ("best", "last"))

    def run(
        self,
        ask: Evaluate,
        trace: Trace,
        tell: Callable[[int, Evaluation], None] = lambda iteration, found: None,
        quiet: bool = False,
    ) -> Generator[list[Ask], list[Any], Evaluation | None]:
        """Search from the state in `ask`, and return the accepted iterate.

        Its prediction is the step's, so nothing is evaluated twice. A loss or gradient that is
        not finite ends the search at the iterate so far, None where even the first one isn't.

        Args:
            ask: the first evaluation.
            trace: is told every iteration.
            tell: called with each iteration and what it found.
            quiet: whether the first evaluation is likely to end the search. It is then made without
                gradient, and made again with one where it doesn't: less work, the same search.
        """
        accepted: Evaluation | None = None
        for k in range(self.max_iterations + 1):
            last = k == self.max_iterations
            found = yield from self._look(replace(ask, iteration=k), last, quiet and k == 0)
            if not found.finite:
                trace.notes.append(f"step {ask.step}, iteration {k}: the loss is not finite")
                break
            trace.note(ask.step, k, ask.goal, found)
            tell(k, found)
            if accepted is None or self.keep == "last" or self.loss(found) < self.loss(accepted):
                accepted = found
            if last or self.satisfied(found):
                break
            if not found.steppable:
                trace.notes.append(f"step {ask.step}, iteration {k}: the gradient is not finite")
                break
            if not ask.trial and _stays(found):
                break  # its rule has nothing left to aim at, so that no look would find more
            ask = replace(ask, state=found.proposal, trial=found.trial)
        trace.iterations.append(k)
        return accepted

    def _look(self, ask: Evaluate, last: bool, quiet: bool) -> Row[Evaluation]:
        [found] = yield [replace(ask, gradient=not (last or quiet or ask.trial))]
        if quiet and not last and found.finite and not self.satisfied(found):
            [found] = yield [ask]
        looked: Evaluation = found
        return looked

    def satisfied(self, found: Evaluation | Judgement) -> bool:
        """Whether nothing needs to be searched at an iterate."""
        return found.finite and self.loss(found) < self.tolerance

    def loss(self, found: Evaluation | Judgement) -> float:
        """The loss that is compared with the tolerance."""
        return found.total if self.stop_on == "total" else found.terms["target"]


def _stays(found: Evaluation) -> bool:
    """Whether a step along the gradient has left all variables where they were."""
    before, after = found.state, found.proposal
    moved = (bool((before[name] != after[name]).any()) for name in found.gradient)
    return bool(found.gradient) and not any(moved)


@dataclass(frozen=True)
class Rests:
    """When a steered step is not looked at: it is predicted as the steering has left things, and no
    picture is decoded.

    Attributes:
        longest: after a step that needed no search the next one rests, after the next such step two
            do, then four, up to this many; 0 looks at every step.
        look_until: the share of the steps after which none is looked at, in (0, 1].
    """

    longest: int = 0
    look_until: float = 1.0

    def __post_init__(self) -> None:
        check_counts(0, longest_rest=self.longest)
        check_number("look_until", self.look_until)
        if not 0 < self.look_until <= 1:
            raise MuseError(
                f"look_until = {self.look_until:g} is out of range. Use a share of the steps above "
                "0, at most 1."
            )

    def next(self, before: int, quiet: bool) -> int:
        """How many steps rest after a look, given how many did after the one before it.

        Args:
            before: that number.
            quiet: whether this look needed nothing.
        """
        return min(max(1, 2 * before), self.longest) if quiet else 0
