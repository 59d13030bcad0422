"""Which of the asks that wait are answered next: those that fill a call best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from muse.core.asks import Ask

F = TypeVar("F", bound=Hashable)
PATIENCE = 32
"""Calls after which an ask is answered, however few are of its kind."""


@dataclass
class _Company(Generic[F]):
    """The asks of one kind, by the row that waits for them.

    Attributes:
        since: the call before which the first of them came.
        asks: of each row where in its list, and what.
    """

    since: int
    asks: dict[F, list[tuple[int, Ask]]] = field(default_factory=dict)


class Queue(Generic[F]):
    """Asks that wait for others of their kind.

    A call costs much by itself and little more for each row, so the kind that most rows wait for is
    answered first, and meanwhile others gather (of equally many, the one that has waited longest;
    and before all, whatever has waited for `PATIENCE` calls). Where more wait than may share a
    call, the rows that have come least far go first, and catch up with the others.

    Args:
        kind: asks of equal kind can share a call.
    """

    def __init__(self, kind: Callable[[Ask], Hashable]) -> None:
        self.kind = kind
        self.calls = 0
        self._waiting: dict[Hashable, _Company[F]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, row: F, asks: Sequence[Ask]) -> None:
        """Let a row's asks wait."""
        for place, ask in enumerate(asks):
            company = self._waiting.setdefault(self.kind(ask), _Company(self.calls))
            company.asks.setdefault(row, []).append((place, ask))

    def take(self, rows: int, way: Callable[[F], Any]) -> dict[F, list[tuple[int, Ask]]]:
        """The asks of the next call, by row: where they stand in its list, and what they are.

        Args:
            rows: that may share it at most.
            way: how far a row has come.
        """
        late = [k for k, one in self._waiting.items() if self.calls - one.since >= PATIENCE]
        kind = min(
            late or self._waiting,
            key=lambda k: (-min(rows, len(self._waiting[k].asks)), self._waiting[k].since),
        )
        company = self._waiting.pop(kind)
        self.calls += 1
        taken = sorted(company.asks, key=way)[:rows]
        if left := {row: asks for row, asks in company.asks.items() if row not in taken}:
            self._waiting[kind] = _Company(company.since, left)
        return {row: company.asks[row] for row in taken}
