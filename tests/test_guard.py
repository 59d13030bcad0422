"""Losses and gradients that are not finite: the row survives, its neighbours don't notice."""

from dataclasses import replace

import pytest
import torch

from muse.backbones import BayesGuide, GaussianMixture, PlaceSimilarity
from muse.losses import MultiEmotionLoss
from muse.schedulers import Never
from tests.toy import jobs, make, place_of, same, sampler

JOBS = jobs(4)
FOREST = [job for job in JOBS if "forest" in job.prompt]


class _Poisoned(PlaceSimilarity):
    """Fails for prompts with a forest, in the search alone: NaN ``always``, or once the guide is
    fairly ``sure`` of an emotion; or a finite value with a NaN ``slope``.
    """

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.guide = BayesGuide()

    def forward(self, image, prompts):
        seen = super().forward(image, prompts)
        if not torch.is_grad_enabled():
            return seen
        bad = torch.tensor(["forest" in prompt for prompt in prompts])
        if self.how == "slope":  # the root's slope at 0 is infinite, and 0 * infinity is NaN
            return seen + 0 * ((~bad).double() + 0 * image.sum(-1)).sqrt()
        if self.how == "sure":
            bad &= self.guide(image.detach()).softmax(-1).amax(1) > 0.9
        return torch.where(bad, torch.nan, seen)


def build(similarity=None, **options):
    options = {"steps": 20, "loss": MultiEmotionLoss(content_weight=0.05), **options}
    return sampler(similarity=similarity or PlaceSimilarity(), **options)


@pytest.fixture(scope="module")
def healthy():
    return make(build(), JOBS)


@pytest.mark.parametrize("how", ["always", "sure", "slope"])
def test_a_poisoned_row_survives_and_the_others_are_unchanged(how, healthy):
    found = make(build(_Poisoned(how)), JOBS)
    for job in JOBS:
        result = found[job.id]
        assert result.failure is None
        assert result.path.isfinite().all()
        assert len(result.trace.iterations) == 20
        read = dict(result.trace.inner)
        if read and result.trace.inherent is None:  # there is no probability of none
            assert torch.tensor(read.pop("p_inherent")).isnan().all()
        assert all(torch.tensor(values).isfinite().all() for values in read.values())
        if job in FOREST:
            assert result.trace.notes, "what went wrong is recorded"
        else:
            assert same(result, healthy[job.id]), "a neighbour noticed"
            assert not result.trace.notes


def test_never_finite_is_the_plain_model():
    found = make(build(_Poisoned("always")), FOREST)
    plain = make(build(timing=Never()), FOREST)
    for name, result in found.items():
        start = result.trace.start_step
        assert torch.equal(result.path, plain[name].path)
        assert not result.trace.inner
        assert result.trace.iterations == [0] * 20
        assert len(result.trace.notes) == 20 - start
        assert result.trace.notes[0] == f"step {start}, iteration 0: the loss is not finite"


def test_a_gradient_that_is_not_finite_ends_each_search_at_its_first_iterate():
    for result in make(build(_Poisoned("slope")), FOREST).values():
        assert result.trace.iterations == [0] * 20
        assert len(result.trace.inner["step"]) == 20 - result.trace.start_step
        assert "gradient" in result.trace.notes[0]


def test_what_was_found_before_is_kept(healthy):
    """Where the search fails late, the iterates before count: the way is not the plain one, and
    nothing surer than the poison allows was accepted."""
    found = make(build(_Poisoned("sure")), FOREST)
    plain = make(build(timing=Never()), FOREST)
    late = [
        result
        for result in found.values()
        if any("iteration 0" not in note for note in result.trace.notes)
    ]
    assert len(late) > 3
    for result in late:
        assert max(result.trace.inner["p_target"]) <= 0.9
        assert not torch.equal(result.path, plain[result.job.id].path)


def test_a_picture_that_is_not_finite_fails_its_job_alone():
    class _Half(GaussianMixture):
        def decode(self, latent):
            forest = self.posterior(latent).sum(2).argmax(1) == 3
            return torch.where(forest[:, None], torch.nan, latent)

    wanted = [replace(job, target=None) for job in JOBS]
    healthy = make(build(), wanted)
    found = make(build(backbone=_Half()), wanted)
    for job in wanted:
        result = found[job.id]
        if place_of(job) == 3:
            assert result.image is None
            assert result.failure.startswith("The picture is not finite")
        else:
            assert same(result, healthy[job.id])
