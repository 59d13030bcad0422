"""Sheets, curves, tables and closing lines, from records made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.report import contact_sheet, results_csv, traces
from muse.report.traces import band
from muse.runs.records import on_target, read_records, target_probability, write_record
from muse.schedulers import StepWindow
from muse.tasks.summary import closing_lines


def record(name: str, target: str = "awe", **changes: Any) -> dict[str, Any]:
    """A record of one picture, at 0.9 for its target; its plain twin was at 0.9 for fear."""
    p = {e: 0.9 if e == target else 0.1 / 7 for e in EMOTIONS}
    plain = {e: 0.9 if e == "fear" else 0.1 / 7 for e in EMOTIONS}
    trace = {key: [0.1, 0.5, 0.9] for key in ("p_target", "p_inherent", "p_similar", "total")}
    made = {
        "schema": 1, "id": name, "prompt": "a dog", "target": {target: 1.0}, "seed": 0,
        "image": None, "status": "done", "reason": None, "start_step": 2,
        "similarity": [10.0, 20.0, 30.0], "inherent": "fear", "iterations": [0, 0, 2],
        "trace": trace, "probabilities": p, "plain": "twin", "plain_probabilities": plain,
        "notes": [], "seconds": 1.0, "versions": {}, "config_digest": "0",
    }  # fmt: skip
    return {**made, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder: a red plain twin, and pictures a (green) and b (blue)."""
    for name, color in (("plain/twin", "red"), ("images/a", "lime"), ("images/b", "blue")):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), color).save(path)
    (tmp_path / "records").mkdir()
    return tmp_path


def test_sheet_shows_plain_first_then_the_wheels_order(folder: Path) -> None:
    sheet = contact_sheet([record("a", "anger"), record("b", "awe")], folder)
    assert sheet is not None
    pixels = [sheet.getpixel((x, 28 + 34 + 80)) for x in range(sheet.width)]
    order = [p for i, p in enumerate(pixels) if p != (255, 255, 255) and p != pixels[i - 1]]
    assert order == [(255, 0, 0), (0, 0, 255), (0, 255, 0)]


def test_sheet_leaves_a_failed_twin_out(folder: Path) -> None:
    """One that failed, or that another process has not made yet, for some or all of a row."""
    (folder / "plain" / "twin.png").unlink()
    alone = record("a", plain="twin", plain_probabilities=None)
    sheet = contact_sheet([alone], folder)
    assert sheet is not None
    assert sheet.size[0] < contact_sheet([alone, record("b")], folder_with_twin(folder)).size[0]  # type: ignore[union-attr]


def folder_with_twin(folder: Path) -> Path:
    Image.new("RGB", (64, 64), "red").save(folder / "plain" / "twin.png")
    return folder


def test_sheet_leaves_failed_pictures_out(folder: Path) -> None:
    failed = record("gone", status="failed", probabilities={}, reason="no")
    sheet = contact_sheet([record("a"), failed], folder)
    assert sheet is not None
    assert sheet.size == contact_sheet([record("a")], folder).size  # type: ignore[union-attr]
    assert contact_sheet([failed], folder) is None


def test_the_place_of_a_picture_that_cannot_be_read_stays_empty(folder: Path) -> None:
    (folder / "images" / "a.png").write_bytes(b"broken")
    (folder / "plain" / "twin.png").unlink()
    sheet = contact_sheet([record("a", "anger"), record("b", "awe")], folder)
    assert sheet is not None
    places = [sheet.getpixel((28 + column * (168 + 14) + 80, 28 + 34 + 80)) for column in range(3)]
    assert places == [(255, 255, 255), (0, 0, 255), (255, 255, 255)]


def test_traces_draw_one_panel_an_emotion_and_the_similarity() -> None:
    figure = traces([record("a", "awe"), record("b", "anger"), record("c", "awe")])
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["awe  (2)", "anger  (1)"]
    assert titles[2].startswith("similarity")
    assert traces([record("a", trace={}, start_step=None)]) is None


def test_numbers_that_a_trace_lacks_are_left_out() -> None:
    """Null: what wasn't finite, and the inherent emotion where there was none."""
    axes = Figure().add_subplot()
    band(axes, [[None, 0.2, 0.4], [None, None], [None, 0.4, 0.8]], "red")
    [line] = axes.lines
    assert list(line.get_xdata()) == [1, 2]
    assert list(line.get_ydata()) == pytest.approx([0.3, 0.6])
    bare = {key: [0.1, 0.5] for key in ("p_target", "p_similar")} | {"p_inherent": [None, None]}
    figure = traces([record("a", trace=bare)])
    assert figure is not None
    assert len(figure.axes[0].lines) == 2


def test_table_has_a_line_a_picture() -> None:
    mixed = record("b", "fear") | {"target": {"awe": 0.7, "fear": 0.3}}
    lines = results_csv([record("a"), mixed]).splitlines()
    assert lines[1].startswith("a,a dog,awe,0,done,2,fear,2,awe,True,0.9000,0.0143,1.0,")
    assert '"awe:0.7,fear:0.3"' in lines[2]


def test_what_counts_as_on_target() -> None:
    assert on_target(record("a"))
    assert not on_target(record("a"), "plain_probabilities")
    assert on_target(record("a", probabilities={})) is None
    assert target_probability(record("a")) == pytest.approx(0.9)


def test_records_survive_numbers_that_json_lacks(folder: Path) -> None:
    write_record(folder, record("a", similarity=[float("nan"), 1.0, float("inf")]))
    [read] = read_records(folder)
    assert read["similarity"] == [None, 1.0, None]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "it lacks id"),
        ('{"schema": 2}', "Update muse"),
    ],
)
def test_records_of_another_kind_are_refused(folder: Path, text: str, told: str) -> None:
    (folder / "records" / "a.json").write_text(text)
    with pytest.raises(MuseError, match=told):
        read_records(folder)


def test_unknown_keys_of_records_are_ignored(folder: Path) -> None:
    (folder / "records" / "a.json").write_text(json.dumps(record("a", novelty=1)))
    assert results_csv(read_records(folder)).count("\n") == 2


def test_closing_lines_name_the_remedies(folder: Path) -> None:
    never = record("b", start_step=None, similarity=[1.0, 2.0])
    failed = record("c", status="failed", reason="no memory", probabilities={})
    noted = record("d", notes=["step 3: the loss is not finite"])
    records = [record("a"), never, failed, noted]
    remedy = StepWindow(0.99).remedy
    told = "\n".join(closing_lines(records, 5, folder, True, remedy))
    assert "Interrupted: 3 of 5 pictures are finished and stay." in told
    assert "Failed: c: no memory" in told
    assert "3 of 3 pictures (100%) read as their target; their plain twins: 0%" in told
    assert "1 pictures came out plain" in told
    assert "never started: lower --model.timing.start." in told
    assert "1 searches met numbers that are not finite (d)" in told
    assert told.splitlines()[-1] == f"The pictures are in {folder}"


def test_no_quantile_of_the_similarity_is_beyond_the_highest(folder: Path) -> None:
    records = [record("a", similarity=[50.0]), record("b", similarity=[60.0])]
    told = "\n".join(closing_lines(records, 2, folder, False, ""))
    assert "51.0 (10 %), 55.0 (50 %), 59.0 (90 %), 60.0 at most" in told
