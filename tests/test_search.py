"""The inner loop alone, fed with made-up evaluations."""

import math
from dataclasses import replace

import pytest
import torch

from muse.core.asks import Evaluate, Evaluation
from muse.core.emotions import distribution
from muse.core.results import Trace
from muse.core.types import Denoised, Goal, MuseError, Node
from muse.sampling.search import Search

ONE = torch.ones(1, 1)
GOAL = Goal(
    distribution({"awe": 1.0}),
    distribution({"fear": 1.0}),
    similar=distribution({"contentment": 0.5, "excitement": 0.5}),
)
ASK = Evaluate(
    ONE, Node(ONE, ONE, ONE), {"tokens": ONE}, None, {"number": torch.zeros(1)}, GOAL, "", 7, 0
)


def evaluation(ask, total, target=None, steppable=True):
    """What the model finds at `ask`; its state numbers the iterates."""
    finite = math.isfinite(total)
    return Evaluation(
        Denoised(ask.state["number"], ONE),
        ask.state,
        {"number": ask.state["number"] + 1},
        total,
        {"target": total if target is None else target},
        [1 / 8] * 8,
        finite,
        finite and steppable,
    )


def searched(search, totals, targets=None, slopes=None):
    """Run a search over given losses: the accepted iterate's number, evaluations, trace."""
    trace = Trace(inherent="fear")
    running = search.run(ASK, trace)
    [ask] = next(running)
    for k, total in enumerate(totals):
        assert ask.iteration == k
        assert ask.state["number"].item() == k
        target = None if targets is None else targets[k]
        steppable = slopes is None or slopes[k]
        try:
            [ask] = running.send([evaluation(ask, total, target, steppable)])
        except StopIteration as stop:
            accepted = stop.value
            assert trace.iterations == [k]
            return None if accepted is None else int(accepted.state["number"]), k + 1, trace
    raise AssertionError("the search went on")


def of(iterations=5, tolerance=0.1, stop_on="total", keep="best"):
    return Search(iterations, tolerance, stop_on, keep)


def test_all_iterations_and_the_best_or_the_last():
    losses = [5.0, 3.0, 1.0, 2.0, 4.0, 3.5]
    assert searched(of(), losses)[:2] == (2, 6)
    assert searched(of(keep="last"), losses)[:2] == (5, 6)
    assert searched(of(iterations=0), losses)[:2] == (0, 1)
    assert searched(of(), [1.0] * 6)[:2] == (0, 6), "of equals, the first"


def test_the_tolerance_ends_it():
    assert searched(of(), [5.0, 0.05, 9.0])[:2] == (1, 2)
    assert searched(of(), [0.05])[:2] == (0, 1)
    assert searched(of(iterations=1), [5.0, 0.1])[:2] == (1, 2), "below, not at"
    assert searched(of(tolerance=0.0), [1.0, 0.0, -1.0])[:2] == (2, 3)


def test_which_loss_counts():
    totals, targets = [5.0, 0.05, 6.0, 7.0], [4.0, 3.0, 2.0, 0.01]
    assert searched(of(stop_on="target"), totals, targets)[:2] == (3, 4)
    assert searched(of(stop_on="total"), totals, targets)[:2] == (1, 2)
    assert searched(of(3, stop_on="target"), [1, 2, 3, 4], [4, 2, 3, 3])[0] == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("keep", ["best", "last"])
def test_not_finite_ends_it_at_what_there_is(bad, keep):
    accepted, count, trace = searched(of(keep=keep), [5.0, 3.0, 4.0, bad])
    assert (accepted, count) == ({"best": 1, "last": 2}[keep], 4)
    assert trace.notes == ["step 7, iteration 3: the loss is not finite"]
    assert len(trace.inner["total"]) == 3
    accepted, count, trace = searched(of(keep=keep), [bad])
    assert (accepted, count, len(trace.notes)) == (None, 1, 1)


def test_a_gradient_that_is_not_finite_ends_it_and_is_noted():
    accepted, count, trace = searched(of(), [5.0, 6.0], slopes=[True, False])
    assert (accepted, count) == (0, 2)
    assert "gradient" in trace.notes[0]


def test_the_trace_has_every_iteration():
    _, _, trace = searched(of(), [5.0, 3.0, 0.01])
    assert trace.inner["step"] == [7, 7, 7]
    assert trace.inner["iteration"] == [0, 1, 2]
    assert trace.inner["total"] == trace.inner["loss_target"] == [5.0, 3.0, 0.01]
    assert trace.inner["p_target"] == trace.inner["p_inherent"] == [1 / 8] * 3
    assert trace.inner["p_similar"] == [2 / 8] * 3


def test_below_zero_iterations_are_refused():
    with pytest.raises(MuseError, match="max_iterations = -1 is not allowed"):
        of(iterations=-1)


def test_a_gradient_that_moves_nothing_ends_it():
    """No look would find more; after a trial one with gradient would."""
    for trial, gradient, ends in ((False, {"number": ONE}, True), (True, {"number": ONE}, False),
                                  (False, {}, False)):  # fmt: skip
        running = of().run(replace(ASK, trial=trial), Trace(inherent="fear"))
        [ask] = next(running)
        found = replace(evaluation(ask, 3.0), proposal=ask.state, gradient=gradient)
        if ends:
            with pytest.raises(StopIteration) as stop:
                running.send([found])
            assert stop.value.value is found
        else:
            [again] = running.send([found])
            assert again.iteration == 1
