"""The engine alone, with rows that ask for numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muse.sampling.engine import run


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


def test_a_bug_in_a_row_shows_itself():
    def broken():
        yield [("a", 1)]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run([broken()], double, 1))
