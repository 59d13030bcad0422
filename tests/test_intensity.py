"""How strongly: from the plain picture to all of an emotion, and to less of it than there was."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from muse import MusePipeline
from muse.backbones import GaussianMixture, load_backbone
from muse.cli import main
from muse.core.emotions import EMOTIONS, distribution
from muse.core.intensity import dosed, emotion_text, parse_emotion, without
from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Denoised, MuseError
from muse.data import Jobs, plain_twins, read_jobs, write_jobs
from muse.data.jobs import cross, job_entry
from muse.guides import ConvNet
from muse.runs.deciding import Deciding
from muse.sampling import Sampler
from muse.schedulers import Always, DPMSolver2M
from muse.steering import (
    BestOfN,
    EmotionWord,
    NoiseOptimization,
    TrainingFreeGuidance,
    UniversalGuidance,
)
from tests import toy

TOY = str(Path(__file__).parent.parent / "configs" / "toy.yaml")
SHORT = ["--config", TOY, "--steps=12", "--max_iterations=1", "--timing=Always"]
AWE = Job("a", "a walk in the park", {"awe": 1.0}, 3)


def made(jobs: list[Job], **options: object) -> list[Result]:
    """The results in the jobs' order, of a toy in few steps."""
    sampler = toy.sampler(steps=15, max_iterations=3, timing=Always(), **options)
    found = toy.make(sampler, jobs)
    return [found[job.id] for job in jobs]


def likelihood(results: list[Result], emotion: int) -> torch.Tensor:
    """The exact probability of an emotion in each result, (B,)."""
    points = torch.cat([result.image for result in results])
    return GaussianMixture().posterior(points).sum(1)[:, emotion]


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target", "intensity"),
    [
        ("awe", {"awe": 1.0}, None),
        (" awe @ 0.6 ", {"awe": 1.0}, 0.6),
        ("awe:0.75,fear:0.25@-1", {"awe": 0.75, "fear": 0.25}, -1.0),
        ({"awe": 2.0}, {"awe": 1.0}, None),
    ],
)
def test_an_emotion_says_its_intensity(text, target, intensity):
    found = parse_emotion(text)
    assert found == (target, intensity)
    assert parse_emotion(emotion_text(*found)) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("awe@1.5", "intensity 1.5 is out of range"),
        ("awe@nan", "intensity nan is out of range"),
        ("awe@much", "intensity 'much' is not a number"),
        ("awe@", "intensity '' is not a number"),
        ("awr@0.5", "Did you mean 'awe'?"),
    ],
)
def test_what_is_no_intensity_is_a_line(text, told):
    with pytest.raises(MuseError) as caught:
        parse_emotion(text)
    assert told in str(caught.value)


def test_jobs_carry_it(tmp_path):
    file = tmp_path / "jobs.csv"
    file.write_text("prompt,emotion,intensity\na park,awe@0.6,\na park,awe,-0.5\na park,awe,\n")
    jobs = read_jobs(file, 0)
    assert [job.intensity for job in jobs] == [0.6, -0.5, None]
    assert [job.id for job in jobs] == ["a-park-awe-at60", "a-park-awe", "a-park-awe-2"]
    again = tmp_path / "jobs.jsonl"
    again.write_text(write_jobs(jobs))
    assert read_jobs(again, 0) == jobs
    assert len(plain_twins(jobs).jobs) == 1, "one plain twin serves all intensities"
    assert [job.intensity for job in cross(["a"], ["awe@0.25", "awe"], 0)] == [0.25, None]
    file.write_text("prompt,emotion,intensity\na park,awe@0.6,0.5\n")
    with pytest.raises(MuseError, match=r"intensity 0\.5 stands beside emotion 'awe@0.6'"):
        read_jobs(file, 0)


def test_alike_but_for_the_intensity_is_no_double():
    assert not any("same picture" in note for note in Jobs(None, "a", ["awe@0.5", "awe"]).notes)
    assert any("same picture" in note for note in Jobs(None, "a", ["awe@0.5"] * 2).notes)


def test_it_is_in_the_digest():
    """And a job that says nothing has the digest that it had before there was any."""
    deciding = Deciding({})
    digests = {deciding.digest(replace(AWE, intensity=x)) for x in (None, 1.0, 0.5, -0.5)}
    assert len(digests) == 4
    assert "intensity" not in job_entry(AWE)


# --- formulas ----------------------------------------------------------------------------------


def test_less_of_an_emotion_leaves_the_others_as_they_are():
    logits = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).double()
    target = distribution({"awe": 0.5, "fear": 0.5}).expand(2, 8)
    found, p = without(logits, target), logits.softmax(-1)
    assert found[target > 0].eq(0).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(2).double())
    torch.testing.assert_close(found[:, 0] / found[:, 3], p[:, 0] / p[:, 3])
    sure = torch.full((1, 8), -200.0)
    sure[:, 1] = 200.0
    assert without(sure, distribution({"awe": 1.0})).isfinite().all()


def test_a_dose_keeps_the_identity_of_predictions():
    x, alpha, sigma = torch.randn(1, 3), torch.tensor(0.6), torch.tensor(0.8)
    plain, steered = (Denoised.from_eps(x, torch.randn(1, 3), alpha, sigma) for _ in range(2))
    torch.testing.assert_close(dosed(plain, steered, 0.3).at(alpha, sigma), x)
    torch.testing.assert_close(dosed(plain, steered, 0.0).x0, plain.x0)


# --- pictures ----------------------------------------------------------------------------------


def test_none_is_the_plain_picture_and_all_is_what_it_was():
    """Bit for bit, alone and beside others."""
    none, some, whole = (replace(AWE, id=f"{x}", intensity=x) for x in (0.0, 0.5, 1.0))
    plain = replace(AWE, id="plain", target=None)
    said = made([none, some, whole, AWE, plain])
    for first, second in ((said[0], said[4]), (said[2], said[3])):
        assert torch.equal(first.image, second.image)
        assert torch.equal(first.path, second.path)
    assert not torch.equal(said[1].image, said[3].image)
    assert toy.same(made([some])[0], said[1]), "whatever its neighbours are"
    assert [result.trace.intensity for result in said] == [0.0, 0.5, 1.0, 1.0, None]
    assert said[0].trace.start_step is None
    assert said[1].trace.start_step == 0


def test_a_samplers_intensity_is_for_jobs_that_say_none():
    half, job = replace(AWE, id="half", intensity=0.5), replace(AWE, intensity=1.0)
    by_option = made([AWE, replace(job, id="whole")], intensity=0.5)
    by_job = made([half, job])
    for first, second in zip(by_option, by_job, strict=True):
        assert torch.equal(first.image, second.image)
        assert first.trace == second.trace


def test_more_of_it_is_more():
    """The exact probability rises with every level, in the mean of all eight emotions."""
    jobs, means = toy.jobs(1), []
    for level in (0.0, 0.5, 1.0):
        results = made([replace(job, intensity=level) for job in jobs])
        own = [likelihood([r], EMOTIONS.index(*r.job.target)) for r in results]
        means.append(torch.cat(own).mean().item())
    assert means[0] + 0.1 < means[1] < means[2] - 0.1


def test_less_of_it_is_less():
    """Of the emotion that a place has by itself; and its other emotions are what is sought."""
    fair = [Job(f"{seed}", "a day at the fair", {"amusement": 1.0}, seed) for seed in range(6)]
    levels = {
        level: made([replace(job, intensity=level) for job in fair]) for level in (0.0, -0.5, -1.0)
    }
    found = [likelihood(results, 0).mean().item() for results in levels.values()]
    assert found[0] > found[1] > found[2]
    assert found[2] < found[0] / 2
    assert all(toy.place_of(result.job) == 1 for result in levels[-1.0])
    trace = levels[-1.0][0].trace
    assert trace.inner["p_target"][0] < 1, "it is of the emotion that was named"


def test_another_solver_goes_along():
    [half, whole] = made([replace(AWE, id="half", intensity=0.5), AWE], scheduler=DPMSolver2M())
    assert half.image.isfinite().all()
    assert not torch.equal(half.image, whole.image)


@pytest.mark.parametrize(
    ("steering", "intensity", "told"),
    [
        (EmotionWord(), -0.5, "EmotionWord doesn't"),
        (BestOfN(2), 0.5, "BestOfN moves to others by itself"),
        (NoiseOptimization(1), 0.5, "NoiseOptimization moves to others by itself"),
        (UniversalGuidance(recurrences=2), 0.5, "UniversalGuidance moves to others by itself"),
        (TrainingFreeGuidance(recurrences=2), 0.5, "TrainingFreeGuidance moves to others"),
    ],
)
def test_a_steering_without_it_is_a_line(steering, intensity, told):
    with pytest.raises(MuseError, match=told):
        toy.sampler(steering=steering, timing=Always(), intensity=intensity)
    job = replace(AWE, intensity=intensity)
    [failed] = made([job], steering=steering)
    assert told in failed.failure


def test_less_of_all_eight_is_a_line():
    [failed] = made([replace(AWE, target=dict.fromkeys(EMOTIONS, 1 / 8), intensity=-1.0)])
    assert "the target has all eight. Take one out of it" in failed.failure


def test_a_word_has_it(tiny_folder: Callable[[str], Path]):
    """Any steering that predicts: the word's picture lies on the way, too."""
    pipe = MusePipeline(
        load_backbone(str(tiny_folder("sd"))), ConvNet(), timing=Always(), steering=EmotionWord()
    )
    emotions = [None, "awe@0", "awe@0.01", "awe@0.5", "awe@1"]
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    images = pipe("a b", emotions, latents=start, num_inference_steps=3, output_type="pt").images
    torch.testing.assert_close(images[1], images[0], atol=1e-6, rtol=0)
    away = (images - images[0]).flatten(1).norm(dim=1).tolist()
    assert 0 < away[2] < away[3] < away[4]


# --- doors -------------------------------------------------------------------------------------


def test_a_picture_says_it(tmp_path, capsys):
    """By @ or by option; 0 is the plain twin, and told so."""
    words, shown = ["generate", "a park", "--seed=3", *SHORT], {}
    for name, more in (("some", ["awe@0.5", "--plain"]), ("none", ["awe", "--intensity=0"])):
        out = str(tmp_path / f"{name}.png")
        assert main([*words, "--out", out, "--emotion", *more]) == 0
    told = capsys.readouterr().out
    assert "some.png: awe@0.5 " in told
    assert "intensity 0, the plain picture" in told
    for name in ("some", "none", "some-plain"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            shown[name] = picture.text["target"], picture.tobytes()
    assert [target for target, _ in shown.values()] == ["awe@0.5", "awe", "plain"]
    assert shown["none"][1] == shown["some-plain"][1] != shown["some"][1]


def test_a_run_says_it(tmp_path):
    (tmp_path / "jobs.csv").write_text("prompt,emotion\na park,awe@0.5\na park,awe\n")
    run = tmp_path / "run"
    words = ["--model.steps=6", "--model.max_iterations=1", "--model.timing=Always"]
    words += ["--data.jobs", str(tmp_path / "jobs.csv"), "--output_dir", str(run)]
    assert main(["fit-free", "--config", TOY, *words]) == 0
    records = {path.stem: json.loads(path.read_text()) for path in (run / "records").iterdir()}
    assert records["a-park-awe-at50"]["intensity"] == 0.5
    assert records["a-park-awe"]["intensity"] == 1
    [plain] = [json.loads(path.read_text()) for path in (run / "plain_records").iterdir()]
    assert plain["intensity"] is None
    with (run / "results.csv").open() as file:
        assert [row["target"] for row in csv.DictReader(file)] == ["awe@0.5", "awe"]
    assert len({record["config_digest"] for record in records.values()}) == 2


def test_an_option_out_of_range_is_a_line():
    with pytest.raises(MuseError, match=r"intensity 1\.5 is out of range"):
        Sampler(**toy.parts(), intensity=1.5)


def test_none_of_it_warns_of_nothing(tiny_folder: Callable[[str], Path]):
    """In a call from Python: all warnings are errors here."""
    pipe = MusePipeline(load_backbone(str(tiny_folder("sd"))), ConvNet(), timing=Always())
    made = pipe("a b", "awe", intensity=0, num_inference_steps=2, output_type="pt")
    assert made.start_steps == [None]
