"""The engine: many rows in flight, their asks answered together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from muse.core.asks import Ask, Row

T = TypeVar("T")


def run(
    rows: Iterable[Row[T]], answer: Callable[[list[Ask]], list[Any]], slots: int | Callable[[], int]
) -> Iterator[T]:
    """Run rows to their ends, at most `slots` at a time, and yield what each returns, as it ends.

    Every round gathers the asks of all rows in flight, answers them in one go and sends the
    answers back. A finished row's slot goes to the next waiting row at once; rows are drawn from
    the iterable only then.

    Args:
        rows: generators that yield lists of asks (`muse.core.asks.Row`).
        answer: answers a list of asks, in their order.
        slots: how many rows share a call, 1 or more; or what tells how many may be in flight now
            (rows that are go on).
    """
    waiting = iter(rows)
    inbox: list[tuple[Row[T], list[Any] | None]] = []
    while True:
        room = slots if isinstance(slots, int) else slots()
        inbox += [(row, None) for row in islice(waiting, max(0, room - len(inbox)))]
        if not inbox:
            return
        asking: list[tuple[Row[T], list[Ask]]] = []
        for row, answers in inbox:
            try:
                asking.append((row, row.send(answers)))  # type: ignore[arg-type]
            except StopIteration as stop:
                yield stop.value
        flat = [ask for _, asks in asking for ask in asks]
        replies = iter(answer(flat) if flat else [])
        inbox = [(row, list(islice(replies, len(asks)))) for row, asks in asking]
