"""Tickets: every number is drawn once, and a store or a process that dies holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch.distributed as dist

from muse.core.types import MuseError
from muse.runs import Tickets, tickets


class Broken:
    """A store whose host is gone."""

    def __getattr__(self, name: str) -> object:
        def gone(*_: object) -> None:
            raise dist.DistNetworkError("Connection reset by peer")

        return gone


def test_alone_they_count_up() -> None:
    drawn = iter(Tickets())
    assert [next(drawn) for _ in range(3)] == [0, 1, 2]


def test_processes_draw_each_number_once() -> None:
    host = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    drawn: dict[int, list[int]] = {}

    def work(rank: int) -> None:
        mine = Tickets.connect("127.0.0.1", host.port, rank, 4)
        drawn[rank] = [next(iter(mine)) for _ in range(50)]

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for numbers in drawn.values() for number in numbers) == list(range(150))


def test_workers_that_were_started_again_draw_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    for attempt in ("0", "1"):  # process 0 too is a guest of torchrun's agent
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", attempt)
        assert next(iter(Tickets.connect("127.0.0.1", agent.port, 0, 2))) == 0


def test_no_more_tickets_come_from_a_store_that_is_gone() -> None:
    mine = Tickets(Broken(), rank=1, processes=2)  # type: ignore[arg-type]
    assert list(mine) == []
    assert mine.lost
    mine.answered()
    assert mine.finish() == []
    assert not Tickets(Broken(), 1, 2).wait_until_open()  # type: ignore[arg-type]


def test_where_no_store_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise dist.DistNetworkError("Connection refused\nand a stack")

    monkeypatch.setattr(tickets, "TCPStore", refused)
    with pytest.raises(MuseError, match=r"at somewhere:1 \(Connection refused\)\. Start the run"):
        Tickets.connect("somewhere", 1, 1, 2)


@pytest.mark.parametrize("well", [True, False])
def test_the_others_wait_until_the_folder_is_open(well: bool) -> None:
    store = dist.HashStore()
    answers: list[bool] = []
    other = Tickets(store, rank=1, processes=2)
    waiting = threading.Thread(target=lambda: answers.append(other.wait_until_open()))
    waiting.start()
    Tickets(store, rank=0, processes=2).opened(well)
    waiting.join()
    assert answers == [well]


def test_process_0_waits_for_those_that_live_and_names_those_that_don_t(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time is made of looks here: each look at the clock is a second."""
    store, seconds = dist.HashStore(), iter(range(10_000))
    monkeypatch.setattr(tickets.time, "monotonic", lambda: float(next(seconds)))
    looks: Iterator[int] = iter(range(10_000))
    slow = Tickets(store, rank=1, processes=4)

    def sleep(_: float) -> None:
        look = next(looks)
        if look < 40:  # at work far longer than anybody's patience
            slow._told = -1e9
            slow.answered()
        elif look == 40:
            slow.finish()

    monkeypatch.setattr(tickets.time, "sleep", sleep)
    Tickets(store, rank=2, processes=4).finish()
    assert Tickets(store, rank=0, processes=4).finish() == [3]
    assert next(looks) > 40


def test_how_long_a_store_may_take() -> None:
    assert timedelta(seconds=30) > tickets.ANSWER
