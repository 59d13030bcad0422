"""The engine alone, with rows that ask for numbers."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muse.sampling.engine import run
from muse.sampling.queue import PATIENCE


def counting(name, rounds):
    """Asks for its own number `rounds` times, two at a time, and returns what it heard."""
    heard = []
    for i in range(rounds):
        heard += yield [(name, i), (name, -i)]
    return name, heard


def double(asks):
    return [(name, 2 * i) for name, i in asks]


@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 20))
def test_every_row_hears_its_own_answers(rounds, slots):
    rows = (counting(name, count) for name, count in enumerate(rounds))
    found = dict(run(rows, double, slots))
    assert found == {
        name: [answer for i in range(count) for answer in ((name, 2 * i), (name, -2 * i))]
        for name, count in enumerate(rounds)
    }


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.integers(1, 20))
def test_slots_are_filled_at_once_and_never_overfilled(rounds, slots):
    widths = []

    def answer(asks):
        widths.append(len(asks) // 2)
        return double(asks)

    list(run((counting(name, count) for name, count in enumerate(rounds)), answer, slots))
    assert max(widths) == min(slots, len(rounds))
    assert sum(widths) == sum(rounds), "no round is empty, no ask is answered twice"


def test_waiting_rows_are_not_drawn_early():
    drawn = []

    def waiting():
        for name in range(10):
            drawn.append(name)
            yield counting(name, 3)

    running = run(waiting(), double, 2)
    next(running)
    assert len(drawn) <= 4


def asking(name, kinds):
    """Asks for one thing of each kind in turn."""
    for i, kind in enumerate(kinds):
        yield [(kind, name, i)]
    return name


def calls(rows, slots, ahead=1):
    """What each call answers."""
    made = []

    def answer(asks):
        made.append(asks)
        return asks

    ends = list(run(rows, answer, slots, kind=lambda ask: ask[0], ahead=ahead))
    return made, ends


def test_a_call_waits_for_company():
    """One row asks for a, b; the others for a, a, b: the first one's b waits for theirs."""
    kinds = {"x": "ab", "y": "aab", "z": "aab"}
    made, _ = calls([asking(name, each) for name, each in kinds.items()], 3)
    assert [(asks[0][0], len(asks)) for asks in made] == [("a", 3), ("a", 2), ("b", 3)]


@pytest.mark.parametrize("ahead", [1, 2])
def test_none_waits_for_ever(ahead):
    """Not who is alone of a kind, nor a long row that ever new ones overtake."""
    lonely, long, crowd = ("lonely", "ab"), ("long", "a" * 40), ((i, "a" * 5) for i in range(200))
    for one in (lonely, long):
        made, ends = calls((asking(*each) for each in (one, *crowd)), 3, ahead)
        turns = [i for i, asks in enumerate(made) if one[0] in {name for _, name, _ in asks}]
        assert max(b - a for a, b in pairwise(turns)) <= PATIENCE + 3
        assert len(turns) == len(one[1])
        assert one[0] in ends


def test_more_rows_than_share_a_call_fill_it():
    chance = random.Random(0)
    kinds = ["".join(chance.choices("abc", k=30)) for _ in range(24)]
    few, many = (
        calls([asking(i, each) for i, each in enumerate(kinds)], 4, ahead)[0] for ahead in (1, 2)
    )
    assert sum(map(len, few)) == sum(map(len, many)) == 24 * 30
    assert max(map(len, many)) == 4
    assert len(many) < 0.85 * len(few)


def test_rows_that_have_come_least_far_go_first():
    made, _ = calls([asking("late", "bb"), *(asking(i, "aab") for i in range(4))], 3, ahead=2)
    thirds = [asks for asks in made if asks[0][0] == "b"]
    assert thirds[0][0][1] == "late"


def test_one_slot_has_one_row_in_flight():
    made, _ = calls([asking(i, "ab") for i in range(3)], 1, ahead=2)
    assert [asks[0][1] for asks in made] == [0, 0, 1, 1, 2, 2]


def test_a_row_that_asks_for_nothing_goes_on():
    def quiet():
        none = yield []
        [found] = yield [("a", 0)]
        return none, found

    assert list(run([quiet()], lambda asks: asks, 2)) == [([], ("a", 0))]


def test_a_bug_in_a_row_shows_itself():
    def broken():
        yield [("a", 1)]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run([broken()], double, 1))
