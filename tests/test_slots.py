"""Slots: memory that runs out halves them, `auto` finds how many fit, and no picture changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from muse.core.asks import Ask, Evaluate
from muse.core.types import MuseError
from muse.sampling.slots import MOST, SHARE, Slots
from tests.toy import jobs, make, same, sampler

WANTED = jobs(1)


class Small:
    """Memory for so many rows in a call, and the largest call that was tried."""

    def __init__(self, room: int, what: Any) -> None:
        self.room, self.what = room, what
        self.calls: list[int] = []

    def __call__(self, asks: Sequence[Ask]) -> list[Any]:
        self.calls.append(len(asks))
        if len(asks) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much.")
        return list(self.what(asks))


def sampled(slots: Slots | int, room: int) -> tuple[dict[str, Any], Small]:
    toy = sampler(steps=6, max_iterations=1)
    small = Small(room, toy.answers.forward)
    toy.answers.__dict__["forward"] = small  # what `answers(...)` calls
    return make(toy, WANTED, slots), small  # type: ignore[arg-type]


def test_out_of_memory_halves_the_slots_and_changes_no_picture() -> None:
    plain = make(sampler(steps=6, max_iterations=1), WANTED)
    told: list[str] = []
    slots = Slots(8, tell=told.append)
    found, small = sampled(slots, room=3)
    assert all(same(plain[name], found[name]) for name in plain)
    assert len(found) == len(WANTED)
    assert slots.rows == 1  # each asks two things at once
    assert told == [f"Out of memory: going on with slots = {n}." for n in (4, 2, 1)]
    assert max(small.calls[5:]) <= 3, "calls that were too large are not tried again"


def test_one_picture_that_does_not_fit_is_told() -> None:
    with pytest.raises(MuseError, match=r"Out of memory\. These need less"):
        sampled(4, room=0)


def test_other_errors_are_no_reason_to_try_again() -> None:
    def broken(_: Sequence[Ask]) -> list[Any]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Slots(4).answer([None, None], broken)  # type: ignore[list-item]


class Gauge:
    """A device of so many bytes: 100 are the model's, 50 each row's."""

    def __init__(self, total: int) -> None:
        self.bytes, self.rows = total, 0

    def peak(self) -> int:
        return 100 + 50 * self.rows

    def total(self) -> int:
        return self.bytes


@pytest.mark.parametrize(
    ("total", "rows"),
    [(250, 2), (1000, 15), (10**9, MOST), (50, 1), (int(150 / SHARE), 1), (int(201 / SHARE), 2)],
)
def test_auto_takes_as_many_as_fit(total: int, rows: int) -> None:
    gauge, told = Gauge(total), []
    slots = Slots("auto", gauge, told.append)
    ask = _searching()

    def answers(asks: Sequence[Ask]) -> list[Any]:
        gauge.rows = max(gauge.rows, len(asks))
        assert gauge.peak() <= max(total, 150)
        return [None] * len(asks)

    for _ in range(40):
        slots.answer([ask] * slots.rows, answers)
    assert slots.rows == rows
    assert told == [f"slots: auto takes {rows}."]


def test_auto_waits_for_rounds_that_search() -> None:
    slots = Slots("auto", Gauge(10**9))
    for _ in range(20):
        slots.answer([replace(_searching(), gradient=False)], lambda asks: [None] * len(asks))
    assert slots.rows == 1


def test_auto_without_a_meter_and_too_few() -> None:
    assert Slots("auto").rows == 16
    with pytest.raises(MuseError, match=r"slots = 0 is not allowed. Use 1 or more, or auto"):
        Slots(0)


def _searching() -> Evaluate:
    nothing: Any = None
    return Evaluate(nothing, nothing, nothing, None, {}, nothing, "a park", 0)
