"""The engine: many rows in flight, their asks answered together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from muse.core.asks import Ask, Fork, Row
from muse.core.types import MuseError
from muse.sampling.queue import Queue

T = TypeVar("T")


@dataclass(eq=False)
class _Flight:
    """A row in flight.

    Attributes:
        row: the generator.
        answers: what it is sent next, None at the beginning.
        open: how many of them are still to come.
        way: how often it has gone on.
        parent: the row that waits for what this one returns, and at which place.
        place: there.
        error: what one of them has raised.
    """

    row: Row[Any]
    answers: list[Any] | None = None
    open: int = 0
    way: int = 0
    parent: _Flight | None = None
    place: int = 0
    error: MuseError | None = None

    def go_on(self) -> list[Ask]:
        """What the row asks next, after its answers or the error of a row that it has asked for.

        Raises:
            StopIteration: it has ended.
        """
        self.way += 1
        error, self.error = self.error, None
        if error is not None:
            return self.row.throw(error)
        return self.row.send(self.answers)  # type: ignore[arg-type]


def run(
    rows: Iterable[Row[T]],
    answer: Callable[[list[Ask]], list[Any]],
    slots: int | Callable[[], int],
    kind: Callable[[Ask], Hashable] = type,
    ahead: int = 1,
) -> Iterator[T]:
    """Run rows to their ends and yield what each returns, as it ends.

    A row goes on when all that it has asked is answered; asks wait until enough of one kind have
    come together (`muse.sampling.queue`). A finished row's place goes at once to the next: to rows
    that others have asked for (`Fork`) before those of the iterable, which are drawn only then.

    Args:
        rows: generators that yield lists of asks (`muse.core.asks.Row`).
        answer: answers a list of asks of one kind, in their order.
        slots: how many rows share a call at most, 1 or more; or what tells how many may now.
        kind: asks of equal kind can share a call.
        ahead: how many times as many rows are in flight, so that calls are full; one slot needs
            none to come together.
    """
    flights = _Flights(rows, kind)
    while True:
        room = slots if isinstance(slots, int) else slots()
        flights.begin(room if room == 1 else room * ahead)
        if not flights.ready:
            if not flights.queue:
                return
            flights.hear(room, answer)
        yield from flights.go_on()


class _Flights:
    """The rows in flight.

    Args:
        rows: that wait for a place.
        kind: asks of equal kind can share a call.

    Attributes:
        ready: those that can go on.
        queue: what the others have asked.
    """

    def __init__(self, rows: Iterable[Row[Any]], kind: Callable[[Ask], Hashable]) -> None:
        self.queue, self.ready = Queue[_Flight](kind), list[_Flight]()
        self._waiting, self._inner, self._count = map(_Flight, rows), deque[_Flight](), 0

    def begin(self, places: int) -> None:
        """Let rows that wait take the free places."""
        free = max(0, places - self._count)
        begun = [self._inner.popleft() for _ in range(min(free, len(self._inner)))]
        begun += islice(self._waiting, free - len(begun))
        self.ready += begun
        self._count += len(begun)

    def hear(self, room: int, answer: Callable[[list[Ask]], list[Any]]) -> None:
        """Answer one call's asks."""
        taken = self.queue.take(room, lambda flight: flight.way)
        replies = iter(answer([ask for asks in taken.values() for _, ask in asks]))
        for flight, asks in taken.items():
            assert flight.answers is not None
            for place, _ in asks:
                flight.answers[place] = next(replies)
            flight.open -= len(asks)
        self.ready += [flight for flight in taken if not flight.open]

    def go_on(self) -> Iterator[Any]:
        """Let rows that are ready ask on; what those return that end."""
        going, self.ready = self.ready, []
        for flight in going:
            try:
                asks = flight.go_on()
            except StopIteration as stop:
                self._leave(_delivered(flight, stop.value))
                if flight.parent is None:
                    yield stop.value
            except MuseError as error:
                self._leave(_failed(flight, error))
            else:
                if forked := _forked(flight, asks):
                    self._leave(forked)
                else:
                    self._wait(flight, asks)

    def _leave(self, others: list[_Flight]) -> None:
        """A row gives its place back; others want one."""
        self._count -= 1
        self._inner.extend(others)

    def _wait(self, flight: _Flight, asks: list[Ask]) -> None:
        flight.answers, flight.open = [None] * len(asks), len(asks)
        self.queue.add(flight, asks)
        if not asks:
            self.ready.append(flight)


def _forked(parent: _Flight, asks: list[Ask]) -> list[_Flight]:
    """The rows that it asks for (itself, where there are none of them); nothing, of other asks."""
    if not isinstance(asks, list):
        raise MuseError(f"A row yielded a {type(asks).__name__}. Yield a list of asks.")
    if len(asks) != 1 or not isinstance(asks[0], Fork):
        return []
    rows = asks[0].rows
    parent.answers, parent.open = [[None] * len(rows)], len(rows)
    return [_Flight(row, parent=parent, place=place) for place, row in enumerate(rows)] or [parent]


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
    assert parent.answers is not None
    parent.answers[0][flight.place] = value
    parent.open -= 1
    return [] if parent.open else [parent]
