"""What a row costs: its asks are counted as they pass."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from muse.core.asks import Ask, Evaluate, Judge, Match, Observe, Predict, Row, Unroll
from muse.core.results import Cost
from muse.sampling.passing import passed

T = TypeVar("T")


def counted(row: Row[T], cost: Cost) -> Row[T]:
    """A row as it is, whose asks are added to `cost`, with those of rows within it.

    Args:
        row: the generator.
        cost: added to, in place.
    """
    return passed(row, partial(_counted, cost))


def _counted(cost: Cost, ask: Ask) -> Ask:
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
        _add(cost, branches, _reads(ask), varies and ask.gradient)
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
