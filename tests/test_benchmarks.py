"""Benchmarks that choose and compare: what they make of small cases."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from benchmarks import blind, equal, occupancy, rising, steps, transfer
from muse.backbones import StableDiffusion
from muse.backbones.toy.mixture import CONTENTS
from muse.core.types import Node
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import DDIM, Always, ClipThreshold
from muse.steering import LineSearch, TextShift, TokenOptimization
from tests.study_parts import Brightness, ByColour

ROOT = Path(__file__).parent.parent


def test_the_best_strength_within_the_arithmetic() -> None:
    def row(content: float, score: float, gflop: float) -> dict[str, float]:
        return {"EC-A": content, "Emo-S": score, "GFLOP": gflop}

    with pytest.raises(SystemExit, match="'default' has no GFLOP"):
        equal.chosen({"default": row(1, 1, float("nan"))})
    table = {
        "default": row(0.9, 0.8, 100),
        "ug, w 1": row(0.5, 0.4, 80),
        "ug, w 6": row(0.8, 0.4, 109),
        "ug, w 9": row(0.8, 0.5, 109),
        "ug, w 50": row(1.0, 1.0, 111),
        "noise, n 9": row(0.9, 0.9, 900),
        "noise, n 3": row(0.1, 0.1, 300),
    }
    assert equal.chosen(table) == {"ug": "ug, w 9", "noise": "noise, n 3"}
    assert equal.chosen(table, slack=1.2)["ug"] == "ug, w 50"


def test_it_reads_a_studys_own_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = [{"name": name} for name in equal.COLUMNS]
    cells = {
        "default": [{"mean": 0.5}] * 5,
        "ug, w 6": [{"mean": 0.25}, None, *[{"mean": 0.5}] * 3],
    }
    said = {"tables": [{"columns": columns, "rows": cells}]}
    (tmp_path / "table.json").write_text(json.dumps(said))
    equal.main(tmp_path)
    _, _, first, second = capsys.readouterr().out.splitlines()
    assert first == "| default | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 |"
    assert second == "| ug, w 6 * | 0.25 | nan | 0.5 | 0.5 | 0.5 |"


def test_the_frontier_has_strengths_of_each_method() -> None:
    said = yaml.safe_load((ROOT / "configs/studies/frontier.yaml").read_text())
    names = [arm["name"] for arm in said["arms"] if ", " in arm["name"]]
    assert len({name.partition(", ")[0] for name in names}) >= 9


def test_a_case_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the toy, few steps, two rules: a line for each in the file; one that is there is kept."""
    case = transfer.toy(flow=False)
    case.parts["steps"], case.jobs = 4, case.jobs[:4]
    monkeypatch.setitem(transfer.CASES, "small", lambda count: case)
    file = tmp_path / "found.csv"
    file.write_text("small,Adam 0.1,20,0.5,0.25,1,0.4,12\nsmall,Polyak,5,1,1,1,1,1\n")
    transfer.transfer(["small"], ["Adam 0.1", "Polyak"], file=file)
    with file.open(newline="") as lines:
        rows = list(csv.reader(lines))
    assert [row[:3] for row in rows[1:]] == [["small", "Polyak", "5"], ["small", "Polyak", "20"]]
    assert rows[0][3:] == ["0.5", "0.25", "1", "0.4", "12"]
    reached, p = float(rows[2][3]), float(rows[2][6])
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("| small | Adam 0.1 | 50% | 25% | 100% | 12 | Adam 0.1: 1.00, 1.00, ")
    assert f"Polyak: {reached / 0.5:.2f}, {p / 0.4:.2f}, " in told


def test_rules_are_set_beside_the_best_of_adams_rates(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = {"Adam 0.1": 0.25, "Adam 0.2": 0.5, "Polyak": 1.0}
    found = {rule: transfer.Row(reached, 0, 0, reached, 1) for rule, reached in rows.items()}
    transfer.show({"case": found})
    told = capsys.readouterr().out
    assert told.startswith("| case | Adam 0.2 | 50% |")
    assert "Adam 0.1: 0.50, 0.50, " in told
    assert "Polyak: 2.00, 2.00, " in told
    transfer.show({"case": {"Polyak": found["Polyak"]}})
    assert capsys.readouterr().out == "| case | no rate of Adam is made yet |\n"


def toy_parts(name: str = "default", **more: Any) -> dict[str, Any]:
    """In the place of a preset: the toy, steered from the first of six steps to the last."""
    parts = {**transfer.toy(flow=False).parts, "timing": Always(), "steps": 6}
    return {**parts, "steering": TextShift(), **more}


def test_step_rules_go_down_from_frozen_states(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the toy: a line for each search, from states that the sampler searches."""
    work = transfer.toy(flow=False).jobs[:3]
    monkeypatch.setattr(steps, "preset", toy_parts)
    monkeypatch.setattr(steps, "jobs", lambda: work)
    every = steps.searches()
    assert {search.units for search in every.values()} == {"whole", "dimensions"}
    names = "Adam 0.2", "Polyak 0.2", "LineSearch 0.2", "Polyak 0.2, dimensions"
    few = {name: every[name] for name in names}
    monkeypatch.setattr(steps, "searches", lambda: few)
    made: list[Sampler] = []
    monkeypatch.setattr(steps, "Sampler", lambda **parts: made.append(Sampler(**parts)) or made[-1])
    steps.steps(states=15, evaluations=2)
    told = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in told.splitlines()[-4:]] == [f"| {n}" for n in few]
    assert not any(part.training for part in made[0].modules())  # batch norms read rows apart
    with monkeypatch.context() as patch:
        patch.setattr(steps, "TOLERANCE", float("-inf"))
        asks = steps.frozen(made[0], work[0])
        assert [ask.step for ask in asks][::4] == [0, 5]
    asks = [ask for job in work for ask in steps.frozen(made[0], job)]
    assert told.startswith(f"{len(asks)} states. Six steps of Adam 0.2: ")
    steps.steps(states=5, evaluations=2, by_line=True)
    line = made[-1]
    assert isinstance(line.answers.steering, TextShift)
    assert isinstance(line.answers.steering.stepper, LineSearch)
    assert line.setup.search.max_iterations == 10
    losses = steps.descended(made[0], asks, few["LineSearch 0.2"], 3, 2)
    assert losses.shape == (len(asks), 4)
    assert (losses[:, 0] > steps.TOLERANCE).all()
    assert (losses.diff(dim=1) <= 0).all()  # every step was tried


@torch.no_grad()
def test_a_stretched_text_is_the_same_plain_model(tiny_folder: Callable[[str], Path]) -> None:
    made = Sampler(**tiny_parts(tiny_folder))
    backbone, node = made.backbone, Node.stack([made.setup.grid[0]])
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def told() -> tuple[torch.Tensor, torch.Tensor]:
        cond = backbone.embed(["a dog"], (16, 16))
        return cond["tokens"], backbone.denoise(x, node, cond).eps

    text, before = told()
    steps.stretched(made)
    stretched, after = told()
    factors = (stretched / text).mean((0, 1))
    assert factors.max() / factors.min() > 10
    assert torch.allclose(after, before, atol=1e-4)


def tiny_parts(tiny_folder: Callable[[str], Path], **more: Any) -> dict[str, Any]:
    """In the place of a preset: a tiny Stable Diffusion, two steps of it."""
    return {
        "backbone": StableDiffusion(str(tiny_folder("sd"))),
        "guide": ByColour(),
        "similarity": Brightness(),
        "steering": TokenOptimization(lr=0.2),
        "timing": ClipThreshold(-100.0),
        "loss": MultiEmotionLoss(),
        "latents": GaussianNoise(),
        "steps": 2,
        "size": (16, 16),
        "guidance_scale": 2.0,
        "max_iterations": 1,
        "longest_rest": 0,
        "look_until": 1.0,
        "scheduler": DDIM(),
        **more,
    }


def test_the_waterfall_has_a_line_for_each_lever(
    tiny_folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a tiny model, once each: the references, muse, and what `default` has otherwise."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))  # it is run as a file
    waterfall = importlib.import_module("waterfall")
    parts = tiny_parts(tiny_folder)
    counted = waterfall.arithmetic(Sampler(**parts))
    monkeypatch.setattr(waterfall, "arithmetic", lambda sampler: counted)
    monkeypatch.setattr(waterfall, "preset", lambda name, without=frozenset(): dict(parts))
    waterfall.waterfall(pictures=2, slow=1, repeats=1, lockstep=False, device="cpu")
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    names = [row[0] for row in rows[2:]]
    assert [name[:2] for name in names[:4]] == ["pl", "R0", "R1", "R2"]
    assert names[4:6] == ["muse, one at a time", "muse, 8 together"]
    assert names[6:] == [f"+ {lever}" for lever in waterfall.LEVERS]
    assert len({row[4] for row in rows[6:]}) == 1, "the same gradients, however many together"


def test_how_full_calls_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One picture in two slots fills half of every call."""
    parts = toy_parts(guidance_scale=1.0)  # one branch: a row in a call is a picture
    monkeypatch.setattr(occupancy, "preset", lambda name: parts)
    monkeypatch.setattr(occupancy, "DEVELOPMENT", [f"a walk in the {place}" for place in CONTENTS])
    occupancy.occupancy(jobs=1, slots=2, steps=3)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "all: 50% full, 100% of the time"
    assert any(line.startswith("Evaluate: 50% full") for line in told[1:])


def test_what_rises_and_what_falls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two prompts one rises at every level and one falls at the last."""
    lines = ["arm,prompt,target,judge: p_target,thing,place"]
    lines += [f"{level},a dog,awe,{level},1,{1 - level / 2}" for level in (0, 0.5, 1)]
    lines += [f"{level},a cat,awe,{p},1,1" for level, p in ((0, 0.2), (0.5, 0.9), (1, 0.1))]
    (tmp_path / "pictures.csv").write_text("\n".join(lines))
    found = rising.read(tmp_path, "judge: p_target")
    assert rising.correlations(found, itemgetter(0)) == pytest.approx([-0.5, 1], abs=1e-4)
    # the mean of both prompts is 0.1, 0.7, 0.55
    assert rising.correlations(found, itemgetter(1)) == pytest.approx([0.5], abs=1e-4)
    assert rising.falls(found, "awe") == []
    falling = {
        level: {(name, "awe"): of["a cat", "awe"] for name in ("a cat", "a lion")}
        for level, of in found.items()
    }
    assert rising.falls(falling, "awe") == ["1"]
    rising.main(tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert "| awe | 0.100 | 0.700 | 0.550 | none |" in told
    assert "Spearman of a prompt's mean: median 0.25, least -0.50" in told
    assert "Spearman of a picture's: median 0.25, least -0.50" in told
    assert "place kept, of level 0's: 100.0% 87.5% 75.0%" in told


def run_of(folder: Path, colours: dict[str, str]) -> Path:
    """A run's folder as far as blind sheets read it: `colours` are id -> the picture's."""
    for part in ("images", "records"):
        (folder / part).mkdir(parents=True)
    for number, (name, colour) in enumerate(colours.items()):
        Image.new("RGB", (16, 16), colour).save(folder / "images" / f"{name}.png")
        prompt = ("a dog in a park", "a cat on a beach")[number % 2]
        record = {"schema": 1, "id": name, "prompt": prompt, "target": {"awe": 1.0}}
        record |= {"status": "done"}
        (folder / "records" / f"{name}.json").write_text(json.dumps(record))
    return folder


def answered(folder: Path, lines: list[str]) -> Path:
    (folder / "answers.csv").write_text("\n".join(lines))
    return folder / "answers.csv"


def test_blind_viewers_name_what_they_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path / "run", {"a": "red", "b": "blue", "c": "green"})
    blind.name(run, tmp_path / "out", rows=1)
    key = list(csv.DictReader((tmp_path / "out/key.csv").read_text().splitlines()))
    assert sorted(row["id"] for row in key) == ["a", "b", "c"]
    seen = Image.open(tmp_path / "out/sheet-1.png")
    for index, row in enumerate(key):  # the picture of a number stands at its place
        middle = seen.getpixel((16 + index * 276 + 128, 16 + 24 + 128))
        assert middle == Image.open(run / "images" / f"{row['id']}.png").getpixel((0, 0))
    dog = next(row for row in key if row["thing"] == "dog")
    cat = next(row for row in key if row["thing"] == "cat")
    lines = [
        "number,thing,place,mood",
        f"{dog['number']},dog,park,Awe ",
        f"{cat['number']},dog,,awe",
    ]
    blind.score(tmp_path / "out/key.csv", answered(tmp_path, lines))
    told = capsys.readouterr().out.splitlines()
    assert told == ["thing: 1 of 2", "place: 1 of 1", "mood: 2 of 2"]


def test_blind_viewers_choose(tmp_path: Path) -> None:
    names = {str(i): "red" for i in range(12)}
    old, new = (
        run_of(tmp_path / "old", names),
        run_of(tmp_path / "new", dict.fromkeys(names, "blue")),
    )
    blind.choose(old, new, tmp_path / "out", size=8)
    key = list(csv.DictReader((tmp_path / "out/key.csv").read_text().splitlines()))
    assert {row["left"] for row in key} == {str(old), str(new)}, "by chance"
    seen = Image.open(tmp_path / "out/sheet-2.png")  # the ninth pair comes first
    colours = {str(old): (255, 0, 0), str(new): (0, 0, 255)}
    assert seen.getpixel((16 + 128, 16 + 24 + 128)) == colours[key[8]["left"]]
    assert seen.getpixel((16 + 260 + 128, 16 + 24 + 128)) == colours[key[8]["right"]]
    blue = ["left" if row["left"] == str(new) else "right" for row in key]
    answers = [{"number": str(i), "choice": side} for i, side in enumerate(blue, start=1)]
    assert blind.scored(key, answers) == {str(new): (12, 12), str(old): (0, 12)}
