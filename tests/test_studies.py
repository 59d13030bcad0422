"""Studies whose arms are made: what is shared, what goes on, and every shipped file."""

from __future__ import annotations

import csv
import json
import math
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchvision.models import alexnet

from muse.cli import main
from muse.commands.study_metrics import metrics_of
from muse.core.emotions import EMOTIONS, WHEEL
from muse.core.jobs import Job, derive_seed
from muse.data.jobs import read_jobs, write_jobs
from muse.guides import EmoGen
from muse.guides.published import EMOGEN
from muse.metrics import ContrastFeatures, IntraClassVariance, Made
from muse.mini.captions import DEVELOPMENT, TEST_KNOWN, TEST_NEW
from muse.mini.scenes import render
from muse.mini.world import SIDE, VARIED
from muse.runs import RunFolder
from muse.sampling import Sampler
from muse.sampling.arithmetic import Arithmetic, arithmetic
from muse.studies import Runner, Study
from muse.studies import bundle as bundling
from muse.studies.figures import _described
from muse.studies.file import Arm
from muse.studies.jobs import arm_jobs, study_jobs
from tests import tiny_guides
from tests.study_parts import metrics, paint
from tests.test_cli import one_line

ROOT = Path(__file__).parent.parent
STUDIES = sorted((ROOT / "configs/studies").rglob("*.yaml"))
SHIPPED = [path for path in STUDIES if not path.stem.startswith("metrics")]
REAL = [path for path in SHIPPED if path.parent.name == "sd15"]
"""Those of models from the hub."""
COLOURS = [
    "--model.guide=tests.study_parts.ByColour",
    "--model.similarity=tests.study_parts.Brightness",
]


@pytest.fixture(autouse=True)
def _counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny models' arithmetic, which takes longer than their pictures: once for each kind."""
    monkeypatch.setattr("muse.studies.runner.arithmetic", _arithmetic_of_a_kind)


COUNTED: dict[type, Any] = {}


def _arithmetic_of_a_kind(sampler: Sampler) -> Arithmetic:
    kind = type(sampler.backbone)
    COUNTED[kind] = COUNTED.get(kind) or arithmetic(sampler)
    return COUNTED[kind]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies name examples/ by import path."""
    monkeypatch.chdir(ROOT)


def write(path: Path, **said: Any) -> str:
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return str(path)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where shipped studies have their runs: some ask for the same."""
    return tmp_path_factory.mktemp("studies") / "arms"


@pytest.fixture
def tiny(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Callable[..., int]:
    """`muse study` on a tiny Stable Diffusion, one step of it."""
    listed = write(tmp_path / "metrics.yaml", metrics=metrics())

    def run(file: str | Path, *words: str, family: str = "sd") -> int:
        made = [f"--model.backbone.pretrained={tiny_folder(family)}", "--model.steps=1"]
        made += ["--model.size=[16, 16]", "--trainer.accelerator=cpu"]
        own = ["--metrics", listed, "--output_dir", str(tmp_path / "out")]
        return main(["study", str(file), *own, *COLOURS, *made, *words])

    return run


def tables(folder: Path) -> list[list[str]]:
    """table.csv without seconds, which a clock tells."""
    rows = list(csv.reader((folder / "table.csv").read_text().splitlines()))
    place = rows[0].index("seconds")
    return [row[:place] + row[place + 1 :] if len(row) > place else row for row in rows]


def small(path: Path, **more: Any) -> str:
    """Two prompts in two emotions; the plain model, told alike and otherwise, and two steered."""
    said: dict[str, Any] = {
        "title": "small",
        "options": {"timing": "Always", "max_iterations": 1},
        "jobs": {"prompts": ["a dog", "a cat"], "emotions": ["awe", "fear"]},
        "arms": [
            {"name": "plain", "emotion": "none"},
            {"name": "word", "emotion": "none", "prompt": "{prompt}, {emotion}"},
            {"name": "default"},
            {"name": "two", "options": {"max_iterations": 2}},
        ],
    }
    return write(path, **{**said, **more})


FAMILY = {"table1_sdxl": "sdxl", "flow": "sd3"}
MANY = ("settings", "remedies", "frontier")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_shipped_studies_run(
    path: Path,
    tiny: Callable[..., int],
    tmp_path: Path,
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As they stand with --quick, but for the model, what guides and judges, one job and one step;
    of those with many arms that differ by a number, some.
    """
    monkeypatch.setattr("muse.report.summary.traces", lambda records: None)  # drawn elsewhere
    words = ["--quick", "--limit=1", "--arms", str(runs), "--model.backbone.preview_decoder=null"]
    words += ["--model.max_iterations=1"]
    words += ["--bundle"] if path in REAL else []
    words += ["--model.steps=2"] if path.stem == "table2" else []  # SDEdit leaves out a fifth
    if path.parent.name == "sd15" and path.stem == "table2":
        paint(tmp_path / "photo.png", "fear")
        (tmp_path / "coco.csv").write_text("image,prompt,emotion\nphoto.png,a dog,awe\n")
        words += ["--jobs", str(tmp_path / "coco.csv")]
    said = yaml.safe_load(path.read_text())
    few = [*said["arms"][:3], *(a for a in said["arms"][3:] if a["name"] == said.get("compare"))]
    said["arms"] = few if path.stem in MANY else said["arms"]
    own = {"metrics": ["judge", "green"], "clip": "muse-mini/clip"}
    renamed = {**said, "ranks": {"Emotion": ["judge"]} if "ranks" in said else {}}
    renamed["figures"] = [
        {**figure, **{key: value for key, value in own.items() if key in figure}}
        for figure in said.get("figures", [])
    ]
    shutil.copytree(ROOT / "configs", tmp_path / "configs")  # paths are relative to the file
    copy = tmp_path / path.relative_to(ROOT)
    copy.write_text(yaml.safe_dump(renamed, sort_keys=False))
    assert tiny(copy, *words, family=FAMILY.get(path.stem, "sd")) == 0
    found = json.loads((tmp_path / "out/table.json").read_text())
    names = [arm["name"] for arm in said["arms"] if arm.get("evaluations", 0) <= 500]
    assert [arm["name"] for arm in found["arms"]] == names
    assert [arm["pictures"] for arm in found["arms"]] == [1] * len(names)
    assert said["title"] in (tmp_path / "out/table.md").read_text()
    page = (tmp_path / "out/report.html").read_text()
    assert "{{" not in page
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
    if path in REAL:  # what a stranger attaches to an issue
        with zipfile.ZipFile(tmp_path / "out/bundle.zip") as archive:
            inside = set(archive.namelist())
            machine = json.loads(archive.read("machine.json"))
        assert {"table.md", "report.html", "study.yaml"} <= inside
        assert list(machine["arms"]) == names
        assert len([name for name in inside if name.endswith("records.jsonl")]) == len(names)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name on the hub -> the folder of a tiny model of its kind; what comes from elsewhere has
    random weights.
    """
    monkeypatch.setattr("muse.guides.zero_shot_clip.WORDS", {one: (one,) for one in EMOTIONS})
    monkeypatch.setattr("muse.guides.zero_shot_clip.TEMPLATES", ("{}",))
    monkeypatch.setattr("torchvision.models.alexnet", lambda weights: alexnet(weights=None))
    head = EmoGen(tiny_guides.tiny_clip()).fc.state_dict()
    torch.save({f"fc.{name}": weight for name, weight in head.items()}, tmp_path / "head.pth")
    monkeypatch.setattr(type(EMOGEN), "fetch", lambda self: str(tmp_path / "head.pth"))
    return {
        "openai/clip-vit-large-patch14": tiny_guides.clip_folder(tmp_path / "clip"),
        "google/siglip-base-patch16-224": tiny_guides.siglip_folder(tmp_path / "siglip"),
        "facebook/dinov2-base": tiny_guides.dinov2_folder(tmp_path / "dinov2"),
    }


def test_metrics_of_real_models_measure(hub: dict[str, str], tmp_path: Path) -> None:
    """The lists as they stand, but for the models; each gives an edit, or some, a number, and has
    the names that ranks and figures ask for.
    """
    for file in (ROOT / "configs/studies/sd15").glob("*"):
        said = file.read_text()
        for name, folder in hub.items():
            said = said.replace(name, folder)
        (tmp_path / file.name).write_text(said)
    every, _, _ = metrics_of(Study.read(tmp_path / "table2.yaml"))
    generator = torch.Generator().manual_seed(0)
    shown = [
        Made(prompt, {"awe": 1.0}, *torch.rand(3, 3, 64, 64, generator=generator))
        for prompt in ("a dog", "a dog", "a cat")
    ]
    with torch.no_grad():
        values = {
            metric.name: [metric.sum_up(metric.describe(shown))]
            if isinstance(metric, IntraClassVariance)
            else metric.eval().measure(shown)
            for metric in every
        }
    assert len(values) == len(every), "names differ"
    assert {"EC-A", "CLIP-A", "Emo-S", "DINOv2 image similarity", "LPIPS", "Var"} <= values.keys()
    assert all(math.isfinite(value) for of in values.values() for value in of)
    for path in REAL:
        metrics_of(Study.read(tmp_path / path.name))


@pytest.mark.parametrize("name", [*MANY, "table1", "table2", "sd15/table1", "sd15/table2"])
def test_every_arm_can_be_planned(name: str, tmp_path: Path) -> None:
    """Of the studies with many or long ones, with its own model and guide; none are loaded. Arms
    differ.
    """
    jobs = [Job("a", "a dog", {"awe": 1.0}, 0)]
    runner = Runner(tmp_path)
    study = Study.read(ROOT / "configs/studies" / f"{name}.yaml")
    plans = [runner.plan(arm, jobs, jobs) for arm in study.arms]
    assert len({plan.folder for plan in plans}) == len(plans)
    assert all(plan.given.model.slots == 1 for plan in plans)


def test_an_arm_without_masks_edits_the_whole_picture(tmp_path: Path) -> None:
    said = {"make": "muse.mini.edits.write_edits"}
    options = {"count": 3, "first": 32_000_000, "masked": True}
    jobs = study_jobs({**said, "options": options}, tmp_path)
    inside, _ = arm_jobs(Arm("inside"), jobs, jobs)
    assert inside == jobs
    whole, wanted = arm_jobs(Arm("whole", mask=False), jobs, jobs)
    assert [job.mask for job in whole] == [None] * 3
    assert list(wanted) == [job.id for job in jobs]
    for job in jobs:
        scene = render(int(job.id.partition("-")[0]), world=VARIED, size=SIDE)
        with Image.open(job.mask) as image:
            mask = np.asarray(image)
        assert mask[scene.cover == 255].mean() < 8, "the thing is kept"
        assert mask[scene.cover == 0].mean() > 250, "and nothing else"
        assert mask.max() == 255
        assert len(np.unique(mask)) > 4, "no hard edge"


def test_a_prompt_is_told_as_a_jobs_file_reads_it(tmp_path: Path) -> None:
    """Without spaces around it: a second start knows the pictures of the first."""
    jobs = [Job("a", "a dog", {"awe": 1.0}, 0)]
    [told], _ = arm_jobs(Arm("padded", prompt="{prompt} "), jobs, jobs)
    (tmp_path / "jobs.jsonl").write_text(write_jobs([told]))
    assert read_jobs(tmp_path / "jobs.jsonl", 0) == [told]


def test_an_arm_that_failed_is_not_drawn_against(
    tiny: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three, one has no picture: the others are a line."""
    drawn: list[Any] = []
    monkeypatch.setattr("muse.studies.figures._line", lambda axes, x, *_: drawn.append(x))
    arms = [{"name": name, "options": {"max_iterations": n}} for n, name in enumerate("abc", 1)]
    figures = [{"kind": "against", "option": "max_iterations", "metrics": ["green", "judge"]}]
    save = RunFolder.save

    def fails(self: RunFolder, result: Any, backbone: Any) -> None:
        if self.path.name.startswith("b-"):
            result = replace(result, image=None, failure="no room")
        save(self, result, backbone)

    monkeypatch.setattr(RunFolder, "save", fails)
    file = small(tmp_path / "study.yaml", arms=arms, figures=figures)
    assert tiny(file, "--limit=1") == 1
    assert drawn == [[1.0, 3.0], [1.0, 3.0]]
    assert (tmp_path / "out/figures/figure-1.png").is_file()


def test_pictures_are_described_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muse.studies.figures.CHUNK", 3)
    counts: list[int] = []

    class Counting(IntraClassVariance):
        def describe(self, pictures: Any) -> torch.Tensor:
            counts.append(len(pictures))
            return torch.zeros(len(pictures), 4)

    records = [{"id": str(n), "prompt": "a", "target": {"awe": 1.0}} for n in range(8)]
    files = {record["id"]: tmp_path / f"{record['id']}.png" for record in records}
    for file in files.values():
        paint(file, "awe")
    found: Any = SimpleNamespace(records=records)
    pictures: Any = SimpleNamespace(files=files)
    metric = Counting(ContrastFeatures())
    assert _described(found, pictures, metric, 100, "cpu").shape == (8, 4)
    assert counts == [3, 3, 2]


def test_shipped_prompts_are_those_of_the_package() -> None:
    folder = ROOT / "configs/studies"
    every = [*TEST_KNOWN, *TEST_NEW]
    assert (folder / "prompts40.txt").read_text().splitlines() == every
    assert (folder / "prompts.txt").read_text().splitlines() == every[::4]
    assert (folder / "development.txt").read_text().splitlines() == list(DEVELOPMENT)
    rows = list(csv.DictReader((folder / "development.csv").read_text().splitlines()))
    assert [row["prompt"] for row in rows] == list(DEVELOPMENT)
    assert [row["emotion"] for row in rows] == [WHEEL[i % 8] for i in range(20)]
    assert [int(row["seed"]) for row in rows] == [derive_seed(0, row["prompt"]) for row in rows]


def test_killed_and_started_again_ends_with_the_same_table(
    tiny: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = small(tmp_path / "small.yaml", jobs={"prompts": ["a dog"], "emotions": ["awe", "fear"]})
    assert tiny(file, "--output_dir", str(tmp_path / "whole")) == 0
    saved: list[str] = []
    save = RunFolder.save

    def until_killed(self: RunFolder, result: Any, backbone: Any) -> None:
        if len(saved) == 4:  # in the middle of the third arm
            raise KeyboardInterrupt
        save(self, result, backbone)
        saved.append(f"{self.path.name}/{result.job.id}")

    monkeypatch.setattr(RunFolder, "save", until_killed)
    assert tiny(file) == 130
    assert not (tmp_path / "out/table.md").exists()
    before = list(saved)
    saved.extend([""] * 100)  # kill no more
    assert tiny(file) == 0
    after = saved[104:]
    assert len(before) == 4
    assert len(after) == 1 + 2 + 2 + 2 - 4
    assert not {*before} & {*after}
    assert tables(tmp_path / "out") == tables(tmp_path / "whole")
    head, *rows = tables(tmp_path / "whole")
    operations = {
        row[1]: float(row[head.index("GFLOP")]) for row in rows if row[:1] == ["All 2 jobs"]
    }
    assert 0 < operations["plain"] <= operations["word"] < operations["default"]
    assert operations["default"] < operations["two"]


def test_what_is_done_is_not_even_loaded(
    tiny: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain model makes a picture for each prompt; arms that ask for the same share a run; a
    study of the same jobs, fewer of them, finds them there.
    """
    arms = [{"name": "plain", "emotion": "none"}, {"name": "default"}]
    arms += [{"name": "again"}, {"name": "also plain", "emotion": "none"}]
    file = small(tmp_path / "first.yaml", arms=arms)
    assert tiny(file, "--arms", str(tmp_path / "arms")) == 0
    folders = sorted(path.name for path in (tmp_path / "arms").iterdir() if path.is_dir())
    assert [name.rpartition("-")[0] for name in folders] == ["default", "plain"]
    pictures = [len(list((tmp_path / "arms" / name / "images").iterdir())) for name in folders]
    assert pictures == [4, 2]
    told = (tmp_path / "out/table.md").read_text()
    assert "Arm 'again' is the run of 'default'." in told
    assert "Arm 'also plain' is the run of 'plain'." in told

    def loaded(*folder: Any, **options: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("muse.backbones.pipeline.load_pipeline", loaded)
    second = small(tmp_path / "second.yaml", arms=[{"name": "other name"}])
    where = ["--arms", str(tmp_path / "arms"), "--output_dir", str(tmp_path / "second")]
    assert tiny(second, *where, "--limit", "2") == 0
    found = json.loads((tmp_path / "second/table.json").read_text())
    assert found["arms"][0]["pictures"] == 2
    assert "2 of the 4 jobs" in "".join(found["remarks"])


def test_quick_leaves_out_what_takes_long(tiny: Callable[..., int], tmp_path: Path) -> None:
    arms = [
        {"name": "default"},
        {"name": "published", "evaluations": 6000, "limit": 1},
        {"name": "few", "evaluations": 500, "limit": 1},
    ]
    jobs = {"prompts": ["a dog", "a cat", "a hen"], "emotions": ["awe", "fear", "anger"]}
    file = small(tmp_path / "small.yaml", arms=arms, jobs=jobs, compare="published")
    assert tiny(file, "--quick", "--bundle") == 0
    found = json.loads((tmp_path / "out/table.json").read_text())
    assert [(arm["name"], arm["pictures"]) for arm in found["arms"]] == [("default", 8), ("few", 1)]
    assert "about 6,000 evaluations" in found["remarks"][1]
    assert found["compared_with"] == "default"
    names = set(zipfile.ZipFile(tmp_path / "out/bundle.zip").namelist())
    arms_of = {f"arms/{name}/{file}" for name in ("default", "few") for file in
               ("config.yaml", "records.jsonl")}  # fmt: skip
    tables_of = {
        "table.md",
        "table.csv",
        "table.json",
        "pictures.csv",
        "report.html",
        "study.yaml",
        "machine.json",
    }
    assert names == arms_of | tables_of


def test_a_bundle_has_a_limit(
    tiny: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What finds no room is named; the tables go first."""
    monkeypatch.setattr(bundling, "MOST", 6_000)
    assert tiny(small(tmp_path / "small.yaml"), "--bundle", "--limit", "1") == 0
    archive = tmp_path / "out/bundle.zip"
    assert archive.stat().st_size <= 6_000
    assert "table.md" in zipfile.ZipFile(archive).namelist()
    assert "No room in it for report.html" in capsys.readouterr().out
    with zipfile.ZipFile(archive) as read:
        machine = json.loads(read.read("machine.json"))
    assert machine["arms"]["default"]["pictures"] == 1
    assert machine["arms"]["default"]["devices"] == ["cpu"]
    assert machine["versions"]["torch"]


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        ({"options": {"loss.content_weigth": 1}}, "content_weigth"),
        ({"options": {"timing": "Allways"}}, "Did you mean 'Always'?"),
        ({"config": "nothing.yaml"}, "nothing.yaml"),
        ({"options": {"max_iterations": "many"}}, "max_iterations"),
    ],
)
def test_a_mistake_in_an_arm_is_told_before_anything_is_made(
    arm: dict[str, Any],
    told: str,
    tiny: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = small(tmp_path / "small.yaml", arms=[{"name": "good"}, {"name": "bad", **arm}])
    assert tiny(file) == 2
    line = one_line(capsys)
    assert line.startswith("muse: error: Arm 'bad': ")
    assert told in line
    assert not (tmp_path / "out/arms").exists()
