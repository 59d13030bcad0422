"""The output folder is a run's state: what goes on, what is refused, what is never lost."""

from __future__ import annotations

import errno
import json
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from filelock import FileLock
from jsonargparse import Namespace
from PIL import Image

from benchmarks import processes
from benchmarks.processes import pictures, records, strays
from muse.cli import main
from muse.commands.lightning import HandConfigOver
from muse.core.digests import Digests
from muse.core.files import TEMPORARY, _host
from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import MuseError
from muse.metrics import FinishedRun
from muse.report import summary
from muse.runs import RunFolder, folder
from muse.runs.deciding import Deciding, absolute, described
from muse.runs.folder import repeatable_config
from muse.runs.progress import rate_of
from muse.sampling import Sampler
from muse.steering import TokenOptimization
from muse.tasks import FitFree
from tests.test_cli import fit_free, one_line
from tests.toy import parts

JOBS = ["--data.prompts=[a park,the forest]", "--data.emotions=[awe,fear]"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two prompts in two emotions, with one slot."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert fit_free(folder, *JOBS, "--model.slots=1") == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of all that gets made, plain twins first."""
    seen: list[str] = []
    sample = Sampler.sample

    def counted(self: Sampler, jobs: Any, *rest: Any) -> Iterator[Result]:
        for result in sample(self, jobs, *rest):
            seen.append(result.job.id)
            yield result

    monkeypatch.setattr(Sampler, "sample", counted)
    return seen


def again(folder: Path, *words: str) -> int:
    return fit_free(folder, *JOBS, "--model.slots=1", *words)


def test_a_finished_run_makes_nothing_again(
    run: Path, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = pictures(run), records(run)
    assert again(run) == 0
    assert made == []
    assert (pictures(run), records(run)) == before
    assert "muse: note: 6 of 6 pictures are there already." in capsys.readouterr().err


def test_slots_and_the_place_may_change(
    run: Path, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "elsewhere" / "other"
    moved.parent.mkdir()
    run.rename(moved)
    monkeypatch.chdir(moved.parent)
    assert fit_free(Path("other"), *JOBS, "--model.slots=3") == 0
    assert made == []


@pytest.mark.parametrize(
    "lost", ["records/a-park-awe.json", "images/a-park-awe.png", "plain", "plain_records"]
)
def test_what_is_missing_is_made_as_it_was(
    finished: Path, run: Path, made: list[str], lost: str
) -> None:
    gone = run / lost
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert again(run) == 0
    assert len(made) == (1 if "awe" in lost else 2)
    assert pictures(run) == pictures(finished)
    assert records(run) == records(finished)


def test_a_record_cut_in_half_is_made_anew(
    finished: Path, run: Path, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "records" / "the-forest-fear.json"
    path.write_text(path.read_text()[:300])
    assert again(run) == 0
    assert made == ["the-forest-fear"]
    assert records(run) == records(finished)
    told = capsys.readouterr().err
    assert "5 of 6 pictures are there already" in told
    assert "Damaged records, made anew: 1 (the-forest-fear)." in told


@pytest.mark.parametrize("text", ["[]", "{}"])
def test_a_record_that_is_none_is_made_anew(run: Path, made: list[str], text: str) -> None:
    (run / "records" / "the-forest-fear.json").write_text(text)
    assert again(run) == 0
    assert made == ["the-forest-fear"]


def test_what_is_no_settings_or_no_listing_is_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "settings.json").write_text("[]")
    assert again(run) == 2
    assert "its settings.json is damaged" in one_line(capsys)
    (run / "jobs.jsonl").write_text('{"prompt": "a park"}\n')
    assert main(["status", str(run)]) == 2
    assert "is damaged (a line is no job with an id)" in one_line(capsys)


def test_jobs_may_be_added(finished: Path, run: Path, made: list[str]) -> None:
    words = ["--data.prompts=[a park,the fair]", "--data.emotions=[awe,sadness]"]
    assert fit_free(run, *words, "--model.slots=1") == 0
    assert made[0].startswith("plain-the-fair")
    assert made[1:] == ["a-park-sadness", "the-fair-awe", "the-fair-sadness"]
    listed = [
        json.loads(line)["id"] for line in (run / "jobs.jsonl").read_text().split("\n") if line
    ]
    first = ["a-park-awe", "a-park-fear", "the-forest-awe", "the-forest-fear"]
    assert listed == first + made[1:]
    assert len((run / "results.csv").read_text().splitlines()) == 1 + 7
    before, after = pictures(finished), pictures(run)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model.loss.similar_weight=0.5"], "loss.init_args.similar_weight was 0.0015, is 0.5."),
        (["--trainer.precision=bf16-mixed"], "precision was '32-true', is 'bf16-mixed'."),
        (["--data.seed=3"], "of job 'a-park-awe' seed was "),
        (
            ["--model.steps=11", "--model.tolerance=0.2"],
            "steps was 12, is 11 (and 1 more changes).",
        ),
    ],
)
def test_a_changed_setting_is_refused_and_named(
    run: Path, made: list[str], capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    before = pictures(run), records(run)
    assert again(run, *words) == 2
    line = one_line(capsys)
    assert "holds another run (4 pictures): " in line
    assert told in line
    assert made == []
    assert (pictures(run), records(run)) == before
    assert strays(run) == []


def test_jobs_keep_their_own_settings(
    tmp_path: Path, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the file, in the run's folder, in its digests; their twins have them too."""
    jobs, run, copy = tmp_path / "jobs.csv", tmp_path / "run", tmp_path / "copy"
    jobs.write_text(
        "id,prompt,emotion,seed,steps,guidance_scale,negative_prompt\n"
        "a,a park,awe,1,5,3.0,a forest\nb,a park,awe,1,,,\n"
    )
    words = ["--data.jobs", str(jobs), "--model.slots=1"]
    assert fit_free(run, *words) == 0
    assert len(made) == 4
    first = records(run)
    assert len(first["records/a.json"]["iterations"]) == 5
    assert len(first["records/b.json"]["iterations"]) == 12
    made.clear()
    assert fit_free(run, *words) == 0
    assert made == []
    whole = jobs.read_text()
    jobs.write_text(whole.replace("1,5,3.0,a forest", "1,,3.0,a forest"))
    capsys.readouterr()
    assert fit_free(run, *words) == 2, "what is taken away is a change, too"
    assert "of job 'a' steps was 5, is None" in one_line(capsys)
    jobs.write_text(whole)
    again_ = ["fit-free", "--config", str(run / "config.yaml"), "--output_dir", str(copy)]
    assert main(again_) == 0
    assert pictures(copy) == pictures(run)
    for wrong, told in (("steps,x", "steps 'x' is not a whole number"), ("size,5", "size '5'")):
        name, value = wrong.split(",")
        jobs.write_text(f"prompt,emotion,{name}\na park,awe,{value}\n")
        capsys.readouterr()
        assert fit_free(tmp_path / "other", "--data.jobs", str(jobs)) == 2
        assert told in one_line(capsys)


def test_where_no_picture_is_lost_a_setting_may_change(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that came to nothing holds no run."""

    def nothing(self: Sampler, *_: Any) -> Iterator[Result]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Sampler, "sample", nothing)
    assert again(tmp_path, "--model.steps=11", "--data.seed=3") == 130
    monkeypatch.undo()
    assert (tmp_path / "settings.json").is_file()
    assert again(tmp_path) == 0
    assert pictures(tmp_path) == pictures(finished)
    assert records(tmp_path) == records(finished)


def test_a_run_of_an_older_muse_is_refused(
    run: Path, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "settings.json").unlink()
    assert fit_free(run, "--data.prompts=the fair", "--data.emotions=awe") == 2
    assert "holds another run (4 pictures): it was made by an older muse" in one_line(capsys)
    assert made == []


def test_failed_jobs_stay_failed_until_they_are_tried_again(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    sample, broken = Sampler.sample, True

    def failing(self: Sampler, jobs: Any, *rest: Any) -> Iterator[Result]:
        for result in sample(self, jobs, *rest):
            bad = broken and "forest" in result.job.id  # a plain twin and two pictures
            yield replace(result, image=None, probabilities={}, failure="no") if bad else result

    monkeypatch.setattr(Sampler, "sample", failing)
    assert again(tmp_path) == 1
    assert "Failed: the-forest-awe: no" in capsys.readouterr().out
    assert (tmp_path / "contact_sheet.png").is_file()
    assert len(pictures(tmp_path)) == 3
    broken = False
    assert again(tmp_path) == 1
    assert len(pictures(tmp_path)) == 3
    capsys.readouterr()
    assert main(["status", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "2 of 4 pictures are done, 0 left, 2 failed." in told
    assert "Failed (2): no" in told
    assert again(tmp_path, "--retry_failed") == 0
    assert pictures(tmp_path) == pictures(finished)
    assert records(tmp_path) == records(finished)


def test_a_twin_that_failed_is_missed_by_nobody(run: Path) -> None:
    """The sheet, the status and `muse evaluate`'s look for pictures."""
    twin = json.loads((run / "records" / "a-park-awe.json").read_text())["plain"]
    (run / "plain" / f"{twin}.png").unlink()
    file = run / "plain_records" / f"{twin}.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"status": "failed", "probabilities": {}})
    )
    for path in run.glob("records/a-park-*.json"):
        told = json.loads(path.read_text()) | {"plain": None, "plain_probabilities": None}
        told.pop("point")
        path.write_text(json.dumps(told))
    assert again(run) == 0
    assert json.loads((run / "records" / "a-park-awe.json").read_text())["plain"] is None
    for path in run.glob("records/the-*.json"):
        path.unlink()
    FinishedRun.open(run).check_pictures(False)


def test_overwrite_removes_what_muse_wrote_and_nothing_else(run: Path) -> None:
    mine = [run / "mine.png", run / "images" / "mine.png", run / "notes.txt"]
    for path in mine:
        path.write_bytes(b"mine")
    (run / "evaluation").mkdir()
    (run / "evaluation" / "evaluation.md").write_text("old")
    words = ["--data.prompts=[the fair]", "--data.emotions=[awe]", "--model.steps=9"]
    assert fit_free(run, *words, "--model.overwrite=true") == 0
    assert all(path.read_bytes() == b"mine" for path in mine)
    assert not (run / "evaluation").exists()
    assert {path.name for path in run.glob("images/*")} == {"the-fair-awe.png", "mine.png"}
    assert [path.name for path in run.glob("records/*.json")] == ["the-fair-awe.json"]
    assert len(list(run.glob("plain/*"))) == len(list(run.glob("plain_records/*"))) == 1


def test_overwrite_keeps_pictures_that_are_to_be_edited(
    run: Path,
) -> None:
    source = (run / "images" / "a-park-awe.png").absolute()
    place = RunFolder(run, overwrite=True)
    job = Job("edit", "a park", {"fear": 1.0}, 0, source)
    with pytest.raises(MuseError, match="belongs to the run that would be replaced"):
        place.open([job], {"model": {"steps": 9}}, repeatable=False)
    place.release()
    assert source.is_file()
    assert len(pictures(run)) == 6


def test_pictures_to_edit_may_move(tmp_path: Path) -> None:
    """What is in them counts, not where they lie."""
    (tmp_path / "a").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "a" / "photo.png")
    edit = Job("edit", "a park", {"fear": 1.0}, 0, tmp_path / "a" / "photo.png")
    first = RunFolder(tmp_path / "run")
    first.open([edit], {"model": {"steps": 2}}, False)
    digests = [first.deciding.digest(each) for each in (edit, *first.twins.jobs)]
    first.release()
    (tmp_path / "a").rename(tmp_path / "b")
    moved, more = (replace(edit, id=id, image=tmp_path / "b/photo.png") for id in ("edit", "more"))
    second = RunFolder(tmp_path / "run")
    second.open([moved, more], {"model": {"steps": 2}}, False)
    second.release()
    assert [second.deciding.digest(each) for each in (moved, *second.twins.jobs)] == digests
    listed = [json.loads(line) for line in (tmp_path / "run/jobs.jsonl").read_text().splitlines()]
    assert [(entry["id"], entry["image"]) for entry in listed] == [
        ("edit", str(moved.image)), ("more", str(moved.image)),
    ]  # fmt: skip


def test_two_runs_never_write_to_one_folder(
    run: Path, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(run / ".lock"):
        assert again(run) == 2
        assert "Another muse writes to" in one_line(capsys)
        assert main(["status", str(run)]) == 0
    assert made == []
    assert again(run) == 0
    assert strays(run) == []


@pytest.mark.parametrize("at", ["a picture", "a record", "the sheet"])
def test_a_full_disk_is_told_and_loses_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, at: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    count = 0
    save, write = folder.save_picture, folder.write_record

    def third(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        return full() if count == 3 else (save if at == "a picture" else write)(*args, **options)

    target = {"a picture": "save_picture", "a record": "write_record"}.get(at)
    if target:
        monkeypatch.setattr(folder, target, third)
    else:
        monkeypatch.setattr(summary, "contact_sheet", lambda *_: Image.new("RGB", (4, 4)))
        monkeypatch.setattr(Image.Image, "save", full)
        monkeypatch.setattr(folder, "save_picture", lambda path, *_: path.write_bytes(b""))
    assert again(tmp_path) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("muse: error: Can't write ")
    assert "No space left on device" in told
    assert strays(tmp_path) == []
    monkeypatch.undo()
    for path in tmp_path.glob("*/*.png"):  # the sheet's stand-ins
        path.unlink() if not path.stat().st_size else None
    assert again(tmp_path) == 0
    assert pictures(tmp_path) == pictures(finished)
    assert records(tmp_path) == records(finished)


def test_a_folder_that_cannot_be_written_is_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("muse.core.files.tempfile.TemporaryFile", refused)
    assert again(run) == 2
    assert "Can't write to the folder" in one_line(capsys)


def test_files_of_killed_processes_are_swept_away(run: Path) -> None:
    dead = [run / "images" / (TEMPORARY.format(host=_host(), pid=2**22 + 1) + "-x.png")]
    alive = run / "records" / (TEMPORARY.format(host=_host(), pid=1) + "-x.json")
    for path in (*dead, alive):
        path.write_bytes(b"half")
    assert again(run) == 0
    assert strays(run) == [str(alive.relative_to(run))]


def test_sigterm_ends_a_run_as_ctrl_c_does(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    sample = Sampler.sample

    def terminated(self: Sampler, jobs: Any, *rest: Any) -> Iterator[Result]:
        for count, result in enumerate(sample(self, jobs, *rest)):
            if count == 3:
                signal.raise_signal(signal.SIGTERM)
            yield result

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Sampler, "sample", terminated)
    assert again(tmp_path) == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert "1 of 4 pictures are finished and stay." in capsys.readouterr().out
    monkeypatch.undo()
    assert main(["status", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "1 of 4 pictures are done, 3 left." in told
    assert "No process is at work on it; the run's command goes on with it." in told
    assert again(tmp_path) == 0
    assert pictures(tmp_path) == pictures(finished)


def test_status_sums_up_what_there_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("results.csv", "contact_sheet.png", "traces.png"):
        (run / name).unlink()
    (run / "records" / "a-park-awe.json").unlink()
    assert main(["status", str(run)]) == 0
    assert "3 of 4 pictures are done, 1 left." in capsys.readouterr().out
    assert len((run / "results.csv").read_text().splitlines()) == 1 + 3
    assert (run / "contact_sheet.png").is_file()
    assert (run / "traces.png").is_file()
    assert main(["status", str(run / "images")]) == 2
    assert "There is no run in" in one_line(capsys)


def test_rate_leaves_pauses_out_and_counts_what_is_done_together() -> None:
    steady = [(10.0 * n, 10.0) for n in range(5)]
    assert rate_of(steady) == pytest.approx(360)
    paused = steady + [(10.0 * n + 5000.0, 10.0) for n in range(5, 10)]
    assert rate_of(paused) == pytest.approx(360)
    together = [(60.0 * (n // 4), 60.0) for n in range(12)]
    assert rate_of(together) == pytest.approx(4 * 60)
    at_once = [(7200.0 + 0.01 * n, 7200.0) for n in range(8)]
    assert rate_of(at_once) == pytest.approx(4, rel=1e-4)
    overlapping = [(10.0 * n, 40.0) for n in range(200)]
    assert rate_of(overlapping) == pytest.approx(360, rel=0.02)
    assert rate_of([(5.0, 1.0)]) == pytest.approx(3600)
    assert rate_of([]) is None


# What decides pixels


def job(**changes: Any) -> Job:
    return replace(Job("one", "a dog", {"awe": 1.0}, 3), **changes)


def test_the_digest_holds_what_decides_pixels() -> None:
    config = {"model": {"steps": 5, "slots": 4, "output_dir": "a"}, "trainer": {"devices": 1}}
    one = Deciding(config).digest(job())
    same = {"model": {"steps": 5, "slots": 9, "output_dir": "b"}, "trainer": {"devices": 2}}
    assert Deciding(same).digest(job(id="two")) == one
    for changed in ({"seed": 4}, {"prompt": "a cat"}, {"target": {"fear": 1.0}}, {"target": None}):
        assert Deciding(config).digest(job(**changed)) != one
    other = {"model": {"steps": 6}}
    assert Deciding(other).digest(job()) != one
    half = {**config, "trainer": {"precision": "bf16-mixed"}}
    assert Deciding(half).digest(job()) != one
    assert Deciding({**config, "trainer": {"precision": None}}).digest(job()) == one


def test_the_digest_holds_what_is_in_local_weights(tmp_path: Path) -> None:
    weights, copy = tmp_path / "a.pth", tmp_path / "other" / "b.pth"
    weights.write_bytes(b"one")
    copy.parent.mkdir()
    copy.write_bytes(b"one")
    config = {"model": {"guide": {"class_path": "G", "init_args": {"checkpoint": str(weights)}}}}
    moved = {"model": {"guide": {"class_path": "G", "init_args": {"checkpoint": str(copy)}}}}
    before = Deciding(config).digest(job())
    assert Deciding(moved).digest(job()) == before
    weights.write_bytes(b"two!")
    assert Deciding(config).digest(job()) != before
    packaged = {"model": {"guide": {"init_args": {"clip": "muse-mini/clip"}}}}
    assert len(Deciding(packaged).weights["muse-mini/clip"]) == 64


def test_a_file_is_not_read_again_unless_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    digests = Digests()
    first = digests.of(tmp_path)
    monkeypatch.setattr(
        "muse.core.digests.known_digest", lambda path: pytest.fail(f"{path} is read")
    )
    assert Digests(digests.known).of(tmp_path) == first
    monkeypatch.undo()
    (tmp_path / "a").write_bytes(b"bb")
    assert Digests(digests.known).of(tmp_path) != first


def test_a_dumped_config_names_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine.pth").write_bytes(b"")
    (tmp_path / "model").mkdir()
    (tmp_path / "total").mkdir()
    monkeypatch.chdir(tmp_path)
    part = {"class_path": "muse.guides.EmoGen", "init_args": {"checkpoint": "weights/mine.pth"}}
    backbone = {"class_path": "StableDiffusion", "init_args": {"pretrained": "model"}}
    model = {"guide": part, "backbone": backbone, "stop_on": "total", "clip": "muse-mini/clip"}
    dumped = yaml.safe_load(repeatable_config({"model": model}))["model"]
    assert dumped["guide"]["init_args"]["checkpoint"] == str(tmp_path / "weights" / "mine.pth")
    assert dumped["backbone"]["init_args"]["pretrained"] == str(tmp_path / "model")
    assert (dumped["stop_on"], dumped["clip"]) == ("total", "muse-mini/clip")
    assert absolute({"class_path": "weights/mine.pth"}) == {"class_path": "weights/mine.pth"}


def test_parts_built_in_python_are_described() -> None:
    one, other = (
        described({"steering": TokenOptimization(lr=lr), "steps": 5}) for lr in (0.1, 0.2)
    )
    assert Deciding(one).settings["steering.init_args.lr"] == 0.1
    assert Deciding(one).digest(job()) != Deciding(other).digest(job())


# Killed, and several processes


def test_every_process_is_handed_the_config() -> None:
    """Lightning saves a config in the first one alone; the others' digests would differ."""
    task = FitFree(**parts())
    trainer = SimpleNamespace(is_global_zero=False)
    handed = HandConfigOver(SimpleNamespace(dump=lambda *_, **__: "model: {}\n"), Namespace())
    handed.setup(trainer, task, "predict")  # type: ignore[arg-type]
    assert task.config == "model: {}\n"


def test_killed_runs_lose_and_tear_nothing(tmp_path: Path) -> None:
    rng = random.Random(0)
    jobs = processes.write_jobs(tmp_path / "jobs.csv", 5)
    whole, killed, log = tmp_path / "whole", tmp_path / "killed", tmp_path / "log"
    few = ("--model.steps", "12")
    processes.start(processes.words(whole, jobs, *few), log).join()

    def ends_as_if_it_had_not_been() -> None:
        last = processes.start(processes.words(killed, jobs, *few), log)
        last.join()
        assert last.exitcode == 0, log.read_text()
        assert pictures(killed) == pictures(whole)
        assert records(killed) == records(whole)
        assert strays(killed) == []

    struck = 0
    for _ in range(40):
        process = processes.start(processes.words(killed, jobs, *few), log)
        struck += processes.kill_at_random([process], killed, rng, wait=0.4)
        if struck == 10:
            break
        if len(records(killed)) == len(records(whole)):  # nothing is left to be lost
            ends_as_if_it_had_not_been()
            shutil.rmtree(killed)
    assert struck == 10
    ends_as_if_it_had_not_been()


def test_two_processes_make_the_same_set_as_one(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.csv"  # four seeds of one prompt have four plain pictures
    jobs.write_text("id,prompt,emotion,seed\n" + "".join(f"{n},a park,awe,{n}\n" for n in range(4)))
    one, two, log = tmp_path / "one", tmp_path / "two", tmp_path / "log"
    few = ("--model.steps", "12")
    processes.start(processes.words(one, jobs, *few), log).join()
    group = processes.start_group(processes.words(two, jobs, *few), log, 2)
    for process in group:
        process.join()
    assert [process.exitcode for process in group] == [0, 0], log.read_text()
    assert len(pictures(one)) == 8
    assert pictures(two) == pictures(one)
    mine, theirs = records(one), records(two)
    assert {r["made_by"]["processes"] for r in theirs.values()} == {2}
    for record in (*mine.values(), *theirs.values()):
        del record["made_by"]
    assert theirs == mine
