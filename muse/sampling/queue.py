"""Which of the asks that wait are answered next: those that fill a call best."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from muse.core.asks import Ask

F = TypeVar("F", bound=Hashable)
PATIENCE = 32
"""Calls for which an ask waits at most while there are fuller ones."""


@dataclass
class _Waiting:
    """What a row asks of one kind.

    Attributes:
        since: the call before which it was asked.
        asks: where in the row's list, and what.
    """

    since: int
    asks: list[tuple[int, Ask]] = field(default_factory=list)


class Queue(Generic[F]):
    """Asks that wait for others of their kind.

    A call costs much by itself and little more for each row, so the kind that most rows wait for is
    answered first, and meanwhile others gather; of equally many, the one that has waited longest.
    Where more rows wait than may share a call, those that have come least far go first, and catch
    up with the others. But whoever has waited for `PATIENCE` calls goes before all that.

    Args:
        kind: asks of equal kind can share a call.
    """

    def __init__(self, kind: Callable[[Ask], Hashable]) -> None:
        self.kind = kind
        self.calls = 0
        self._kinds: dict[Hashable, dict[F, _Waiting]] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def add(self, row: F, asks: Sequence[Ask]) -> None:
        """Let a row's asks wait."""
        for place, ask in enumerate(asks):
            company = self._kinds.setdefault(self.kind(ask), {})
            company.setdefault(row, _Waiting(self.calls)).asks.append((place, ask))

    def take(self, rows: int, way: Callable[[F], int]) -> dict[F, list[tuple[int, Ask]]]:
        """The asks of the next call, by row: where they stand in its list, and what they are.

        Args:
            rows: that may share it at most.
            way: how far a row has come.
        """
        kind = min(self._kinds, key=lambda kind: self._turn(self._kinds[kind], rows))
        company = self._kinds[kind]
        order = sorted(company, key=lambda row: (*self._late(company[row].since), way(row)))
        taken = {row: company.pop(row).asks for row in order[:rows]}
        if not company:
            del self._kinds[kind]
        self.calls += 1
        return taken

    def _turn(self, company: Mapping[F, _Waiting], rows: int) -> tuple[float, ...]:
        since = min(one.since for one in company.values())
        return (*self._late(since), -min(rows, len(company)), since)

    def _late(self, since: int) -> tuple[float, ...]:
        """Before all others, the longest wait first, once it is too long."""
        return (since if self.calls - since >= PATIENCE else math.inf,)
