"""Rows are independent: in float64 a row's every bit is that of its single-row run."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from muse.core.jobs import Job
from muse.losses import MultiEmotionLoss
from tests.toy import jobs, make, same, sampler

JOBS = [
    *jobs(4)[:29],
    Job("plain", "a walk in the park", None, 7),
    Job("mixture", "a walk in the forest", {"awe": 0.7, "fear": 0.3}, 8),
    Job("wanted", "a walk in the fair", {"amusement": 1.0}, 9),
]
assert len(JOBS) == 32


def build(flow):
    return sampler(flow, steps=8, max_iterations=3, loss=MultiEmotionLoss(content_weight=0.05))


@pytest.fixture(scope="module")
def singles():
    """Every job alone, by whether the model is a flow."""
    return {
        flow: {job.id: make(build(flow), [job], 1)[job.id] for job in JOBS}
        for flow in (False, True)
    }


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 32])
def test_as_many_rows_as_slots(singles, flow, count):
    found = make(build(flow), JOBS[:count], count)
    assert len(found) == count
    for name, result in found.items():
        assert same(result, singles[flow][name]), name


@settings(max_examples=5)
@given(st.permutations(JOBS), st.integers(1, 32), st.integers(1, 40), st.booleans())
def test_any_rows_in_any_order_and_any_slots(singles, order, count, slots, flow):
    found = make(build(flow), order[:count], slots)
    assert found.keys() == {job.id for job in order[:count]}
    for name, result in found.items():
        assert same(result, singles[flow][name]), name


def test_these_rows_are_no_easy_ones(singles):
    """Some latch and some don't, at different steps, with different numbers of iterations."""
    traces = [result.trace for result in singles[False].values()]
    starts = {trace.start_step for trace in traces}
    assert len(starts) >= 3
    assert None in starts
    assert len({sum(trace.iterations) for trace in traces}) >= 3


def test_the_seed_decides_and_nothing_else_about_the_job(singles):
    job = JOBS[0]
    renamed = replace(job, id="another-name")
    other = replace(job, id="another-seed", seed=job.seed + 1)
    found = make(build(False), [other, renamed, *JOBS[4:7]], 4)
    assert same(found["another-name"], singles[False][job.id])
    assert not torch.equal(found["another-seed"].path[0], singles[False][job.id].path[0])


def test_the_plain_twin_starts_from_the_same_noise(singles):
    job = JOBS[0]
    twin = replace(job, id="twin", target=None)
    found = make(build(False), [twin], 1)["twin"]
    assert torch.equal(found.path[0], singles[False][job.id].path[0])
    start = singles[False][job.id].trace.start_step
    assert torch.equal(found.path[: start + 1], singles[False][job.id].path[: start + 1])
    assert not torch.equal(found.path[start + 1], singles[False][job.id].path[start + 1])
