"""Eq. 11 to 13 by hand, and their gradient against the one derived by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muse.core.emotions import EMOTIONS, distribution
from muse.core.types import Goal, MuseError, Reading
from muse.losses import MultiEmotionLoss
from tests.test_emotions import TABLE

# amusement, awe, contentment, excitement, anger, disgust, fear, sadness
P = (0.4, 0.1, 0.2, 0.05, 0.05, 0.05, 0.1, 0.05)
LOGITS = torch.tensor([P], dtype=torch.float64).log() + 3.0
WEIGHTS = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 3.0]), min_size=8, max_size=8)


def goal(target, inherent=None, similarity=None):
    return Goal(
        distribution(target).double(),
        distribution({inherent: 1.0} if inherent else {}).double(),
        similarity,
    )


def similar_by_hand(target: dict[str, float], column: int) -> dict[str, float]:
    """Each component's share over those of its neighbours that are not wanted, from the table."""
    spread = dict.fromkeys(EMOTIONS, 0.0)
    for name, weight in target.items():
        near = sorted(TABLE[name][column] - set(target))
        for other in near:
            spread[other] += weight / len(near)
    return spread


def test_eq_11_to_13_of_one_emotion():
    found = MultiEmotionLoss()(Reading(LOGITS), goal({"awe": 1.0}, "amusement"))
    assert found.terms["target"].item() == pytest.approx(2.302585093)  # -ln 0.1
    assert found.terms["inherent"].item() == pytest.approx(0.916290732)  # -ln 0.4
    # contentment and excitement: (-ln 0.2 - ln 0.05) / 2
    assert found.terms["similar"].item() == pytest.approx(2.302585093)
    # 2.302585093 - 0.0005 * 0.916290732 - 0.0015 * 2.302585093
    assert found.total.item() == pytest.approx(2.298673070)
    assert set(found.terms) == {"target", "inherent", "similar"}


def test_a_mixture():
    found = MultiEmotionLoss(0.1, 0.2)(
        Reading(LOGITS), goal({"awe": 0.7, "contentment": 0.3}, "fear")
    )
    # CE = 0.7 * 2.302585 + 0.3 * 1.609438 = 2.094641; H = 0.610864
    assert found.terms["target"].item() == pytest.approx(1.483776639, rel=1e-6)
    # excitement for awe, amusement for contentment: 0.7 * 2.995732 + 0.3 * 0.916291
    assert found.terms["similar"].item() == pytest.approx(2.371899811, rel=1e-6)
    assert found.terms["inherent"].item() == pytest.approx(2.302585093)
    # 1.483776639 - 0.1 * 2.302585093 - 0.2 * 2.371899811
    assert found.total.item() == pytest.approx(0.779138167, rel=1e-6)


@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize(("rule", "column"), [("ring", 0), ("same_polarity", 1)])
def test_the_similar_term_of_every_emotion(emotion, rule, column):
    found = MultiEmotionLoss(similar_rule=rule)(Reading(LOGITS), goal({emotion: 1.0}))
    near = [-math.log(P[EMOTIONS.index(other)]) for other in TABLE[emotion][column]]
    assert found.terms["similar"].item() == pytest.approx(sum(near) / len(near))
    assert found.terms["inherent"].item() == 0, "no inherent emotion"


def test_no_neighbour_left_is_zero():
    everything = goal(dict.fromkeys(EMOTIONS, 1 / 8))
    assert MultiEmotionLoss()(Reading(LOGITS), everything).terms["similar"].item() == 0


@given(WEIGHTS.filter(any))
def test_the_target_term_is_zero_at_the_target_and_positive_elsewhere(weights):
    target = torch.tensor([weights], dtype=torch.float64)
    target = target / target.sum()
    wanted = Goal(target, torch.zeros_like(target))
    at_best = MultiEmotionLoss()(Reading((target + 1e-300).log()), wanted).terms["target"]
    assert at_best.item() == pytest.approx(0, abs=1e-12)
    elsewhere = MultiEmotionLoss()(Reading(LOGITS), wanted).terms["target"]
    assert elsewhere.item() > 0


@given(
    st.lists(st.floats(-30, 30), min_size=8, max_size=8),
    WEIGHTS.filter(any),
    st.one_of(st.none(), st.sampled_from(EMOTIONS)),
    st.sampled_from([("ring", 0), ("same_polarity", 1)]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_the_gradient_of_eq_13(values, weights, inherent, rule, first, second):
    """d CE(w, softmax z) / dz = p sum(w) - w, so that of Eq. 13 is
    (p - t) - l1 (p - inherent) - l2 (p sum(similar) - similar).
    """
    total = sum(weights)
    target = {n: w / total for n, w in zip(EMOTIONS, weights, strict=True) if w}
    similar = torch.tensor([list(similar_by_hand(target, rule[1]).values())], dtype=torch.float64)
    wanted = goal(target, inherent)
    wanted = Goal(torch.tensor([weights], dtype=torch.float64) / total, wanted.inherent)
    logits = torch.tensor([values], dtype=torch.float64, requires_grad=True)
    loss = MultiEmotionLoss(first, second, similar_rule=rule[0])
    [slope] = torch.autograd.grad(loss(Reading(logits), wanted).total.sum(), logits)
    p = logits.detach().softmax(-1)
    by_hand = (
        (p - wanted.target)
        - first * (p * wanted.inherent.sum() - wanted.inherent)
        - second * (p * similar.sum() - similar)
    )
    assert torch.allclose(slope, by_hand, rtol=0, atol=1e-12)


def test_content_is_a_hinge_on_the_similarity():
    loss = MultiEmotionLoss(content_weight=2.0)
    assert loss.needs_similarity
    assert not MultiEmotionLoss().needs_similarity
    logits = LOGITS.expand(3, 8)
    begun = torch.tensor([70.0, 70.0, 70.0]).double()
    now = torch.tensor([60.0, 70.0, 80.0]).double().requires_grad_()
    one = goal({"awe": 1.0})
    wanted = Goal(one.target.expand(3, 8), one.inherent.expand(3, 8), begun)
    found = loss(Reading(logits, now), wanted)
    assert found.terms["content"].tolist() == pytest.approx([0.1, 0, 0])
    plain = MultiEmotionLoss()(Reading(logits), wanted).total
    assert (found.total - plain).tolist() == pytest.approx([0.2, 0, 0])
    [slope] = torch.autograd.grad(found.total.sum(), now)
    assert slope[0] == pytest.approx(-0.02)
    assert slope[2] == 0


def test_content_floor_replaces_the_similarity_at_the_start():
    one = goal({"awe": 1.0})
    wanted = Goal(one.target.expand(2, 8), one.inherent.expand(2, 8), torch.tensor([10.0, 10.0]))
    now = torch.tensor([60.0, 90.0]).double()
    found = MultiEmotionLoss(content_weight=1.0, content_floor=80)(
        Reading(LOGITS.expand(2, 8), now), wanted
    )
    assert found.terms["content"].tolist() == pytest.approx([0.2, 0])
    for floor in (101.0, float("nan")):
        with pytest.raises(MuseError, match=r"content_floor = .* is out of range"):
            MultiEmotionLoss(content_floor=floor)


def test_rows_are_never_reduced():
    wanted = [goal({"awe": 1.0}, "fear"), goal({"sadness": 1.0})]
    stacked = Goal(
        torch.cat([row.target for row in wanted]), torch.cat([row.inherent for row in wanted])
    )
    both = MultiEmotionLoss()(Reading(torch.cat([LOGITS, LOGITS.flip(1)])), stacked)
    apart = [
        MultiEmotionLoss()(Reading(LOGITS), wanted[0]),
        MultiEmotionLoss()(Reading(LOGITS.flip(1)), wanted[1]),
    ]
    assert torch.equal(both.total, torch.cat([one.total for one in apart]))
    for name in both.terms:
        assert torch.equal(both.terms[name], torch.cat([one.terms[name] for one in apart]))


@pytest.mark.parametrize("name", ["inherent", "similar", "content"])
@pytest.mark.parametrize("weight", [-0.1, float("nan")])
def test_negative_weights_are_refused(name, weight):
    with pytest.raises(MuseError, match=f"{name}_weight = .* is not allowed"):
        MultiEmotionLoss(**{f"{name}_weight": weight})


@pytest.mark.parametrize("name", ["inherent", "similar", "content"])
def test_weights_are_read_by_the_names_that_they_had(name):
    with pytest.warns(FutureWarning, match=f"{name} is called {name}_weight now"):
        loss = MultiEmotionLoss(**{name: 0.25})
    assert getattr(loss, f"{name}_weight") == 0.25
    assert loss.needs_similarity == (name == "content")
