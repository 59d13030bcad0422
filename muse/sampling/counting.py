"""What a row costs: its asks are counted as they pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from muse.core.asks import Ask, Evaluate, Fork, Judge, Match, Observe, Predict, Row, Unroll
from muse.core.results import Cost
from muse.core.types import MuseError

T = TypeVar("T")


def counted(row: Row[T], cost: Cost) -> Row[T]:
    """A row as it is, whose asks are added to `cost`, with those of rows within it.

    Args:
        row: the generator.
        cost: added to, in place.
    """
    go_on: Callable[[Any], Any] = row.send
    given: Any = None
    while True:
        try:
            asks = go_on(given)
        except StopIteration as stop:
            found: T = stop.value
            return found
        if isinstance(asks, list):  # the engine tells of what isn't
            asks = [_counted(ask, cost) for ask in asks]
        try:
            given = yield asks
            go_on = row.send
        except MuseError as error:
            go_on, given = row.throw, error


def _counted(ask: Ask, cost: Cost) -> Ask:
    if isinstance(ask, Fork):
        return Fork([counted(row, cost) for row in ask.rows])
    if isinstance(ask, Predict):
        cost.predictions += 1
    elif isinstance(ask, Match):
        cost.gradients += 1
    elif isinstance(ask, Observe):
        cost.decodings += 1
    elif isinstance(ask, Judge):
        cost.decoder_gradients += _reads(ask)
    elif isinstance(ask, Evaluate):
        branches = 2 if ask.null is not None else 1
        varies = ask.variation is None or bool(ask.variation.variables(ask.state))
        _add(cost, branches, _reads(ask), varies and not ask.last)
    elif isinstance(ask, Unroll):
        steps = (len(ask.nodes) - 1) * (2 if ask.null is not None else 1)
        if ask.gradient:
            cost.predictions += steps  # each step is made once more on the way back
        _add(cost, steps, 1, ask.gradient)
    return ask


def _add(cost: Cost, passes: int, decodings: int, gradient: bool) -> None:
    if gradient:
        cost.gradients += passes
        cost.decoder_gradients += decodings
    else:
        cost.predictions += passes
        cost.decodings += decodings


def _reads(ask: Evaluate | Judge) -> int:
    """How many pictures an ask looks at."""
    return 1 if ask.noise is None else ask.noise.shape[1]
