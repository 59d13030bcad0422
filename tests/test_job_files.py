"""Jobs files: as spreadsheets, people and muse itself write them."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job, derive_seed
from muse.core.types import MuseError
from muse.data import Jobs, plain_twins, read_jobs, write_jobs
from muse.data.jobs import cross

PLAIN = 'prompt,emotion,seed\na park,awe,5\nthe fair,"awe:0.7,fear:0.3",\n'
WANTED = [
    Job("a-park-awe", "a park", {"awe": 1.0}, 5),
    Job("the-fair-awe70-fear30", "the fair", {"awe": 0.7, "fear": 0.3}, derive_seed(0, "the fair")),
]


def read(folder: Path, text: str | bytes, name: str = "jobs.csv", **options: object) -> list[Job]:
    """The jobs in a file with this content."""
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    return read_jobs(folder / name, 0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        ("\ufeff" + PLAIN).encode("utf-16-be"),
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("\n", ",,\n").replace("seed,,", "seed"),
        PLAIN.replace("\n", "\n,,,\n \n"),
        "\n,,\n" + PLAIN,
        PLAIN.replace("prompt,emotion,seed", "Prompt, EMOTION ,Seed"),
        PLAIN.replace(",5", ",5.0"),
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", ";").replace("7;f", "7,f"),
        PLAIN.replace(",", ";").replace("7;f", "7,f").replace(";5", ";5,00").replace("\n", ";\n"),
        PLAIN.replace(",", "\t").replace("7\tf", "7,f"),
    ],
)
def test_what_spreadsheets_write(tmp_path: Path, text: str | bytes) -> None:
    assert read(tmp_path, text) == WANTED
    assert read(tmp_path, text, "JOBS.CSV") == WANTED
    assert read(tmp_path, text, "unicode text.txt") == WANTED


def test_the_file_in_the_docs(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "jobs.md").read_text()
    [text] = re.findall(r"```\n(prompt.*?)```", page, re.DOTALL)
    assert [job.prompt for job in read(tmp_path, text)] == [
        "a dog in a park",
        *["a horse, at noon"] * 3,
    ]


def test_a_line_break_in_quotes_is_white_space(tmp_path: Path) -> None:
    text = 'prompt,emotion\n"a dog\nin a park",awe\n"a dog \r\n\r\n in a fair\n","awe"\n'
    assert [job.prompt for job in read(tmp_path, text)] == ["a dog in a park", "a dog in a fair"]


def test_jsonl_in_any_case(tmp_path: Path) -> None:
    text = '{"Prompt": "a park", "emotion": "awe", "SEED": 5.0}\n'
    assert read(tmp_path, text, "Jobs.JSONL") == WANTED[:1]


def test_a_prompt_a_line(tmp_path: Path) -> None:
    """With every emotion: the same jobs as from lists."""
    emotions = ["awe", {"awe": 1, "fear": 1}]
    wanted = cross(["a park, by day: bright", '"{x}" fair'], emotions, 0, 2)
    for name in ("a.txt", "b.TXT"):
        text = 'a park, by day: bright\r\n\n "{x}" fair '
        assert read(tmp_path, text, name, emotions=emotions, count=2) == wanted
    assert Jobs(str(tmp_path / "a.txt"), emotions="fear").jobs[1].target == {"fear": 1.0}


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("prompt,emotion,image\na park,awe,a.png\n", ["a park"]),
        ("\nEmotion;Image;Prompt\nawe;a.png;a park\n", ["a park"]),
        ('{"prompt": "a park", "emotion": "awe", "image": "a.png"}\n', ["a park"]),
        ("a park, emotion\nthe fair\n", ["a park, emotion", "the fair"]),
    ],
)
def test_standard_input_is_told_by_its_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, prompts: list[str]
) -> None:
    """Its pictures are relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8-sig"))))
    data = Jobs("-", emotions=["awe"])
    assert data.from_stdin
    assert [job.prompt for job in data.jobs] == prompts
    assert data.jobs[0].image == ((tmp_path / "a.png").resolve() if "png" in text else None)


def test_mistakes_in_standard_input_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"prompt,emotin\na,awe\n")))
    with pytest.raises(MuseError, match="standard input, line 1: the header is 'prompt,emotin'"):
        Jobs("-", emotions=["awe"])


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("image", "iVBOR" * 100, r"no path \(File name too long\)"),
        ("image", "data:image/png;base64," + "iVBOR" * 100, "no picture at 'data.{56} ...'"),
        ("mask", "a\0.png", r"the mask 'a\\x00.png' is no path"),
        ("size", "\u00b2x\u00b2", "is not one. Give height and width"),
        ("guidance_scale", "nan", "guidance_scale 'nan' is not allowed. Use a finite number"),
        ("guidance_scale", "-inf", "is not allowed"),
        ("guidance_scale", 10**400, "is not a number"),
    ],
)
def test_values_that_only_look_right(tmp_path: Path, column: str, value: object, told: str) -> None:
    line = json.dumps({"prompt": "a park", "emotion": "awe", column: value})
    with pytest.raises(MuseError, match=rf"line 1: .*{told}"):
        read(tmp_path, line, "jobs.jsonl")


def test_count_adds_pictures_and_changes_none(tmp_path: Path) -> None:
    head, rows = "id,prompt,emotion,seed,count\n", ("dog,a dog,awe,,", ",a park,awe,5,", ",a,awe,,")
    before = read(tmp_path, head + "\n".join(rows))
    counted = (rows[0] + "3", rows[1] + "2.0", rows[2])
    after = read(tmp_path, head + "\n".join(counted))
    names = ["dog", "dog-2", "dog-3", "a-park-awe", "a-park-awe-2", "a-awe"]
    assert [job.id for job in after] == names
    assert [job for job in after if job in before] == before
    assert len({job.seed for job in after}) == 6
    more = {job.id: job for job in read(tmp_path, head + "\n".join(rows), count=5)}
    assert len(more) == 15
    assert [more[job.id] for job in after] == after
    assert more["dog-2"].seed == derive_seed(before[0].seed, "picture 2")
    assert len(plain_twins(after).jobs) == 6


def test_copies_leave_others_their_names(tmp_path: Path) -> None:
    text = "id,prompt,emotion,count\na,x,awe,3\na-2,y,awe,\n,z,awe,2\n,z,awe,2\n"
    wanted = ["a", "a-3", "a-4", "a-2", "z-awe", "z-awe-3", "z-awe-2", "z-awe-2-2"]
    assert [job.id for job in read(tmp_path, text)] == wanted


def test_emotions_of_a_prompt_share_the_seed_of_each_copy() -> None:
    jobs = cross(["a park"], ["awe", "fear"], 0, 3)
    assert [job.seed for job in jobs[:3]] == [job.seed for job in jobs[3:]]
    assert len(plain_twins(jobs).jobs) == 3
    assert Jobs(prompts="a park", emotions=["awe", "fear"], count=3).jobs == jobs
    with pytest.raises(MuseError, match="count 0 is out of range"):
        Jobs(prompts="a park", emotions="awe", count=0)


def test_equal_rows_are_remarked_on(tmp_path: Path) -> None:
    file, row = tmp_path / "jobs.csv", ",a park,awe,\n"
    file.write_text("id,prompt,emotion,seed\n" + row * 3 + "b,a park,awe,\n,a park,awe,5\n")
    [told] = Jobs(str(file)).notes
    assert told.startswith("'a-park-awe-2' is the same picture as 'a-park-awe' (and 1 more like")
    file.write_text("id,prompt,emotion,seed,count\n,a park,awe,,2\n,a park,awe,5,\n")
    assert list(Jobs(str(file)).notes) == []


def test_lists_are_remarked_on_and_texts_are_not() -> None:
    def notes(prompts: str | list[str], emotions: str | list[str | dict[str, float]]) -> list[str]:
        return list(Jobs(prompts=prompts, emotions=emotions).notes)

    assert notes("a dog, masterpiece", "awe:0.7,fear:0.3") == notes(["[a]"], ["awe"]) == []
    assert notes("[a] dog", [{"awe": 1, "fear": 1}]) == []
    [told] = notes(["a", "b" * 50, "c", "d"], ["awe", "fear"])
    assert told == f"Read 4 prompts: 'a', '{'b' * 37}...', 'c' and 1 more."
    [told] = notes("a", [{"awe": 0.7}, "fear"])
    [told] = notes("a", ["awe:0.7", "fear:0.3"])
    assert told.startswith("Emotion 'awe:0.7' stands alone, where its weight does nothing.")
    for unread in ("[a, b", "[a: b]"):
        with pytest.raises(MuseError, match="is no list of texts"):
            notes(unread, "awe")
    with pytest.raises(MuseError, match="'awe, fear' is not one emotion"):
        notes("a", "awe, fear")


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120).filter(str.strip)
ROWS = st.tuples(TEXTS, st.sampled_from(EMOTIONS), st.integers(1, 3))


@given(st.lists(ROWS, min_size=1, max_size=4), st.integers(0, 2**31))
def test_jobs_are_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int]], seed: int
) -> None:
    """Long names, names with a number, any line break of Unicode: ids and seeds stay."""
    made = (job for text, name, count in rows for job in cross([text], [name], 3, count))
    jobs = {job.id: job for job in made}
    file = tmp_path_factory.getbasetemp() / "back.jsonl"
    file.write_bytes(write_jobs(list(jobs.values())).encode())
    assert read_jobs(file, seed) == list(jobs.values())


def test_a_picture_is_found_again_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "else").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    jobs = read(tmp_path, "prompt,emotion,image,count\na park,awe,a.png,2\n")
    monkeypatch.chdir(tmp_path / "else")
    assert read(tmp_path / "else", write_jobs(jobs), "jobs.jsonl") == jobs
