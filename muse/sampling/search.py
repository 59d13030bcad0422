"""The inner loop: search the steering variable at one sampling step (Eq. 8)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Literal

from muse.core.asks import Ask, Evaluate, Evaluation
from muse.core.results import Trace
from muse.core.types import MuseError


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
        if self.max_iterations < 0:
            raise MuseError(
                f"max_iterations = {self.max_iterations} is not allowed. Use 0 or more."
            )

    def run(
        self,
        ask: Evaluate,
        trace: Trace,
        tell: Callable[[int, Evaluation], None] = lambda iteration, found: None,
    ) -> Generator[list[Ask], list[Any], Evaluation | None]:
        """Search from the state in `ask`, and return the accepted iterate.

        Its prediction is the step's, so nothing is evaluated twice. A loss or gradient that is
        not finite ends the search at the iterate so far, None where even the first one isn't.

        Args:
            ask: the first evaluation.
            trace: is told every iteration.
            tell: called with each iteration and what it found.
        """
        accepted: Evaluation | None = None
        for k in range(self.max_iterations + 1):
            last = k == self.max_iterations
            ask = replace(ask, iteration=k, last=last)
            [found] = yield [ask]
            if not found.finite:
                trace.notes.append(f"step {ask.step}, iteration {k}: the loss is not finite")
                break
            trace.note(ask.step, k, ask.goal, found)
            tell(k, found)
            if accepted is None or self.keep == "last" or self.loss(found) < self.loss(accepted):
                accepted = found
            if last or self.loss(found) < self.tolerance:
                break
            if not found.steppable:
                trace.notes.append(f"step {ask.step}, iteration {k}: the gradient is not finite")
                break
            ask = replace(ask, state=found.proposal)
        trace.iterations.append(k)
        return accepted

    def loss(self, found: Evaluation) -> float:
        """The loss that is compared with the tolerance."""
        return found.total if self.stop_on == "total" else found.terms["target"]
