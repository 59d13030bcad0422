"""Looking ahead before the latch, on the exact toy (Eq. 9, and the trap of its literal reading)."""

import pytest

from muse.core.asks import Predict
from muse.schedulers import ClipThreshold
from tests import toy

NEVER_REACHED = 100.0


def similarities(look_ahead: int) -> list[list[float]]:
    sampler = toy.sampler(timing=ClipThreshold(NEVER_REACHED, look_ahead=look_ahead))
    return [made.trace.similarity for made in toy.make(sampler, toy.jobs(1)).values()]


def test_a_whole_roll_out_predicts_one_final_picture_at_every_step():
    for row in similarities(50):
        assert len(row) == 50
        assert row == pytest.approx([row[-1]] * 50, rel=1e-9, abs=1e-9)


def test_one_step_predictions_differ_and_a_look_ahead_reads_a_later_one():
    for now, later in zip(similarities(0), similarities(7), strict=True):
        assert max(now) - min(now) > 1
        assert later[:-7] == pytest.approx(now[7:], rel=1e-9, abs=1e-9)
        assert later[-7:] == pytest.approx([now[-1]] * 7, rel=1e-9, abs=1e-9)


def test_looking_ahead_starts_earlier_and_costs_two_calls_a_step():
    counted = {}
    for look_ahead in (0, 7):
        sampler = toy.sampler(timing=ClipThreshold(60.0, look_ahead=look_ahead))
        asked = []
        predict = sampler.answers.predict
        sampler.answers.predict = lambda asks, p=predict, a=asked: a.extend(asks) or p(asks)
        [made] = sampler.sample(toy.jobs(1)[:1])
        assert all(isinstance(ask, Predict) for ask in asked)
        start = made.trace.start_step
        assert len(asked) == 2 * (start + 1) + (50 - start - 1) + 2 * look_ahead * (start + 1)
        counted[look_ahead] = start
    assert counted[7] < counted[0]
