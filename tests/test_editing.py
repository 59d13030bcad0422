"""A scale of its own for the emotion, and what it means for pictures that are edited."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from muse.core.types import Denoised, MuseError, mix
from muse.latents import DDIMInversion
from muse.schedulers import Always, Never, StepWindow
from muse.steering import NoSteering
from tests.test_components import _PictureToy
from tests.test_counts import counted, evaluations, plain, steered
from tests.toy import jobs, make, same, sampler

JOBS = jobs(2)
STEPS = 10


def prediction(seed):
    generator = torch.Generator().manual_seed(seed)
    return Denoised(*torch.randn(2, 3, 2, generator=generator, dtype=torch.float64))


def test_the_formula():
    made = sampler(guidance_scale=3.0, emotion_scale=5.0)
    u, c, s = map(prediction, range(3))
    found = made.setup.guidance.mixed(s, u, c)
    for name in ("x0", "eps"):
        null, text, both = (getattr(seen, name) for seen in (u, c, s))
        expected = null + 3 * (text - null) + 5 * (both - text)
        torch.testing.assert_close(getattr(found, name), expected, atol=1e-14, rtol=0)
    assert torch.equal(made.setup.guidance.seen(s, u, c), found.x0)


def test_one_scale_is_the_case_of_two_equal_ones():
    """The paper's guidance, to rounding."""
    u, c, s = map(prediction, range(3))
    two = sampler(guidance_scale=4.0, emotion_scale=4.0).setup.guidance.mixed(s, u, c)
    torch.testing.assert_close(two.x0, mix(s, u, 4.0).x0, atol=1e-13, rtol=0)


def test_nothing_steered_nothing_changed():
    """NoSteering with a scale of its own is the plain model bit for bit."""
    options = {"steps": 12, "guidance_scale": 3.0}
    never = make(sampler(timing=Never(), **options), JOBS)
    nothing = make(
        sampler(timing=Always(), steering=NoSteering(), emotion_scale=6.0, **options), JOBS
    )
    for job in JOBS:
        assert torch.equal(never[job.id].path, nothing[job.id].path)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_rows_never_meet(scale):
    made = sampler(steps=12, guidance_scale=scale, emotion_scale=4.0)
    together = make(made, JOBS)
    for job in JOBS[::3]:
        assert same(together[job.id], make(made, [job], 1)[job.id])


@pytest.mark.parametrize("start", [0, 4])
def test_at_guidance_1_the_plain_prediction_is_the_unconditional_one(start):
    """One plain row a step, as without a scale of its own, and never two."""
    options = {"timing": StepWindow(start / STEPS), "guidance_scale": 1.0, "emotion_scale": 5.0}
    backbone, [result], _ = counted(**options)
    assert plain(backbone) == STEPS
    assert steered(backbone) == evaluations(result)


def test_with_guidance_it_costs_a_plain_row_more_in_every_steered_step():
    backbone, [result], rounds = counted(StepWindow(0.4), emotion_scale=5.0)
    assert plain(backbone) == 2 * STEPS
    assert steered(backbone) == evaluations(result)
    assert max(rounds) == 1


def test_a_larger_scale_moves_further():
    """The same S, unsearched: twice the scale is twice the way in the first steered step."""
    moved = {}
    for scale in (2.0, 4.0):
        made = sampler(
            steps=12, guidance_scale=1.0, emotion_scale=scale, max_iterations=0,
            timing=StepWindow(0.9),
        )  # fmt: skip
        plain_one = make(sampler(steps=12, guidance_scale=1.0, timing=Never()), JOBS[:1])
        found = make(made, JOBS[:1])[JOBS[0].id]
        moved[scale] = found.path[-1] - plain_one[JOBS[0].id].path[-1]
    assert moved[2.0].abs().max() > 0
    torch.testing.assert_close(moved[4.0], 2 * moved[2.0], atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_scales_that_are_none(scale):
    with pytest.raises(MuseError, match=r"emotion_scale = .* is not allowed"):
        sampler(emotion_scale=scale)


def edited(tmp_path, color, fixed_point=5, **options):
    """A picture of one colour, inverted and sampled again: how far its point moved."""
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), color).save(path)
    made = sampler(
        backbone=_PictureToy(), latents=DDIMInversion(fixed_point), steps=50, size=(8, 8), **options
    )
    job = replace(JOBS[0], prompt="a park", image=path)
    result = make(made, [job])[job.id]
    assert result.failure is None
    point = torch.tensor([[10 * color[0] / 255 - 5, 10 * color[1] / 255 - 5]]).double()
    return (result.image - point).norm().item(), result


def test_guiding_the_emotion_alone_returns_the_unsteered_picture(tmp_path):
    """Guidance on the prompt leads an inverted picture elsewhere; negative-prompt inversion not,
    whatever the emotion's scale."""
    color = (247, 146, 0)  # the park's contentment
    alone, _ = edited(tmp_path, color, timing=Never(), guidance_scale=1.0, emotion_scale=7.5)
    mixed, _ = edited(tmp_path, color, timing=Never(), guidance_scale=7.5)
    print("alone", alone, "mixed", mixed)
    assert alone < 1e-5
    assert mixed > 0.1


def test_an_edit_reaches_its_emotion(tmp_path):
    _, result = edited(
        tmp_path, (247, 146, 0), timing=StepWindow(0.2), guidance_scale=1.0, emotion_scale=7.5
    )
    [target] = result.job.target
    assert result.trace.inherent != target
    assert result.probabilities[target] > 0.9
