"""`muse evaluate` on run folders made by hand, with values computed by hand."""

from __future__ import annotations

import csv
import errno
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from muse.cli import main
from muse.commands import evaluate as command
from muse.core.emotions import EMOTIONS, WHEEL
from muse.core.types import MuseError
from muse.metrics import PSNR, FinishedRun, Made, Metric
from muse.metrics import evaluate as measure
from muse.mini import VARIED, render
from muse.report.evaluation import as_csv, markdown
from muse.runs.records import write_record
from tests.test_extractors import refuse
from tests.test_report import record

ROOT = Path(__file__).parent.parent
DOCS = (ROOT / "docs" / "evaluate.md").read_text()
JUDGE = """
import torch
from muse.guides import Guide

class ByColour(Guide):
    '''The emotion whose number, in sixteenths, the picture's red is nearest to.'''

    def __init__(self, checkpoint: str | None = None) -> None:
        super().__init__()

    def forward(self, image):
        red = (16 * image.mean((2, 3))[:, 0]).round().long().clamp(0, 7)
        return 3.0 * torch.nn.functional.one_hot(red, 8)
"""
METRICS = """
from muse.metrics import Metric
from my_judges import ByColour

class Few(Metric):
    '''One value too few.'''
    name = "few"

    def measure(self, pictures):
        return [0.5] * (len(pictures) - 1)

class Five(ByColour):
    labels = ("joy", "awe", "fear", "anger", "disgust")

def last_word(prompt: str) -> str:
    return prompt.split()[-1] if "dog" not in prompt else ""

def cats(prompt: str) -> str | None:
    return "cats" if "cat" in prompt else None
"""


def paint(path: Path, emotion: str, size: int = 16) -> None:
    """A picture that the judge reads as this emotion."""
    path.parent.mkdir(exist_ok=True)
    red = round(255 * EMOTIONS.index(emotion) / 16)
    Image.new("RGB", (size, size), (red, 0, 0)).save(path)


def judge(name: str, checkpoint: str | None = None) -> dict[str, Any]:
    args = {} if checkpoint is None else {"checkpoint": checkpoint}
    part = {"class_path": "my_judges.ByColour", "init_args": args}
    return {"class_path": "EmotionAccuracy", "init_args": {"name": name, "judge": part}}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two prompts x eight emotions in a folder beside the judge's file, which it is run from.

    The plain dog is contented, the plain cat angry. Of the steered dogs all are as wanted; of the
    cats all but sadness, which is still angry. One more job failed.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_judges.py").write_text(JUDGE)
    (tmp_path / "my_parts.py").write_text(METRICS)
    (tmp_path / "guide.pth").write_bytes(b"")
    folder = tmp_path / "run"
    (folder / "records").mkdir(parents=True)
    for animal, plain in (("dog", "contentment"), ("cat", "anger")):
        paint(folder / "plain" / f"plain-{animal}.png", plain)
        for emotion in EMOTIONS:
            name = f"{animal}-{emotion}"
            shown = "anger" if name == "cat-sadness" else emotion
            paint(folder / "images" / f"{name}.png", shown)
            twin = {"prompt": f"a {animal}", "plain": f"plain-{animal}"}
            write_record(folder, record(name, emotion, **twin))
    write_record(folder, record("gone", status="failed", reason="no memory"))
    model = {
        "guide": {"class_path": "my_judges.ByColour", "init_args": {"checkpoint": "guide.pth"}}
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    metrics = [judge("guide", str(tmp_path / "guide.pth")), judge("other")]
    (tmp_path / "metrics.yaml").write_text(yaml.safe_dump({"metrics": metrics}))
    return folder


def evaluate(*words: str) -> int:
    return main(["evaluate", "run", *words])


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    return found


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a mistake was told in, below a bar where measuring had begun."""
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("muse: ")]
    assert len(told) == 1, told
    return told[0]


def test_less_of_an_emotion_is_right_where_it_is_not_read(run: Path) -> None:
    """A job of intensity -1 is a kind of its own, and counts the other way round."""
    for animal in ("dog", "cat"):
        path = run / "records" / f"{animal}-sadness.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "intensity": -1.0}))
    assert evaluate("--config", "metrics.yaml") == 0
    for metric in report(run)["metrics"]:
        assert metric["emotions"]["less sadness"]["steered"]["mean"] == 0.5  # the dog still is
        assert metric["emotions"]["less sadness"]["plain"]["mean"] == 1.0
        assert "sadness" not in metric["emotions"]


def test_accuracies_by_hand(run: Path) -> None:
    assert evaluate("--config", "metrics.yaml") == 0
    found = report(run)
    assert (found["pictures"], found["failed"]) == (16, 1)
    for metric in found["metrics"]:
        plain, steered = metric["overall"]["plain"], metric["overall"]["steered"]
        assert plain == {"mean": 0.125, "low": 0.125, "high": 0.125, "count": 16}
        # a dog gives 8 of 8, a cat 7 of 8; both prompts drawn: 1, 15/16 or 7/8
        assert steered == {"mean": 15 / 16, "low": 7 / 8, "high": 1.0, "count": 16}
        assert metric["emotions"]["sadness"]["steered"]["mean"] == 0.5
        assert metric["emotions"]["anger"]["plain"]["mean"] == 0.5
        assert metric["emotions"]["awe"]["plain"]["mean"] == 0.0
        assert list(metric["emotions"]) == list(WHEEL)
        assert metric["groups"] == {}
        assert metric["confusion"]["sadness"]["anger"] == 1
        assert metric["confusion"]["awe"] == {name: 2 * (name == "awe") for name in WHEEL}
        assert metric["confusion"]["plain"]["contentment"] == 8
        assert metric["confusion"]["plain"]["anger"] == 8


def test_the_judge_that_guided_is_starred(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same class with the same file, however its path is written."""
    assert evaluate("--config", "metrics.yaml") == 0
    assert [metric["guided"] for metric in report(run)["metrics"]] == [True, False]
    text = (run / "evaluation" / "evaluation.md").read_text()
    line = "| guide * | 12.5% [12.5, 12.5] | 93.8% [87.5, 100.0] | +81.2% [+75.0, +87.5] | - |"
    assert line in text
    assert "| other | 12.5% [12.5, 12.5] |" in text
    assert "1 jobs failed" in text
    assert "* also guided this run" in capsys.readouterr().out
    (run / "config.yaml").unlink()
    assert evaluate("--config", "metrics.yaml") == 0
    assert [metric["guided"] for metric in report(run)["metrics"]] == [False, False]
    assert "no config.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("guide", "judge", "same"),
    [
        ("guide.pth", "elsewhere/copy.pth", True),
        ("guide.pth", "elsewhere/guide.pth", False),
        ("/gone/guide.pth", "guide.pth", True),
        ("/gone/guide.pth", "elsewhere/copy.pth", False),
        ("guide.pth", None, False),
        (None, None, True),
    ],
)
def test_which_judge_guided(run: Path, guide: str | None, judge: str | None, same: bool) -> None:
    """One of the same weights, wherever they lie; of files that are gone the name counts."""
    Path("elsewhere").mkdir()
    Path("elsewhere/copy.pth").write_bytes(Path("guide.pth").read_bytes())
    Path("elsewhere/guide.pth").write_bytes(b"others")
    mine, its = (
        {"class_path": "my_judges.ByColour", "init_args": {"checkpoint": name}}
        for name in (guide, judge)
    )
    found = replace(FinishedRun.open(run), config={"model": {"guide": mine}})
    assert found.guided_by(its) is same
    assert not found.guided_by({**its, "class_path": "SimEmo"})


def test_a_guide_in_a_folder_is_known_however_its_path_is_written(run: Path) -> None:
    """One without a checkpoint: a run's config.yaml names it by its absolute path."""
    Path("clip").mkdir()
    guide, judge, other = (
        {"class_path": "ZeroShotClip", "init_args": {"clip": name}}
        for name in (str(Path("clip").absolute()), "clip", "muse-mini/clip")
    )
    found = replace(FinishedRun.open(run), config={"model": {"guide": guide}})
    assert [found.guided_by(judge), found.guided_by(other)] == [True, False]


def test_a_full_disk_is_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "write_text", full)
    assert evaluate("--config", "metrics.yaml") == 2
    assert "Can't write the evaluation into 'run/evaluation' (No space left" in one_line(capsys)


def test_judges_without_a_checkpoint_differ_by_their_options(run: Path) -> None:
    parts = [{"class_path": "BayesGuide", "init_args": {"dimension": n}} for n in (2, 3)]
    found = replace(FinishedRun.open(run), config={"model": {"guide": parts[0]}})
    assert [found.guided_by(part) for part in parts] == [True, False]


@pytest.mark.parametrize("name", ["NoSteering", "EmotionWord", "PlugAndPlay"])
def test_steering_that_asks_no_guide_has_none(run: Path, name: str) -> None:
    part = {"class_path": "BayesGuide", "init_args": {"dimension": 2}}
    guided = [
        replace(FinishedRun.open(run), config={"model": {"guide": part, "steering": steering}})
        for steering in ({"class_path": "TokenOptimization"}, {"class_path": name})
    ]
    assert [found.guided_by(part) for found in guided] == [True, False]


def test_a_member_of_an_ensemble_guided_too(run: Path) -> None:
    members = [{"class_path": "BayesGuide", "init_args": {"dimension": n}} for n in (2, 3)]
    inner = {"class_path": "GuideEnsemble", "init_args": {"guides": members[1:]}}
    outer = {"class_path": "GuideEnsemble", "init_args": {"guides": [members[0], inner]}}
    found = replace(FinishedRun.open(run), config={"model": {"guide": outer}})
    assert [found.guided_by(part) for part in (*members, inner)] == [True, True, True]
    assert not found.guided_by({"class_path": "BayesGuide", "init_args": {"dimension": 4}})


def test_a_judge_inside_another_guided_too(run: Path) -> None:
    """In whichever option it is kept, as in `examples.my_guide.ManyViews`."""
    judge, other = ({"class_path": "BayesGuide", "init_args": {"dimension": n}} for n in (2, 3))
    views = {"class_path": "examples.my_guide.ManyViews", "init_args": {"guide": judge, "shift": 2}}
    found = replace(FinishedRun.open(run), config={"model": {"guide": views}})
    assert [found.guided_by(part) for part in (judge, views, other)] == [True, True, False]
    found = replace(found, config={"model": {"guide": judge}})
    assert found.guided_by(views), "who judges by what guided is no stranger either"


def test_a_run_that_has_not_come_to_its_end_is_told(run: Path, capsys: Any) -> None:
    made = [path.stem for path in (run / "records").glob("*.json")]
    entries = [json.dumps({"id": name}) for name in (*made, "one more", "and another")]
    (run / "jobs.jsonl").write_text("\n".join(entries) + "\n")
    assert evaluate("--config", "metrics.yaml") == 0
    told = "2 jobs of the run are not made yet: it has not come to its end."
    assert told in capsys.readouterr().out
    assert told in (run / "evaluation" / "evaluation.md").read_text()
    assert report(run)["left"] == 2


def test_every_value_is_in_the_table(run: Path) -> None:
    assert evaluate("--config", "metrics.yaml", "--groups", "my_parts.cats") == 0
    assert set(report(run)["metrics"][0]["groups"]) == {"cats"}
    assert evaluate("--config", "metrics.yaml", "--groups", "my_parts.last_word") == 0
    lines = (run / "evaluation" / "evaluation.csv").read_text().splitlines()
    rows = {(row["id"], row["arm"]): row for row in csv.DictReader(lines)}
    assert len(rows) == 32
    sad = rows["cat-sadness", "steered"]
    assert (sad["prompt"], sad["target"], sad["group"]) == ("a cat", "sadness", "cat")
    assert (sad["other"], sad["other: read"]) == ("0", "anger")
    # one logit at 3, seven at 0: the seven share what e^3 leaves
    assert float(sad["other: p_target"]) == pytest.approx(1 / (20.0855 + 7), abs=1e-4)
    assert rows["dog-sadness", "plain"]["other: read"] == "contentment"
    assert rows["dog-sadness", "steered"]["other"] == "1"
    metric = report(run)["metrics"][1]
    assert metric["groups"]["cat"]["steered"] == {
        "mean": 7 / 8,
        "low": None,
        "high": None,
        "count": 8,
    }  # fmt: skip
    assert set(metric["groups"]) == {"cat"}


def test_pictures_of_the_report(run: Path) -> None:
    assert evaluate("--config", "metrics.yaml") == 0
    names = {path.name for path in (run / "evaluation").iterdir()}
    tables = {"evaluation.md", "evaluation.csv", "evaluation.json"}
    assert names == tables | {"confusion.png", "best_and_worst.png"}
    with Image.open(run / "evaluation" / "confusion.png") as confusion:
        assert confusion.width > confusion.height > 200
    with Image.open(run / "evaluation" / "best_and_worst.png") as sheet:
        # the worst of sixteen: the cat that was to be sad and is angry, the last of its band
        columns = (sheet.width - 2 * 28 + 14) // (168 + 14)
        top = 28 + sheet.height // 2 - 28 + 36 + 34
        assert columns == 6
        red = round(255 * EMOTIONS.index("anger") / 16)
        assert sheet.convert("RGB").getpixel((28 + 80, top + 80)) == (red, 0, 0)
    assert evaluate("--metrics", "[PSNR]") == 0
    assert {path.name for path in (run / "evaluation").iterdir()} == tables


def test_a_mixture_is_a_kind_of_its_own(run: Path) -> None:
    both = {"target": {"awe": 0.7, "fear": 0.3}, "plain": None}
    for shown in ("awe", "fear", "anger"):
        paint(run / "images" / f"mix-{shown}.png", shown)
        write_record(run, {**record(f"mix-{shown}"), **both})
    assert evaluate("--config", "metrics.yaml") == 0
    metric = report(run)["metrics"][0]
    assert list(metric["emotions"])[-1] == "awe:0.7,fear:0.3"
    assert metric["emotions"]["awe:0.7,fear:0.3"]["steered"]["mean"] == pytest.approx(2 / 3)
    assert metric["emotions"]["awe:0.7,fear:0.3"]["plain"] == {
        "mean": None, "low": None, "high": None, "count": 0,
    }  # fmt: skip
    assert metric["confusion"]["awe:0.7,fear:0.3"]["anger"] == 1
    assert metric["overall"]["plain"]["mean"] == 0.125


def test_edits_are_compared_with_their_source(run: Path, capsys: Any) -> None:
    for path in (run / "records").iterdir():
        path.unlink()
    source = Path("source.png").resolve()
    Image.new("RGB", (32, 32), (0, 0, 0)).save(source)
    Image.new("RGB", (16, 16), (0, 0, 255)).save(run / "images" / "blue.png")
    Image.new("RGB", (16, 16), (0, 0, 0)).save(run / "plain" / "black.png")
    write_record(run, record("blue", image=str(source), plain="black"))
    assert evaluate("--metrics", "[PSNR]") == 0
    [psnr] = report(run)["metrics"]
    assert psnr["overall"]["steered"]["mean"] == pytest.approx(4.7712, abs=1e-3)  # MSE = 1/3
    assert psnr["overall"]["plain"]["mean"] == 100.0
    source.unlink()
    assert evaluate("--metrics", "[PSNR]") == 2
    assert "1 of 3 pictures are missing:" in one_line(capsys)
    assert evaluate("--config", "metrics.yaml") == 0  # needs no source


class Sources(Metric):
    """Keeps the sources that it is given."""

    name = "sources"
    needs_source = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        self.seen += [picture.source for picture in pictures]
        return [0.0] * len(pictures)


def test_a_source_is_read_once(run: Path) -> None:
    """For all edits of it, plain and steered, that have its size."""
    for path in (run / "records").iterdir():
        path.unlink()
    paint(Path("source.png"), "awe")
    paint(run / "images" / "large.png", "awe", 32)
    for name in ("dog-awe", "dog-fear", "large"):
        write_record(run, record(name, image="source.png", plain="plain-dog"))
    metric = Sources()
    measure(FinishedRun.open(run), [metric])
    assert len(metric.seen) == 6
    assert sorted({id(source): source.shape[-1] for source in metric.seen}.values()) == [16, 32]


def test_metrics_that_apply_nowhere_are_named(run: Path, capsys: Any) -> None:
    assert evaluate("--config", "metrics.yaml", "--metrics+", "PSNR") == 0
    assert "These apply to none of the pictures: PSNR." in capsys.readouterr().out
    assert [metric["name"] for metric in report(run)["metrics"]] == ["guide", "other"]
    assert report(run)["not_applicable"] == ["PSNR"]


def test_a_run_without_plain_twins(run: Path) -> None:
    for path in (run / "records").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "plain": None}))
    assert evaluate("--config", "metrics.yaml") == 0
    metric = report(run)["metrics"][0]
    assert set(metric["overall"]) == {"steered"}
    assert "plain" not in metric["confusion"]
    text = (run / "evaluation" / "evaluation.md").read_text()
    assert "| guide * | 93.8%" in text
    assert "plain picture counts" not in text
    assert (run / "evaluation" / "evaluation.csv").read_text().count("\n") == 17


class Redness(Metric):
    """How different the pictures' reds are: a number of the set."""

    name = "redness"
    relative = True

    def describe(self, pictures: Sequence[Made]) -> torch.Tensor:
        return torch.stack([picture.image[0].mean() for picture in pictures])[:, None]

    def sum_up(self, described: torch.Tensor) -> float:
        return float(described.std())


def test_any_number_of_arms_and_numbers_of_whole_sets(run: Path, tmp_path: Path) -> None:
    """A third set of pictures for the same jobs, from a folder of somebody else's."""
    for file in (run / "images").iterdir():
        paint(tmp_path / "theirs" / file.name, "awe")
    found = FinishedRun.open(run)
    arms = {**found.arms, "theirs": lambda record: tmp_path / "theirs" / f"{record['id']}.png"}
    evaluation = measure(found, [Redness()], arms=arms)
    [measured] = evaluation.measured
    every = evaluation.parts()["overall"]["all"]
    told = evaluation.summary(measured, every)
    others = {"steered - plain", "theirs - plain", "steered / plain", "theirs / plain"}
    assert set(told) == {"plain", "steered", "theirs"} | others
    assert told["theirs - plain"].mean == -told["plain"].mean
    assert told["theirs"].mean == 0
    assert told["steered"].mean > 0
    assert told["steered"].low < told["steered"].mean <= told["steered"].high
    text = markdown(evaluation, {})
    heads = "plain | steered | theirs | steered - plain | theirs - plain | steered / plain | theirs"
    assert f"| metric | {heads} / plain |" in text
    assert "Numbers of whole sets have 200 samples." in text
    assert "redness" not in as_csv(evaluation), "no picture has one of its own"
    (tmp_path / "theirs" / "dog-awe.png").unlink()
    with pytest.raises(MuseError, match=r"1 of \d+ pictures are missing: .*dog-awe"):
        measure(found, [Redness()], arms=arms)


def test_more_pictures_than_fit_at_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluate("--config", "metrics.yaml") == 0
    whole = report(run)
    monkeypatch.setattr("muse.metrics.evaluation.CHUNK", 3)
    assert evaluate("--config", "metrics.yaml") == 0
    assert report(run) == whole


def test_runs_of_muse_mini_have_a_list(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MINI", Path("metrics.yaml").resolve())
    assert evaluate() == 2
    config = yaml.safe_load((run / "config.yaml").read_text())
    part = {
        "class_path": "muse.backbones.StableDiffusion",
        "init_args": {"pretrained": "muse-mini"},
    }
    config["model"]["backbone"] = part
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert evaluate("--output_dir", "elsewhere") == 0
    found = json.loads(Path("elsewhere/evaluation.json").read_text())
    assert [metric["name"] for metric in found["metrics"]] == ["guide", "other"]
    assert not (run / "evaluation").exists()
    assert evaluate("--metrics", "[PSNR]") == 0
    assert report(run)["metrics"] == []
    part["init_args"]["pretrained"] = "another/model"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert evaluate() == 2


def test_a_packaged_list_goes_by_its_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file of that name is here."""
    assert command.here_or_packaged("mini") == str(command.MINI)
    (run / "mine.yaml").write_text(Path("metrics.yaml").read_text())
    monkeypatch.setattr(command, "LISTS", run)
    assert evaluate("--config", "mine") == 0
    assert [metric["name"] for metric in report(run)["metrics"]] == ["guide", "other"]
    assert command.here_or_packaged("metrics.yaml") == "metrics.yaml"


def test_the_packaged_list_parses() -> None:
    """Every class, option and checkpoint of it is known (their weights may still be trained)."""
    given = command.metrics_parser().parse_args(["run", "--config", str(command.MINI)])
    names = [metric.init_args.get("name") for metric in given.metrics]
    assert names[1:6] == ["Emo-A", "Emo-B", "Emo-C", "timm", "judge"]
    assert given.metrics[0].class_path == "muse.metrics.EmotionContentAccuracy"
    text = command.MINI.read_text()
    assert set(re.findall(r"muse-mini/([\w/]+)\.safetensors", text)) == {
        "guides/simemo", "guides/emogen", "guides/simemo_fi", "guides/timm", "judge", "content",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate"], "Which run? Give its folder"),
        (["evaluate", "nowhere"], "There is no folder 'nowhere'"),
        (["evaluate", "."], "No records of pictures in 'records' (found none)"),
        (["evaluate", "run"], f"There are no metrics: the packaged list ({command.MINI}) is"),
        (["evaluate", "run", "else"], "Unrecognized words: else. Words that belong together"),
        (["evaluate", "run", "--metrics", "[]"], "There are no metrics"),
        (["evaluate", "run", "--metrics", "[PSMR]"], "Unknown Metric 'PSMR'. Did you mean 'PSNR'?"),
        (["evaluate", "run", "--metrics", "[my_parts.Nope]"], "has no attribute 'Nope'"),
        (["evaluate", "run", "--metrics", "[ClipScore]"], f"--config FILE, as in {command.MINI}."),
        (["evaluate", "run", "--metrics", "[PSNR, PSNR]"], "Two metrics are called 'PSNR'"),
        (["evaluate", "run", "--metrics", "[my_parts.Few]"], "'few' gave 15 values for 16 pict"),
        (["evaluate", "run", "--metrics", "[PSNR]", "--device", "abacus"], "--device 'abacus'"),
        (["evaluate", "run", "--metrics", "[PSNR]", "--groups", "nowhere.f"], "Option --groups"),
        (["evaluate", "run", "--metrics", "[PSNR]", "--output_dir", "/proc/no"], "Can't write to"),
        (["evaluate", "run", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["evaluate", "run", "--nothing", "3"], "--nothing"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(words) == 2
    assert told in one_line(capsys)
    assert not (run / "evaluation").exists()


@pytest.mark.parametrize("text", ["a: [\n", "- 1\n"])
def test_a_config_that_is_damaged_is_told(
    run: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "config.yaml").write_text(text)
    assert evaluate("--config", "metrics.yaml") == 2
    assert "'run/config.yaml' is damaged" in one_line(capsys)


CONTRAST = {"class_path": "ContrastFeatures"}
CLOSED = {"class_path": "PenultimateFeatures", "init_args": {"model": {"class_path": "Convnett"}}}
SCENES = {"class_path": "RenderedScenes", "init_args": {"count": 60}}


@pytest.mark.parametrize(
    ("metric", "options", "told"),
    [
        ("ECC", {"judge": {"class_path": "SimEmoo"}}, "Guide 'SimEmoo'. Did you mean 'SimEmo'?"),
        ("ECC", {"judge": {"class_path": "my_parts.Five"}}, "labels are not the eight emotions"),
        ("KID", {"features": {"class_path": "ClipFeature"}, "reference": SCENES},
         "Unknown Extractor 'ClipFeature'. Did you mean 'ClipFeatures'?"),
        ("KID", {"features": CONTRAST, "reference": {"class_path": "Scenes"}},
         "Unknown Reference 'Scenes'. Did you mean 'RenderedScenes'?"),
        ("KID", {"features": CLOSED, "reference": SCENES}, "There is no module 'Convnett'."),
        ("FID", {"features": CONTRAST}, "A metric lacks 'reference'"),
        ("FID", {"features": CONTRAST, "reference": SCENES},
         "'FID' takes 50 different pictures or more, and there are 16. Make more of them"),
        ("FID", {"features": CONTRAST, "reference": {"class_path": "PictureFolder",
         "init_args": {"folder": "nowhere"}}}, "No pictures in 'nowhere'"),
        ("LPIPS", {}, "weights of torchvision's alexnet can't be fetched (no network). Run this"),
        ("HPSv2", {"checkpoint": "none.pt"}, "HPSv2 needs open_clip: pip install"),
    ],
)  # fmt: skip
def test_mistakes_in_a_list_are_told_in_one_line(
    run: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    metric: str,
    options: dict[str, Any],
    told: str,
) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    given = {"class_path": metric, "init_args": options}
    Path("bad.yaml").write_text(yaml.safe_dump({"metrics": [given]}))
    assert evaluate("--config", "bad.yaml") == 2
    assert told in one_line(capsys)
    assert not (run / "evaluation").exists()


def test_the_packaged_list_of_sets(run: Path) -> None:
    """KID, FID, naturalness and the rest, by muse-mini's own weights, on scenes of its world."""
    for path in [*(run / "records").iterdir(), *(run / "images").iterdir()]:
        path.unlink()
    for i in range(24):
        scene = render(i, mood=("awe", "fear")[i % 2], world=VARIED, size=128)
        name = f"scene-{i}"
        Image.fromarray(scene.image).save(run / "images" / f"{name}.png")
        told = {"prompt": scene.caption, "plain": "plain-dog"}
        write_record(run, record(name, scene.mood, **told))
    text = (command.MINI.parent / "mini-sets.yaml").read_text()
    text = text.replace("count: 1000", "count: 24")
    text = text.replace(
        "init_args: {features: *content,", "init_args: {fewest: 20, features: *content,"
    )
    Path("sets.yaml").write_text(text)
    assert evaluate("--config", "sets.yaml") == 0
    found = {metric["name"]: metric for metric in report(run)["metrics"]}
    names = ["content", "latents", "errors", "contrast"]
    natural = [f"natural: {name}" for name in names]
    assert list(found) == ["KID", "FID", *natural, "Var", "Sem-D", "Sem-C", "ECC", "EMC"]
    steered = {name: metric["overall"]["steered"] for name, metric in found.items()}
    for name, told in steered.items():
        assert told["low"] <= told["mean"] <= told["high"], name
    assert all(0.4 < steered[name]["mean"] < 0.6 for name in natural)
    assert steered["ECC"]["mean"] > 0.6
    # the plain arm is one dark picture for all of them
    for name in ("KID", "FID"):
        assert found[name]["overall"]["plain"] == {
            "mean": None, "low": None, "high": None, "count": 0,
        }  # fmt: skip
        assert "1 different pictures of 'plain' are too few" in found[name]["remarks"][0]
    assert found["natural: content"]["overall"]["plain"]["mean"] < 0.4
    assert (
        "24 pictures of 'steered' against 24 rendered scenes (varied, 128 px)"
        in found["KID"]["remarks"][1]
    )


def test_folders_that_cannot_be_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "images" / "dog-awe.png").unlink()
    (run / "plain" / "plain-cat.png").unlink()
    assert evaluate("--config", "metrics.yaml") == 2
    line = one_line(capsys)
    assert "2 of 18 pictures are missing: " in line
    assert "dog-awe.png" in line
    assert "plain-cat.png" in line
    paint(run / "plain" / "plain-cat.png", "anger")
    paint(run / "images" / "dog-awe.png", "awe")
    for file in [*(run / "images").iterdir(), *(run / "plain").iterdir()]:
        file.write_bytes(b"no picture")
    assert evaluate("--config", "metrics.yaml") == 2
    line = one_line(capsys)
    assert "None of the pictures can be read" in line
    assert ".png' can't be read as a picture" in line
    path = run / "records" / "dog-awe.json"
    good = path.read_text()
    path.write_text(json.dumps({**json.loads(good), "schema": 2}))
    assert evaluate("--config", "metrics.yaml") == 2
    assert "is of schema 2" in one_line(capsys)
    path.write_text(json.dumps({**json.loads(good), "point": [0.0, 1.0]}))
    assert evaluate("--config", "metrics.yaml") == 2
    assert "drawings of the toy's points" in one_line(capsys)
    for other in (run / "records").glob("*-*.json"):
        other.unlink()
    assert evaluate("--config", "metrics.yaml") == 2
    assert "(found 1 records, none of a finished picture)" in one_line(capsys)


def test_one_unreadable_picture_is_named_and_the_rest_is_scored(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "images" / "dog-awe.png").write_bytes(b"no picture")
    assert evaluate("--config", "metrics.yaml") == 1
    told = capsys.readouterr().out
    assert "1 pictures can't be read and are left out:\n" in told
    assert told.count("dog-awe.png' can't be read as a picture") == 1
    [line] = report(run)["unreadable"]
    assert "dog-awe.png'" in line
    metric = report(run)["metrics"][0]
    assert metric["overall"]["steered"]["mean"] == pytest.approx(14 / 15)
    assert metric["overall"]["steered"]["count"] == 15
    assert metric["overall"]["plain"]["count"] == 16
    assert metric["confusion"]["awe"]["awe"] == 1
    rows = csv.DictReader((run / "evaluation" / "evaluation.csv").read_text().splitlines())
    [row] = [row for row in rows if (row["id"], row["arm"]) == ("dog-awe", "steered")]
    assert (row["guide"], row["guide: read"], row["guide: p_target"]) == ("", "", "")
    # one that stands for eight jobs is named once
    (run / "plain" / "plain-cat.png").write_bytes(b"")
    assert evaluate("--config", "metrics.yaml") == 1
    assert len(report(run)["unreadable"]) == 2
    assert report(run)["metrics"][0]["overall"]["plain"]["count"] == 8


def test_a_run_of_which_no_steered_picture_can_be_read(run: Path) -> None:
    """The plain ones are measured, and the rest is named."""
    for file in (run / "images").iterdir():
        file.write_bytes(b"no picture")
    assert evaluate("--config", "metrics.yaml") == 1
    metric = report(run)["metrics"][0]
    assert list(metric["overall"]) == ["plain"]
    assert set(metric["confusion"]["awe"].values()) == {0}
    assert not (run / "evaluation" / "best_and_worst.png").exists()


def test_a_prompt_of_several_lines_is_one_on_the_sheet(run: Path) -> None:
    for name in ("dog-awe", "cat-sadness"):
        write_record(run, record(name, name[4:], prompt="a dog\nin a\tpark", plain=None))
    assert evaluate("--config", "metrics.yaml") == 0
    assert (run / "evaluation" / "best_and_worst.png").is_file()


def test_an_edit_whose_source_cannot_be_read_is_left_out(run: Path) -> None:
    for path in (run / "records").iterdir():
        path.unlink()
    paint(Path("source.png"), "awe")
    Path("broken.png").write_bytes(b"no picture")
    for name, source in (("dog-awe", "source.png"), ("dog-fear", "broken.png")):
        write_record(run, record(name, image=source, plain="plain-dog"))
    evaluation = measure(FinishedRun.open(run), [PSNR()])
    [measured] = evaluation.measured
    found = evaluation.summary(measured, [0, 1])
    assert (found["steered"].mean, found["steered"].count) == (100, 1)
    assert [line.count("broken.png") for line in evaluation.unreadable] == [1]


class Many(Redness):
    """Takes more than there are."""

    name = "many"
    fewest = 17


class Some(Redness):
    """Takes three, and has something to say."""

    name = "some"
    fewest = 3

    def remarks(self, described: Mapping[str, torch.Tensor]) -> list[str]:
        return [f"{len(rows)} rows of {arm}." for arm, rows in described.items()]


def test_too_few_pictures(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused where no arm has enough, left empty and told where one or a group hasn't; what
    counts is different pictures.
    """
    found = FinishedRun.open(run)
    with pytest.raises(MuseError, match="'many' takes 17 different pictures or more, and there"):
        measure(found, [Many()])
    evaluation = measure(found, [Some()])
    [measured] = evaluation.measured
    every = evaluation.parts()["overall"]["all"]
    assert evaluation.remarks(measured) == [
        "some: 2 different pictures of 'plain' are too few; it takes 3.",
        "some: 16 rows of steered.",
    ]
    assert "some: 16 rows of steered." in markdown(evaluation, {})
    told = evaluation.summary(measured, every)
    assert (told["plain"].count, told["steered"].count) == (0, 16)
    assert told["steered"].mean > 0
    assert told["difference"].count == 0
    assert evaluation.summary(measured, every[:2])["steered"].count == 0


class Plain(Metric):
    """Keeps the pictures that it is given, and their plain twins."""

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        return [float(p.plain is not None and p.plain is p.image) for p in pictures]


def test_pictures_come_with_their_plain_twin(run: Path) -> None:
    evaluation = measure(FinishedRun.open(run), [Plain()])
    values = evaluation.measured[0].values
    assert values["plain"].tolist() == [1.0] * 16
    assert values["steered"].tolist() == [0.0] * 16


def test_a_metric_of_ones_own_as_the_docs_show_it(run: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCS, flags=re.DOTALL)
    Path("my_metrics.py").write_text(blocks[0])
    assert "--metrics+ my_metrics.Darkness" in DOCS
    words = ["--config", "metrics.yaml", "--metrics+", "my_metrics.Darkness"]
    assert evaluate(*words) == 0
    darkness = report(run)["metrics"][2]
    # red is 0, 16, ... 112 of 255 in a third of the channels; the plain ones are at 32 and 64
    reds = [round(255 * i / 16) / 765 for i in range(8)]
    plain = 1 - (reds[2] + reds[4]) / 2
    steered = 1 - (2 * sum(reds) - reds[7] + reds[4]) / 16
    assert darkness["overall"]["plain"]["mean"] == pytest.approx(plain, abs=1e-6)
    assert darkness["overall"]["steered"]["mean"] == pytest.approx(steered, abs=1e-6)
    assert darkness["overall"]["ratio"]["mean"] == pytest.approx(steered / plain, abs=1e-6)
    assert evaluate("--metrics", "[my_metrics.Darkness]") == 0
    assert [metric["name"] for metric in report(run)["metrics"]] == ["darkness"]


def test_from_python_as_the_docs_show_it(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(r"From Python:\n\n```python\n(.*?)```", DOCS, flags=re.DOTALL)
    Path("outputs").mkdir()
    run.rename("outputs/quickstart")
    exec(compile(code, "evaluate.md", "exec"), {})
    told = capsys.readouterr().out
    assert told.startswith("Estimate(mean=0.")
    assert "count=16" in told
