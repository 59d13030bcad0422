"""Studies of pictures that are there already: matching, measuring, ranking, the page; and what is
wrong with a file or a folder, in one line.
"""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from muse.cli import main
from muse.core.emotions import EMOTIONS, WHEEL
from muse.core.jobs import Job
from muse.report.tsne import tsne
from muse.runs.records import write_record
from muse.studies.jobs import spread
from muse.studies.measuring import _ranked
from tests.study_parts import metrics, paint
from tests.test_cli import one_line
from tests.test_report import record

JOBS = [(animal, emotion) for animal in ("dog", "cat") for emotion in ("awe", "fear", "anger")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two prompts in three emotions; ``good`` shows them all, by id; ``other`` has cats that are
    all angry, in a folder for each emotion; ``run`` is a run of muse, its last job failed.
    """
    monkeypatch.chdir(tmp_path)
    lines = [
        {"id": f"{a}-{e}", "prompt": f"a {a}", "emotion": e, "seed": number, "image": f"{a}.png"}
        for number, (a, e) in enumerate(JOBS)
    ]
    for animal in ("dog", "cat"):
        paint(tmp_path / f"{animal}.png", "sadness")
    (tmp_path / "jobs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "run" / "records").mkdir(parents=True)
    for animal, emotion in JOBS:
        name = f"{animal}-{emotion}"
        paint(tmp_path / "good" / f"{name}.png", emotion)
        shown = emotion if animal == "dog" else "anger"
        paint(tmp_path / "other" / emotion / f"{animal}.png", shown, green=80)
        more: dict[str, Any] = {"seconds": 2.0, "prompt": f"a {animal}"}
        if animal == "dog":
            more["cost"] = {
                "predictions": 10,
                "gradients": 4,
                "decodings": 1,
                "decoder_gradients": 0,
            }
        if name == "cat-anger":
            write_record(tmp_path / "run", record(name, emotion, status="failed", reason="no room"))
        else:
            paint(tmp_path / "run" / "images" / f"{name}.png", emotion)
            write_record(tmp_path / "run", record(name, emotion, **more))
    return tmp_path


ARMS: list[dict[str, Any]] = [
    {"name": "good", "folder": "good"},
    {"name": "other", "folder": "other", "names": "{emotion}/{image}"},
]


EDITS = "muse.mini.edits.write_edits"
VARIANCE = {
    "class_path": "IntraClassVariance",
    "init_args": {"name": "Var", "features": {"class_path": "ContrastFeatures"}},
}


def study(folder: Path, *words: str, **more: Any) -> int:
    said = {"title": "folders", "jobs": "jobs.jsonl", "arms": ARMS, "metrics": metrics(), **more}
    (folder / "study.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return main(["study", "study.yaml", "--output_dir", "out", "--device=cpu", *words])


def found(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "out/table.json").read_text())
    return read


def means(table: dict[str, Any], column: str) -> dict[str, float | None]:
    place = [each["name"] for each in table["columns"]].index(column)
    return {
        arm: None if cells[place] is None else cells[place]["mean"]
        for arm, cells in table["rows"].items()
    }


def test_tables_by_hand(folder: Path) -> None:
    assert study(folder) == 0
    all_jobs, compared = found(folder)["tables"]
    assert means(all_jobs, "judge") == {"good": 1.0, "other": pytest.approx(4 / 6)}
    green = {arm: round(value * 255) for arm, value in means(all_jobs, "green").items()}
    assert green == {"good": 40, "other": 80}
    assert means(compared, "judge") == {"other": pytest.approx(-2 / 6)}
    assert means(compared, "green, kept") == {"other": pytest.approx(2.0)}
    assert means(all_jobs, "seconds") == {"good": None, "other": None}
    text = (folder / "out/table.md").read_text()
    # a dog gives 3 of 3, a cat 1 of 3
    assert (
        "| other | 66.7% [33.3, 100.0] | 0.314 [0.314, 0.314] | nan | nan | nan | nan | 6 |" in text
    )
    assert "| other | -33.3% [-66.7, +0.0] | +0.157 [+0.157, +0.157] | 200.0%" in text
    assert found(folder)["confusion"]["judge"]["other"]["awe"]["anger"] == 1
    rows = list(csv.reader((folder / "out/table.csv").read_text().splitlines()))
    assert rows[2][:6] == ["All 6 jobs", "other", "6", "0.666667", "0.333333", "1"]


def test_a_run_is_an_arm_with_what_it_cost(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Means over the pictures that are there; nan where a record lacks a number."""
    assert study(folder, arms=[*ARMS, {"name": "run", "folder": "run"}]) == 1
    table = found(folder)["tables"][0]
    assert means(table, "seconds")["run"] == 2.0
    assert means(table, "evaluations")["run"] is None  # the cats' records don't tell
    assert "Arm 'run': 1 jobs failed (cat-anger)." in capsys.readouterr().out
    assert found(folder)["arms"][2]["failed"] == {"cat-anger": "no room"}
    for name in ("cat-awe", "cat-fear"):
        cost = {"predictions": 20, "gradients": 1, "decodings": 1, "decoder_gradients": 1}
        write_record(folder / "run", record(name, name[4:], seconds=2.0, cost=cost))
    assert study(folder, arms=[{"name": "run", "folder": "run"}]) == 1
    [table] = found(folder)["tables"]
    assert means(table, "gradients") == {"run": pytest.approx((3 * 4 + 2) / 5)}
    assert means(table, "evaluations") == {"run": pytest.approx((3 * 14 + 2 * 21) / 5)}
    assert means(table, "GFLOP") == {"run": None}, "nobody counted"
    each = {"predictions": 1e9, "gradients": 2e9, "decodings": 3e9, "decoder_gradients": 5e9}
    (folder / "run.arithmetic.json").write_text(json.dumps(each))
    assert study(folder, arms=[{"name": "run", "folder": "run"}]) == 1
    [table] = found(folder)["tables"]
    dog, cat = 10 + 2 * 4 + 3, 20 + 2 + 3 + 5
    assert means(table, "GFLOP") == {"run": pytest.approx((3 * dog + 2 * cat) / 5)}


def test_a_mapping_file_says_which_picture_is_whose(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures that nobody names are told."""
    rows = [f"{a}-{e},{e}/{a}.png" for a, e in JOBS]
    (folder / "map.csv").write_text("\n".join(["id,file", *rows]) + "\n")
    paint(folder / "other" / "spare.jpg", "awe")
    assert study(folder, arms=[{"name": "other", "folder": "other", "names": "map.csv"}]) == 0
    assert "Arm 'other': 1 pictures belong to no job and are left out (spare)." in (
        capsys.readouterr().out
    )
    assert means(found(folder)["tables"][0], "judge") == {"other": pytest.approx(4 / 6)}
    assert study(folder, "--limit", "2") == 0  # the others' pictures are no surplus
    assert "belong to no job" in capsys.readouterr().out  # the spare one is still


def test_an_unreadable_picture_is_named_and_the_rest_scored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "good" / "dog-awe.png").write_bytes(b"no picture")
    assert study(folder) == 1
    assert "good/dog-awe.png" in capsys.readouterr().out
    assert means(found(folder)["tables"][0], "judge")["good"] == 1.0
    assert "dog-awe" in (folder / "out/report.html").read_text()


def test_an_arm_of_which_nothing_can_be_read_has_empty_values(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (folder / "good").glob("*.png"):
        file.write_bytes(b"no picture")
    assert study(folder) == 1
    assert "can't be read" in capsys.readouterr().out
    rows = list(csv.DictReader((folder / "out/pictures.csv").read_text().splitlines()))
    assert {row["judge"] for row in rows if row["arm"] == "good"} == {""}
    assert {row["judge"] for row in rows if row["arm"] == "other"} == {"0", "1"}


def test_ranks_share_places_and_count_from_the_best(folder: Path) -> None:
    assert study(folder, ranks={"Mood": ["judge"], "Least green": ["-green"]}) == 0
    table = found(folder)["tables"][0]
    ranks = means(table, "Mood: judges' mean rank")
    # equal pictures tie at 1.5; of the cats two are wrong
    assert ranks == {"good": pytest.approx((4 * 1.5 + 2) / 6), "other": pytest.approx((6 + 4) / 6)}
    assert means(table, "Least green: judges' mean rank") == {"good": 1.0, "other": 2.0}
    values = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 2.0], [2.0, 5.0, math.nan]])
    assert _ranked(values)[:, :2].tolist() == [[3.0, 1.5], [1.0, 1.5], [2.0, 3.0]]
    assert np.isnan(_ranked(values)[:, 2]).all()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"arms": [*ARMS, ARMS[0]]}, "Two arms of study.yaml are called 'good'"),
        ({"metrcs": []}, "Unknown key 'metrcs' in study.yaml. Did you mean 'metrics'?"),
        ({"arms": [{"name": "a", "optoins": {}}]}, "Did you mean 'options'?"),
        ({"arms": [{"name": "a", "folder": "good", "name_": 1}]}, "Unknown key 'name_'"),
        ({"arms": [{"folder": "good"}]}, "has no name"),
        ({"arms": []}, "has no arms"),
        ({"arms": [{"name": "a", "emotion": "awe"}]}, "Use none, the plain model"),
        ({"arms": [{"name": "a", "prompt": "{mood}"}]}, "prompt '{mood}'"),
        ({"arms": [{"name": "a", "limit": 0}]}, "Use a whole number from 1 on"),
        ({"compare": "god"}, "Did you mean 'good'?"),
        ({"jobs": {}}, "has no jobs"),
        ({"jobs": {"promts": []}}, "Did you mean 'prompts'?"),
        ({"jobs": "none.jsonl"}, "none.jsonl"),
        ({"jobs": {"make": "muse.nothing"}}, "no such function"),
        ({"ranks": {"Mood": ["jugde"]}}, "the metric 'jugde'. Measured are: judge, green"),
        ({"ranks": {"Mood": "judge"}}, "Write a list"),
        ({"figures": [{"kind": "feature"}]}, "Did you mean 'features'?"),
        ({"figures": [{"kind": "features", "arms": ["goode"]}]}, "Did you mean 'good'?"),
        ({"figures": [{"kind": "against", "option": "x", "metrics": ["y"]}]}, "the metric 'y'"),
        ({"figures": [{"kind": "against", "metrics": ["judge"]}]}, "has no option"),
        ({"figures": [{"kind": "against", "option": "x"}]}, "has no metrics"),
        ({"figures": [{"kind": "features", "arms": 5}]}, "Write a list"),
        ({"ranks": {"Mood": []}}, "rank 'Mood' of study.yaml has no metrics"),
        ({"ranks": {"M": ["Var"]}, "metrics": [VARIANCE]}, "a number of whole sets"),
        ({"arms": [ARMS[0], {**ARMS[1], "name": "ratio"}]}, "is called 'ratio'"),
        ({"arms": [ARMS[0], {**ARMS[1], "name": "difference"}]}, "is called 'difference'"),
        ({"jobs": {"make": "muse.core.emotions"}}, "no such function"),
        ({"jobs": {"make": EDITS, "options": {"cuont": 2}}}, "It takes: count"),
        ({"arms": [{**ARMS[0], "names": "short.csv"}]}, "line 3 of 'short.csv'"),
        ({"metrics": "none.yaml"}, "no list of metrics"),
        ({"arms": [{"name": "a", "folder": "nowhere"}]}, "no folder 'nowhere'"),
        ({"arms": [{"name": "a", "folder": "good", "names": "{who}"}]}, "can't be filled"),
        ({"arms": [{"name": "a", "folder": "good", "names": "none.csv"}]}, "can't be read"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, more: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "short.csv").write_text("id,file\ndog-awe,dog-awe.png\ncat-awe\n")
    assert study(folder, **more) == 2
    assert told in one_line(capsys)


def test_jobs_without_a_picture_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("dog-awe", "cat-fear"):
        (folder / "good" / f"{name}.png").unlink()
    assert study(folder) == 2
    line = one_line(capsys)
    assert "Arm 'good' has no pictures for 2 of 6 jobs: dog-awe, cat-fear." in line
    (folder / "run/records/dog-awe.json").unlink()
    assert study(folder, arms=[{"name": "run", "folder": "run"}]) == 2
    assert "Arm 'run' has no pictures for 1 of 6 jobs: dog-awe." in one_line(capsys)


@pytest.mark.parametrize("text", ["title: [", "just words"])
def test_a_file_that_is_no_study(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(text)
    assert main(["study", str(tmp_path / "study.yaml")]) == 2
    assert "study.yaml" in one_line(capsys)
    assert main(["study", str(tmp_path / "none.yaml")]) == 2
    assert "can't be read" in one_line(capsys)


def test_the_page_holds_all_and_nothing_ends_it_early(folder: Path) -> None:
    """No address, one script element for the data, whatever a title says."""
    assert study(folder, title="</script><b>", about="<!-- & -->") == 0
    page = (folder / "out/report.html").read_text()
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    told = json.loads(data)
    assert told["title"] == "</script><b>"
    assert [job["id"] for job in told["jobs"]] == [f"{a}-{e}" for a, e in JOBS]
    assert set(told["shots"]) == {"good", "other"}
    shot = told["shots"]["other"]["cat-awe"]
    assert shot["reads"]["judge"][0] == "anger"
    assert shot["reads"]["judge"][2] is False
    assert all(one.startswith("data:image/webp;base64,") for one in told["images"])
    assert told["jobs"][0]["source"] is not None
    assert page.count("<script") == 2
    assert "Content-Security-Policy" in page
    addresses = re.findall(r"(?:https?:)?//[\w.]+", page.replace(data, ""))
    assert {one for one in addresses if "w3.org" not in one and one.startswith("http")} == set()


def test_the_page_shows_what_finds_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muse.studies.page.ROOM", 400)
    assert study(folder) == 0
    page = (folder / "out/report.html").read_text()
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    told = json.loads(data)
    assert told["of"] == 6
    assert 0 < len(told["jobs"]) < 6
    assert set(told["shots"]["good"]) == {job["id"] for job in told["jobs"]}


def test_spread_takes_emotions_and_prompts_equally_often() -> None:
    jobs = [Job(f"{p}-{e}", p, {e: 1.0}, 0) for p in "abcdefghij" for e in WHEEL]
    eight, sixteen = spread(jobs, 8), spread(jobs, 16)
    assert len({job.prompt for job in eight}) == 8
    assert sorted(next(iter(job.target or {})) for job in eight) == sorted(EMOTIONS)
    assert {job.id for job in eight} < {job.id for job in sixteen}
    assert [job.id for job in sixteen] == [j.id for j in jobs if j in sixteen]
    assert max(sum(job.prompt == p for job in sixteen) for p in "abcdefghij") == 2
    assert spread(jobs, 100) == jobs


def test_tsne_keeps_groups_together() -> None:
    """Points of five far groups: each one's nearest neighbour on the plane is of its own."""
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(5, 16, generator=random).repeat_interleave(12, 0)
    points = centres + 0.1 * torch.randn(60, 16, generator=random)
    plane = tsne(points)
    apart = torch.cdist(plane, plane).fill_diagonal_(math.inf)
    assert (apart.argmin(1) // 12 == torch.arange(60) // 12).all()
    assert torch.equal(plane, tsne(points))


def test_what_asks_for_a_metric_that_is_not_measured_is_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that takes more pictures than there are, or applies to none: the rest is told."""
    many = {"class_path": "tests.study_parts.Green", "init_args": {"fewest": 7}}
    figures = [{"kind": "against", "option": "x", "metrics": ["green"]}]
    ranks = {"Mood": ["judge"], "Much": ["green"], "Sharp": ["-PSNR"]}
    listed = [*metrics()[:1], many, {"class_path": "PSNR"}]
    jobs = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    bare = [{key: value for key, value in job.items() if key != "image"} for job in jobs]
    (folder / "bare.jsonl").write_text("".join(json.dumps(job) + "\n" for job in bare))
    more: dict[str, Any] = {"ranks": ranks, "figures": figures, "arms": ARMS[:1]}
    assert study(folder, metrics=listed, jobs="bare.jsonl", **more) == 0
    told = capsys.readouterr().out
    assert "Rank 'Much' is left out: no green is measured." in told
    assert "Rank 'Sharp' is left out: no PSNR is measured." in told
    assert "Figure 'against' leaves out green, which isn't measured." in told
    names = [column["name"] for column in found(folder)["tables"][0]["columns"]]
    assert [name for name in names if "rank" in name] == ["Mood: judges' mean rank"]


def test_ranks_tell_which_jobs_they_are_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = [ARMS[0], {"name": "run", "folder": "run"}]
    assert study(folder, arms=arms, ranks={"Mood": ["judge"]}) == 1
    assert "Mood: ranks of 5 jobs, of which every arm has a number." in capsys.readouterr().out


def test_the_tables_are_there_before_anything_is_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("muse.studies.results.figures", breaks)
    assert study(folder) == 70
    assert "| good | 100.0%" in (folder / "out/table.md").read_text()
    assert means(found(folder)["tables"][0], "judge")["good"] == 1.0


def test_a_blank_title_is_the_files_name(folder: Path) -> None:
    assert study(folder, title=None, about=None) == 0
    assert found(folder)["title"] == "study"
    assert "None" not in (folder / "out/table.md").read_text()


def test_metrics_of_sets_that_take_more_pictures_are_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is made, and said."""
    many = {"class_path": "tests.study_parts.Green", "init_args": {"fewest": 7}}
    assert study(folder, metrics=[*metrics()[:1], many]) == 0
    told = capsys.readouterr().out
    assert (
        "green is left out: it takes 7 different pictures or more, and an arm has 6 at most."
        in (told)
    )
    assert [one["name"] for one in found(folder)["tables"][0]["columns"]][:1] == ["judge"]
    assert "green" not in [one["name"] for one in found(folder)["tables"][0]["columns"]]


def test_lists_of_metrics_are_joined(folder: Path) -> None:
    (folder / "first.yaml").write_text(
        yaml.safe_dump({"metrics": metrics()[:1], "groups": "tests.study_parts.animal"})
    )
    assert study(folder, metrics=["first.yaml", metrics()[1]]) == 0
    titles = [table["title"] for table in found(folder)["tables"]]
    assert titles == ["All 6 jobs", "a cat: 3 jobs", "a dog: 3 jobs", "Compared with good"]
