"""How many pictures share the model calls, and what happens when memory runs out."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from muse.core.asks import Ask, Evaluate, Judge, Unroll
from muse.core.memory import is_out_of_memory
from muse.core.types import MuseError
from muse.sampling.stacking import rows_of

MOST = 64
"""Rows that ``auto`` tries at most: more share no call any better."""
SHARE = 0.85
"""Of the device's memory that ``auto`` plans with."""
PLAIN = 200
"""Calls without a search after which ``auto`` believes that there is none."""
FULL = 3
"""Calls that searched in all slots before ``auto`` believes what it measured."""


class Meter(Protocol):
    """Memory in bytes."""

    def peak(self) -> int:
        """The most that was in use so far."""

    def total(self) -> int:
        """What there is."""


class Slots:
    """The number of rows that share a call; it shrinks when memory runs out, which is told.

    Args:
        given: how many, or ``auto``: as many as fit, found by measuring a few and going on from
            there.
        meter: of the device's memory, for ``auto``; None where nothing can be measured.
        tell: is told in a line what changes.

    Attributes:
        ahead: how many times as many pictures are in flight (`muse.sampling.engine.run`): 2, or 1
            where other processes wait for pictures to make.
        rows: how many may share a call now.

    Raises:
        MuseError: below 1.
    """

    def __init__(
        self,
        given: int | Literal["auto"] = 8,
        meter: Meter | None = None,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        if given != "auto" and given < 1:
            raise MuseError(f"slots = {given} is not allowed. Use 1 or more, or auto.")
        self.meter = meter if given == "auto" else None
        self.rows = (16 if meter is None else 1) if given == "auto" else given
        self.tell = tell
        self.ahead = 2
        self._most = sys.maxsize
        self._base = 0 if self.meter is None else self.meter.peak()
        self._seen = self._made = 0
        self._searched = False

    def answer(
        self, asks: Sequence[Ask], answers: Callable[[Sequence[Ask]], list[Any]]
    ) -> list[Any]:
        """Answer asks of one kind; where memory runs out, in smaller calls, with fewer rows from
        then on.

        Raises:
            Exception: what `answers` raises; out of memory where even one ask is too much.
        """
        replies: list[Any] = []
        most = self._most
        while len(replies) < len(asks):
            part = asks[len(replies) : len(replies) + most]
            try:
                replies += answers(part)
                continue
            except Exception as error:
                if len(part) == 1 or not is_out_of_memory(error):
                    raise
            most = -(-len(part) // 2)
            self._shrink(most)  # outside: the error holds what must be freed
        self._grow(asks)
        return replies

    def _shrink(self, most: int) -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.meter = None
        if self.rows == 1:  # and a row asks for more at once
            self._most = most
        self.rows = max(1, self.rows // 2)
        self.tell(f"Out of memory: going on with slots = {self.rows}.")

    def _grow(self, asks: Sequence[Ask]) -> None:
        """Of ``auto``: after a few calls that searched in all slots, take as many as these say
        would fit; twice as many at most, and look again. Where none searches for long, calls that
        only predict count.
        """
        if self.meter is None:
            return
        self._made += 1
        searching = sum(
            isinstance(ask, Judge | Unroll) or (isinstance(ask, Evaluate) and ask.gradient)
            for ask in asks
        )
        self._searched = self._searched or searching > 0
        busy = searching if self._searched or self._made <= PLAIN else rows_of(asks)
        self._seen += busy >= self.rows
        if self._seen < FULL:
            return
        each = max(1.0, (self.meter.peak() - self._base) / self.rows)
        fit = int((SHARE * self.meter.total() - self._base) / each)
        rows = max(1, min(2 * self.rows, fit, MOST))
        if rows <= self.rows:
            self.meter = None
            self.tell(f"slots: auto takes {self.rows}.")
        self.rows, self._seen = max(rows, self.rows), 0


def meter_of(device: torch.device) -> Meter | None:
    """The meter of a device; None where its memory can't be measured."""
    if device.type == "cuda":
        return _Cuda(device)
    return _Host() if device.type == "cpu" and hasattr(os, "sysconf") else None


class _Cuda:
    def __init__(self, device: torch.device) -> None:
        self.device = device

    def peak(self) -> int:
        return torch.cuda.max_memory_reserved(self.device)

    def total(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        return free + torch.cuda.memory_reserved(self.device)


class _Host:
    def peak(self) -> int:
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def total(self) -> int:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min([machine, *map(_limit, CGROUPS)])


CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux tells how much a container may use."""


def _limit(file: str) -> int:
    try:
        return int(Path(file).read_text())
    except (OSError, ValueError):  # none, or "max"
        return sys.maxsize
