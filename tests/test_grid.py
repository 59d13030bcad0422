"""`muse grid`: axes, what is made and what isn't made again, the sheet and the page."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from muse.backbones import GaussianMixture
from muse.cli import main
from muse.core.emotions import target_text
from muse.core.types import MuseError
from muse.data.axes import Axis
from muse.report.grid_sheet import lines, parts
from muse.runs import RunFolder
from muse.studies import Runner
from muse.studies.grid_page import Shown, write_grid
from muse.studies.grids import Grid
from muse.web.shelf import Shelf
from tests.test_cli import TOY, one_line

PROMPT = "a walk in the park"
SHORT = ["--config", TOY, "--steps", "4", "--max_iterations=1", "--timing", "Always"]
DATA = re.compile(r'id="data">(.*?)</script>', re.DOTALL)


def grid(folder: Path, *words: str) -> int:
    """Run a grid on the exact toy."""
    return main(["grid", *words, *SHORT, "--output_dir", str(folder)])


def told(folder: Path) -> list[dict[str, Any]]:
    """What the page knows of its cells."""
    [data] = DATA.findall((folder / "grid.html").read_text())
    found: list[dict[str, Any]] = json.loads(data)
    return found


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each run; drawn elsewhere."""
    monkeypatch.setattr("muse.report.summary.traces", lambda records: None)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run and job of each picture, as it is written; the first is left unwritten, and all stops,
    where there are as many as `saved.until`.
    """

    class Saved(list[str]):
        until: int | None = None

    names, save = Saved(), RunFolder.save

    def watched(self: RunFolder, result: Any, backbone: Any) -> None:
        if len(names) == names.until:
            raise KeyboardInterrupt
        save(self, result, backbone)
        names.append(f"{self.path.name}/{result.job.id}")

    monkeypatch.setattr(RunFolder, "save", watched)
    return names


EMOTIONS = "emotion=plain,awe,fear,sadness"
INTENSITIES = "intensity=-0.5,0.25,0.5,0.75,1"


def test_killed_and_continued_it_ends_as_if_it_had_not_been(
    tmp_path: Path, saved: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """4 x 5 cells, 16 pictures in two runs: the plain ones of a column are one."""
    axes = [PROMPT, "--x", EMOTIONS, "--y", INTENSITIES]
    assert grid(tmp_path / "whole", *axes) == 0
    assert len(saved) == 16
    assert "20 cells, 16 pictures: 0 are there, 16 to make." in capsys.readouterr().out
    saved.clear()
    saved.until = 9
    assert grid(tmp_path / "parts", *axes) == 130
    assert sum(bool(cell["record"]) for cell in told(tmp_path / "parts")) in (9, 13)
    saved.until = None
    assert grid(tmp_path / "parts", *axes) == 0
    assert Counter(saved) == dict.fromkeys(saved, 1)
    assert len(saved) == 16
    whole, again = ((tmp_path / name / "grid.png").read_bytes() for name in ("whole", "parts"))
    assert whole == again
    common = {"prompt": PROMPT, "steps": "4", "max_iterations": "1", "timing": "Always"}
    more = Axis.parse("emotion=plain; awe; fear; sadness; awe:0.5,fear:0.5")
    larger = Grid.read(more, Axis.parse(INTENSITIES), common, [TOY])
    runner = Runner(tmp_path / "parts/runs", growing=True)
    jobs = [larger.jobs(arm) for arm in larger.arms]
    plans = [runner.plan(arm, its, its) for arm, its in zip(larger.arms, jobs, strict=True)]
    assert [plan.left for plan in plans] == [0, 5], "more values add to what is there"


def test_models_are_swapped_least_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Any
) -> None:
    """Four runs of two models: each is built once. And a cell is what `muse generate` makes."""
    built: list[bool] = []
    init = GaussianMixture.__init__

    def counted(self: GaussianMixture, *args: Any, **options: Any) -> None:
        built.append(bool(options.get("flow")))
        init(self, *args, **options)

    monkeypatch.setattr(GaussianMixture, "__init__", counted)
    axes = ["--x", "backbone.flow=false,true", "--y", "steering.lr=0.1,0.3"]
    assert grid(tmp_path / "grid", PROMPT, *axes, "--emotion", "awe:0.5,fear:0.5") == 0
    assert built == [False, True]
    assert len(saved) == 4
    cells = told(tmp_path / "grid")
    assert [cell["arm"] for cell in cells] == [
        f"backbone.flow={flow}, steering.lr={lr}" for lr in (0.1, 0.3) for flow in ("false", "true")
    ]
    assert len({str(cell["record"]["probabilities"]) for cell in cells}) == 4
    words = shlex.split(cells[3]["command"])
    assert words[:2] == ["muse", "generate"]
    assert main([*words[1:], "--out", str(tmp_path / "alone.png")]) == 0
    [path] = (tmp_path / "grid/runs").glob("*true*lr*0.3*/images/*.png")
    with Image.open(path) as cell, Image.open(tmp_path / "alone.png") as alone:
        assert cell.tobytes() == alone.tobytes()


def test_a_cell_that_fails_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What only the loaded model can refuse; the others are made."""
    words = ["--x", "steps=3,5000", "--config", TOY, "--output_dir", str(tmp_path)]
    assert main(["grid", PROMPT, *words]) == 1
    assert "1 of 2 cells failed; the page says why." in capsys.readouterr().out
    text = (tmp_path / "grid.html").read_text()
    assert text.count("<img ") == 1
    assert re.search(r'"gap">failed: [^<]*5000', text)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--x", "intesity=0.5"], "Unknown option 'intesity' in a grid. Did you mean 'intensity'?"),
        (["--x", "steerin.lr=0.5"], "Unknown option 'steerin.lr' in a grid."),
        (["--x", "output_dir=a,b"], "Unknown option 'output_dir' in a grid."),
        (["--x", "awe,fear"], "'awe,fear' is no axis."),
        (["--x", "seed=1,2", "--y", "seed=3"], "Both axes go over seed."),
        (["--x", "guidance=1", "--y", "guidance_scale=3"], "Both axes go over guidance_scale."),
        (["--x", "emotion="], "The axis emotion has no values."),
        (["--x", "emotion=awe,,fear"], "The axis emotion has an empty value."),
        (["--x", "emotion=awe,fear,awe"], "The axis emotion has 'awe' twice."),
        (["--x", "emotion=awe,feer"], "Unknown emotion 'feer'. Did you mean 'fear'?"),
        (["--x", "intensity=0.5"], "intensity is that of an emotion."),
        (["--x", "seed=5..1"], "The axis seed has '5..1', which is no range."),
        (["--x", "seed=1..2000"], "The axis seed is too long at '1..2000'."),
        (["--x", "seed=1..200", "--y", "intensity=0.5", "--seed", "3"], "--seed is given too"),
        (["--x", "seed=1..200", "--y", "guidance=1..99"], "too many"),
        (["--x", "steps=0,4"], "steps is an axis, and --steps is given too. Leave one out."),
        (["--x", "preset=default,paper"], "preset is an axis, and --config is given too."),
        (["--x", "seed=-1,4"], "seed -1 is out of range."),
        (["--x", "intensity=3", "--emotion", "awe"], "intensity 3 is out of range."),
        (["--x", "intensity=0", "--emotion", "awe@0.6"], "Say it once."),
        (["--x", "size=big"], "size 'big' is not one."),
        (["--x", "guide=EmoGem"], "Cells 'guide=EmoGem, plain': Unknown Guide 'EmoGem'. Did you "),
        (["--x", "steering.lrr=1"], "Option 'lrr' is not accepted. Did you mean 'lr'?"),
        (["--x", "steering.lr=0.1,much"], "Expected a float or null. Got value: much"),
        (["--x", "max_iterations=1,-3"], "--max_iterations is given too"),
        (["--x", "emotion_scale=1,-3", "--emotion", "awe"], "emotion_scale = -3 is not allowed"),
        (["--x", "steering.tokens=4,0", "--emotion", "awe"], "tokens"),
        (["--x", "seed=1", "--plain", "true"], "A grid has no twins."),
        (["--x", "seed=1", "--guidance", "2", "--guidance", "3"], "--guidance stands twice."),
        (
            ["--x", "seed=1", "--guidance", "2", "--guidance_scale", "3"],
            "guidance_scale is given twice, by two names.",
        ),
        (["--x", "seed=1", "--guidence", "2"], "Unknown option 'guidence' in a grid."),
        (["--x", "seed=1", "--guidance"], "--guidance needs a value after it."),
    ],
)
def test_bad_axes_are_one_line_each(
    words: list[str],
    why: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before a model is loaded, or a folder made."""

    def loaded(self: GaussianMixture, **options: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(GaussianMixture, "__init__", loaded)
    assert grid(tmp_path / "grid", PROMPT, *words) == 2
    assert why in one_line(capsys)
    assert not (tmp_path / "grid").exists()


def test_plain_cells_are_plain_pictures_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the page's list of runs, in a run's own table, and for `muse evaluate`."""
    assert grid(tmp_path / "grid", PROMPT, "--x", "emotion=plain,awe") == 0
    shelf = Shelf(tmp_path)
    found = [hit for run in shelf.runs() for hit in shelf.search(run)]
    assert {target_text(hit.record["target"]) for hit in found} == {"awe", "plain"}
    [plain] = [hit for run in shelf.runs() for hit in shelf.search(run, emotion="plain")]
    assert shelf.record(plain.run, plain.name)["target"] is None
    assert not shelf.search(plain.run, right="right")
    assert not shelf.search(plain.run, emotion="fear")
    [line] = csv.DictReader((tmp_path / plain.run / "results.csv").read_text().splitlines())
    assert (line["target"], line["on_target"], line["p_target"]) == ("plain", "", "")
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / plain.run)]) == 2
    assert "found 1 records, none of a finished picture" in one_line(capsys)


def test_without_a_prompt_or_an_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grid(tmp_path / "grid", "--x", "seed=1,2") == 2
    assert "There is no prompt." in one_line(capsys)
    assert grid(tmp_path / "grid", PROMPT) == 2
    assert "Missing: x." in one_line(capsys)


def test_thirty_by_thirty(tmp_path: Path) -> None:
    """900 jobs of one run. Their pictures stay beside the page, which is small."""
    levels = ",".join(f"{number / 30:.3f}" for number in range(1, 31))
    axes = Axis.parse("seed=1..30"), Axis.parse(f"intensity={levels}")
    told = Grid.read(*axes, {"prompt": PROMPT, "emotion": "awe"})
    [arm] = told.arms
    jobs = told.jobs(arm)
    assert len({job.id for job in jobs}) == 900
    assert len({(job.seed, job.intensity) for job in jobs}) == 900
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "#4c78d0").save(picture)
    cells = {}
    for row, column, cell in told.places():
        file = tmp_path / "runs" / f"{cell.job.id}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture.read_bytes())
        cells[row, column] = Shown(cell, file, {}, None)
    [line] = write_grid(told, cells, tmp_path)
    assert line.startswith("900 of 900 cells are in ")
    text = (tmp_path / "grid.html").read_text()
    assert text.count("<img ") == 900
    assert text.count('src="runs/') == 900
    assert len(text) < 1_000_000
    with Image.open(tmp_path / "grid.png") as sheet:
        assert min(sheet.size) > 30 * 168
        assert max(sheet.size) < 7_000


def test_what_is_larger_is_several_sheets() -> None:
    blocks = [(len(rows), len(columns)) for rows, columns in parts(33, 40)]
    assert blocks == [(32, 32), (32, 8), (1, 32), (1, 8)]
    assert sum(rows * columns for rows, columns in blocks) == 33 * 40


def test_values_fit_their_place() -> None:
    assert lines("awe", 168) == ["awe"]
    long = lines("a small dog that waits in the park " * 9, 168)
    assert len(long) == 3
    assert long[0] == "a small dog that waits in"
    assert long[-1].endswith("…")
    assert lines("x" * 400, 168, most=1)[0].endswith("x…")


def test_a_page_shows_texts_as_texts(tmp_path: Path) -> None:
    """Prompts are a user's: nothing in them is markup."""
    told = Grid.read(Axis.parse("prompt=<b>a</b> park;</script>\"'&;"), None, {})
    cells = {(row, column): Shown(cell, None, {}, "<i>no</i>")
             for row, column, cell in told.places()}  # fmt: skip
    write_grid(told, cells, tmp_path)
    text = (tmp_path / "grid.html").read_text()
    assert "<b>" not in text
    assert "<i>" not in text
    assert text.count("</script>") == 2
    assert "failed: &lt;i&gt;no&lt;/i&gt;" in text


def test_the_axis_of_presets_is_their_files() -> None:
    told = Grid.read(
        Axis.parse("preset=default,paper"), Axis.parse("guidance=1,3"), {"prompt": "a"}
    )
    assert [arm.config for arm in told.arms] == [("default",), ("paper",)]
    assert [job.guidance_scale for job in told.jobs(told.arms[1])] == [1.0, 3.0]
    with pytest.raises(MuseError, match="no prompt"):
        Grid.read(Axis.parse("seed=1"), None, {})


def test_a_part_comes_before_what_is_in_it() -> None:
    """Else naming the part would take the option away."""
    axes = Axis.parse("steering.lr=0.1,0.2"), Axis.parse("seed=1")
    common = {"prompt": "a", "steering.tokens": "3", "steering": "TokenOptimization"}
    told = Grid.read(*axes, common)
    assert [list(arm.options) for arm in told.arms] == [
        ["steering", "steering.tokens", "steering.lr"]
    ] * 2
