"""What happens to a row's asks on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from muse.core.asks import Ask, Fork, Row
from muse.core.types import MuseError

T = TypeVar("T")


def passed(row: Row[T], change: Callable[[Ask], Ask]) -> Row[T]:
    """A row as it is, each of whose asks is changed on its way, with those of rows within it.

    Args:
        row: the generator.
        change: is given an ask that is no `Fork`, and returns what is asked in its place.
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
            asks = [_changed(ask, change) for ask in asks]
        try:
            given = yield asks
            go_on = row.send
        except MuseError as error:
            go_on, given = row.throw, error


def _changed(ask: Ask, change: Callable[[Ask], Ask]) -> Ask:
    if isinstance(ask, Fork):
        return Fork([passed(row, change) for row in ask.rows])
    return change(ask)
