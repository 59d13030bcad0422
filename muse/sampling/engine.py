"""The engine: many rows in flight, their asks answered together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from muse.core.asks import Ask, Fork, Row
from muse.core.types import MuseError

T = TypeVar("T")


@dataclass(eq=False)
class _Flight:
    """A row in flight.

    Attributes:
        row: the generator.
        answers: what it is sent next, None at the beginning.
        parent: the row that waits for what this one returns, and at which place.
        place: there.
        found: what the rows that this one waits for have returned.
        waits: for how many of them it still does.
        error: what one of them has raised.
    """

    row: Row[Any]
    answers: list[Any] | None = None
    parent: _Flight | None = None
    place: int = 0
    found: list[Any] = field(default_factory=list)
    waits: int = 0
    error: MuseError | None = None

    def go_on(self) -> list[Ask]:
        """What the row asks next, after its answers or the error of a row that it has asked for.

        Raises:
            StopIteration: it has ended.
        """
        error, self.error = self.error, None
        if error is not None:
            return self.row.throw(error)
        return self.row.send(self.answers)  # type: ignore[arg-type]


def run(
    rows: Iterable[Row[T]], answer: Callable[[list[Ask]], list[Any]], slots: int | Callable[[], int]
) -> Iterator[T]:
    """Run rows to their ends, at most `slots` at a time, and yield what each returns, as it ends.

    Every round gathers the asks of all rows in flight, answers them in one go and sends them back.
    A finished row's slot goes at once to the next: to rows that others have asked for (`Fork`)
    before those of the iterable, which are drawn only then.

    Args:
        rows: generators that yield lists of asks (`muse.core.asks.Row`).
        answer: answers a list of asks, in their order.
        slots: how many rows share a call, 1 or more; or what tells how many may be in flight now.
    """
    waiting, inner = map(_Flight, rows), deque[_Flight]()
    flying: list[_Flight] = []
    while True:
        room = slots if isinstance(slots, int) else slots()
        while inner and len(flying) < room:
            flying.append(inner.popleft())
        flying += islice(waiting, max(0, room - len(flying)))
        if not flying:
            return
        asking: list[tuple[_Flight, list[Ask]]] = []
        for flight in flying:
            try:
                asks = flight.go_on()
            except StopIteration as stop:
                inner.extend(_delivered(flight, stop.value))
                if flight.parent is None:
                    yield stop.value
            except MuseError as error:
                inner.extend(_failed(flight, error))
            else:
                inner.extend(forked := _forked(flight, asks))
                asking += [] if forked else [(flight, asks)]
        replies = iter(answer(flat) if (flat := [a for _, asks in asking for a in asks]) else [])
        for flight, asks in asking:
            flight.answers = list(islice(replies, len(asks)))
        flying = [flight for flight, _ in asking]


def _forked(parent: _Flight, asks: list[Ask]) -> list[_Flight]:
    """The rows that it asks for (itself, where there are none of them); nothing, of other asks."""
    if not isinstance(asks, list):
        raise MuseError(f"A row yielded a {type(asks).__name__}. Yield a list of asks.")
    if len(asks) != 1 or not isinstance(asks[0], Fork):
        return []
    rows = asks[0].rows
    parent.found, parent.waits, parent.answers = [None] * len(rows), len(rows), [[]]
    return [_Flight(row, None, parent, place) for place, row in enumerate(rows)] or [parent]


def _failed(flight: _Flight, error: MuseError) -> list[_Flight]:
    """Hand an inner row's error to the row that waits for it.

    Raises:
        MuseError: nobody does.
    """
    if flight.parent is None:
        raise error
    flight.parent.error = error
    return _delivered(flight, None)


def _delivered(flight: _Flight, value: Any) -> list[_Flight]:
    """Hand over what an inner row has returned: the row that waited, once it has all."""
    parent = flight.parent
    if parent is None:
        return []
    parent.found[flight.place] = value
    parent.waits -= 1
    if parent.waits:
        return []
    parent.answers = [parent.found]
    return [parent]
