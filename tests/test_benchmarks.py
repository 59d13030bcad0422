"""Benchmarks that choose and compare: what they make of small cases."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from benchmarks import equal, rising, transfer

ROOT = Path(__file__).parent.parent


def test_the_best_strength_within_the_arithmetic() -> None:
    def row(content: float, score: float, gflop: float) -> dict[str, float]:
        return {"EC-A": content, "Emo-S": score, "GFLOP": gflop}

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
    rules = {name: transfer.RULES[name] for name in ("Adam 0.2", "Polyak")}
    monkeypatch.setattr(transfer, "RULES", rules)
    file = tmp_path / "found.csv"
    file.write_text("small,Adam 0.2,0.5,0.25,1,0.4,12\n")
    transfer.transfer(["small"], file=file)
    with file.open(newline="") as lines:
        rows = list(csv.reader(lines))
    assert [row[:2] for row in rows] == [["small", "Adam 0.2"], ["small", "Polyak"]]
    assert rows[0][2:] == ["0.5", "0.25", "1", "0.4", "12"]
    reached, p = float(rows[1][2]), float(rows[1][5])
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("| small | Adam 0.2 | 50% | 25% | 100% | 12 | Adam 0.2: 1.00, 1.00, ")
    assert f"Polyak: {reached / 0.5:.2f}, {p / 0.4:.2f}, " in told


def test_what_rises_and_what_falls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two prompts one rises at every level and one falls at the last."""
    lines = ["arm,prompt,target,judge: p_target,thing,place"]
    lines += [f"{level},a dog,awe,{level},1,{1 - level / 2}" for level in (0, 0.5, 1)]
    lines += [f"{level},a cat,awe,{p},1,1" for level, p in ((0, 0.2), (0.5, 0.9), (1, 0.1))]
    (tmp_path / "pictures.csv").write_text("\n".join(lines))
    found = rising.read(tmp_path, "judge: p_target")
    assert rising.correlations(found) == {
        "a dog": pytest.approx(1, abs=1e-4),
        "a cat": pytest.approx(-0.5, abs=1e-4),
    }
    assert rising.falls(found, "awe") == []
    alone = {level: {key: p for key, p in of.items() if key[0] == "a cat"}
             for level, of in found.items()}  # fmt: skip
    assert rising.falls(alone, "awe") == ["1"]
    rising.main(tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert "| awe | 0.100 | 0.700 | 0.550 | none |" in told
    assert "Spearman a prompt: median 0.25, least -0.50" in told
    assert "place kept, of level 0's: 100.0% 87.5% 75.0%" in told
