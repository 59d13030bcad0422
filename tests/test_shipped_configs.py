"""The example configurations are in the package, and are found in any folder."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from muse.cli import main
from muse.presets import PRESETS
from muse.presets.examples import FOLDER, example, examples
from muse.studies import Study

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "muse"


def in_the_wheel() -> set[Path]:
    """The files that are not Python's, by the declaration that setuptools reads."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = declared["tool"]["setuptools"]["package-data"]["muse"]
    found = {path for pattern in patterns for path in PACKAGE.glob(pattern) if path.is_file()}
    return {path.relative_to(PACKAGE) for path in found}


def test_wheel_has_every_file_of_the_package() -> None:
    there = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert there - in_the_wheel() == set()
    wanted = ("quickstart.yaml", "studies/prompts.txt", "studies/sd15/table1.yaml")
    assert {Path("configs") / name for name in wanted} <= in_the_wheel()


def test_every_configuration_that_people_are_sent_to_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").iterdir()]
    pages += [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.md"), *PACKAGE.rglob("*.yaml")]
    named = {
        name
        for page in pages
        if page.is_file()
        for name in re.findall(r"\bconfigs/[\w/]+\.(?:yaml|txt|csv)", page.read_text())
    }
    assert len(named) > 20
    assert [name for name in named if example(name) is None] == []


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main([*words, "--print_config"]) == 0
    said = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(said, dict)
    return said


def test_names_and_paths_work_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, path in (("toy", "configs/toy.yaml"), ("quickstart", "./configs/quickstart.yaml")):
        by_name = printed(capsys, "fit-free", "--config", name)
        assert by_name["output_dir"] == f"outputs/{name}"
        assert printed(capsys, "fit-free", f"--config={path}") == by_name
    assert "model" in printed(capsys, "fit", "--config", "configs/mini/content.yaml")
    words = ["--config", "toy", "--output_dir", "run", "--data.limit=1", "--model.steps=4"]
    assert main(["fit-free", *words]) == 0
    assert len(list(Path("run/images").iterdir())) == 1


def test_a_file_that_is_here_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    for name in ("toy", "configs/toy.yaml"):
        Path(name).write_text("output_dir: mine\n")
        assert printed(capsys, "fit-free", "--config", name)["output_dir"] == "mine"


def test_names_mean_one_thing() -> None:
    assert not {*examples()} & {*PRESETS}
    assert example("studies/table1") is None
    assert example("table1", "studies") == FOLDER / "studies/table1.yaml"
    assert example(str(ROOT / "configs/toy.yaml")) is None
    assert example("") is None


def test_studies_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("table1", "configs/studies/sd15/table1.yaml"):
        assert main(["study", name, "--limit=0"]) == 2
        assert "--limit 0 is not allowed" in capsys.readouterr().err, "the file was read"
    own = tmp_path / "own.yaml"
    own.write_text("base: sd15\njobs: {prompts: [a dog]}\narms: [{name: one}, {name: two}]\n")
    assert Study.read(own).arms[0].config == (str(FOLDER / "sd15.yaml"),)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["generate", "a park", "--config", "quikstart"], "Did you mean 'quickstart'?"),
        (["fit-free", "--config", "nosuch"], "an example (flux, "),
        (["fit-free", "--config", "configs/no.yaml"], "does not exist"),
    ],
)
def test_names_of_nothing_are_told_in_one_line(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert told in line
