"""What the README shows must run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from muse.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    quick = BLOCKS[1].replace('emotion="awe"', 'emotion="awe", num_inference_steps=12')
    assert quick != BLOCKS[1]
    exec(compile(quick, "README.md", "exec"), found := {})
    with Image.open("dog.png") as picture:
        assert picture.size == (128, 128)
    assert found["made"].start_steps[0] is not None, "it was steered"


def test_the_toy_from_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/toy.md").read_text(), re.DOTALL)
    exec(compile(block, "toy.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 32
    # identical prompts, 32 seeds: nearly all on target
    assert sum(float(line.split()[1]) > 0.5 for line in lines) >= 30


def test_own_part_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_timing.py").write_text(BLOCKS[0])
    words = ["--config", str(ROOT / "configs/toy.yaml"), "--output_dir", "run", "--data.limit=1"]
    assert main(["fit-free", *words, "--model.timing", "my_timing.Late"]) == 0


COMMANDS = [
    command
    for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    for command in line.split(" && ")
    if re.match("muse (fit-free|generate|edit) ", command) and "jobs.csv" not in command
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main([*shlex.split(command)[1:], "--print_config"]) == 0
    assert "class_path: muse.backbones." in capsys.readouterr().out


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may end in, as GitHub and MyST make it."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(page: Path) -> list[str]:
    """The links of a page to files, or headings in them, that aren't there."""
    found = []
    for name, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", page.read_text()):
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(f"{page.relative_to(page.parents[1])} names {name}#{anchor}")
    return found


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


def test_every_file_that_the_docs_name_is_there() -> None:
    assert [line for page in PAGES for line in broken(page)] == []


def test_a_broken_link_shows(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `thing`, two\n[a](page.md#one-thing-two) [b](#one) [c](no.md) ![](d.png)"
    )
    assert [line.rpartition(" ")[2] for line in broken(page)] == ["#one", "no.md#", "d.png#"]
