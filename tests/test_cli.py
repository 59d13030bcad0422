"""The command line, as a person uses it: whole runs, and every mistake in one line."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from muse.cli import COMMANDS, main
from muse.sampling import Sampler

ROOT = Path(__file__).parent.parent
TOY = str(ROOT / "configs" / "toy.yaml")
SHORT = ["--model.steps", "12", "--model.max_iterations", "1", "--model.timing", "Always"]


def fit_free(folder: Path, *words: str) -> int:
    """Run a short toy job."""
    return main(["fit-free", "--config", TOY, "--output_dir", str(folder), *SHORT, *words])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a mistake was told in."""
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1, told
    assert told[0].startswith("muse: error: ")
    return told[0]


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run: two prompts, two emotions."""
    folder = tmp_path_factory.mktemp("toy") / "run"
    words = ["--data.prompts=[a park,the forest]", "--data.emotions=[awe,'fear:0.5,awe:0.5']"]
    assert fit_free(folder, *words) == 0
    return folder


def test_help_and_version_come_without_torch() -> None:
    code = (
        "import sys; from muse.cli import main; "
        "assert main(['--help']) == 0 and main(['--version']) == 0 and main([]) == 2; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    module = [sys.executable, "-m", "muse", "--help"]
    asked = subprocess.run(module, capture_output=True, text=True, check=True)
    assert asked.stdout in done.stdout
    for name, (_, line) in COMMANDS.items():
        assert name in done.stdout
        assert line in done.stdout


def test_run_leaves_the_whole_folder(toy_run: Path) -> None:
    names = {path.name for path in toy_run.iterdir()}
    assert names == {
        "config.yaml",
        "jobs.jsonl",
        "settings.json",
        "images",
        "plain",
        "records",
        "plain_records",
        "results.csv",
        "contact_sheet.png",
        "traces.png",
        "samples.png",
    }
    assert len(list((toy_run / "images").glob("*.png"))) == 4
    assert len(list((toy_run / "plain").glob("*.png"))) == 2
    rows = list(csv.DictReader((toy_run / "results.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["done"] * 4
    assert not list(toy_run.rglob(".*"))


def test_records_say_how_a_picture_came_to_be(toy_run: Path) -> None:
    record = json.loads((toy_run / "records" / "a-park-awe.json").read_text())
    assert record["schema"] == 1
    assert record["target"] == {"awe": 1.0}
    assert record["start_step"] == 0
    assert record["inherent"] != "awe"
    assert len(record["iterations"]) == 12
    evaluations = sum(record["iterations"]) + 12
    assert {len(column) for column in record["trace"].values()} == {evaluations}
    assert sum(record["probabilities"].values()) == pytest.approx(1)
    assert sum(record["plain_probabilities"].values()) == pytest.approx(1)
    with Image.open(toy_run / "images" / "a-park-awe.png") as picture:
        assert picture.text["prompt"] == "a park"  # type: ignore[attr-defined]
        assert picture.text["config_digest"] == record["config_digest"]  # type: ignore[attr-defined]


def test_dumped_config_makes_the_same_pictures(
    toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    again = tmp_path / "again"
    words = ["--config", str(toy_run / "config.yaml"), "--output_dir", str(again)]
    assert main(["fit-free", *words]) == 0
    for picture in toy_run.glob("*/*.png"):
        assert (again / picture.relative_to(toy_run)).read_bytes() == picture.read_bytes()
    first, second = (
        yaml.safe_load((folder / "config.yaml").read_text()) for folder in (toy_run, again)
    )
    assert first | {"output_dir": ""} == second | {"output_dir": ""}


def test_another_run_needs_a_word_to_take_its_folder(
    toy_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in toy_run.rglob("*.png")}
    words = ["--data.prompts=[the fair]", "--data.emotions=[awe]", "--model.tolerance=0.5"]
    assert fit_free(toy_run, *words) == 2
    told = one_line(capsys)
    assert "holds another run (4 pictures): tolerance was 0.0001, is 0.5. Choose" in told
    assert before == {path: path.read_bytes() for path in toy_run.rglob("*.png")}


def test_overwrite_replaces_the_other_run(tmp_path: Path) -> None:
    assert fit_free(tmp_path, "--data.prompts=[a park]", "--data.emotions=[awe]") == 0
    (tmp_path / "mine.txt").write_text("keep")
    words = ["--data.prompts=[the fair]", "--data.emotions=[awe]", "--model.overwrite=true"]
    assert fit_free(tmp_path, *words, "--model.tolerance=0.5") == 0
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["the-fair-awe.png"]
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_jobs_from_files(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(
        'id,prompt,emotion,seed\nfirst,a park,awe,5\n,the fair,"fear:0.3,awe:0.7",\n'
    )
    (tmp_path / "jobs.jsonl").write_text(
        '{"id": "first", "prompt": "a park", "emotion": "awe", "seed": 5}\n\n'
        '{"prompt": "the fair", "emotion": {"fear": 0.3, "awe": 0.7}}\n'
    )
    for name in ("csv", "jsonl"):
        assert fit_free(tmp_path / name, "--data.jobs", str(tmp_path / f"jobs.{name}")) == 0
    records = [
        (tmp_path / name / "jobs.jsonl").read_text().splitlines() for name in ("csv", "jsonl")
    ]
    assert records[0] == records[1]
    assert json.loads(records[0][0]) == {
        "id": "first",
        "prompt": "a park",
        "emotion": {"awe": 1.0},
        "seed": 5,
    }


def test_limit_takes_the_first_jobs(tmp_path: Path) -> None:
    assert fit_free(tmp_path, "--data.limit", "1") == 0
    assert len(list((tmp_path / "records").iterdir())) == 1


def test_a_part_from_a_file_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_timing.py").write_text(
        "from muse.schedulers import TimingPolicy\n\n"
        "class Late(TimingPolicy):\n"
        '    """Steer at the end."""\n\n'
        "    def __init__(self, last: int = 3) -> None:\n"
        "        super().__init__()\n"
        "        self.last = last\n\n"
        "    def forward(self, state, moment):\n"
        "        return moment.step >= moment.steps - self.last, state\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["--data.limit=1", "--model.timing=late_timing.Late", "--model.timing.last=2"]
    assert fit_free(tmp_path / "run", *words) == 0
    [record] = (tmp_path / "run" / "records").iterdir()
    assert json.loads(record.read_text())["start_step"] == 10


def test_a_guide_of_other_labels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_guide.py").write_text(
        "from muse.backbones import BayesGuide\n\n"
        "class Joyful(BayesGuide):\n"
        '    """A guide with another class."""\n\n'
        "    def __init__(self) -> None:\n"
        "        super().__init__()\n"
        "        self.labels = ('joy', *self.labels[1:])\n"
    )
    monkeypatch.chdir(tmp_path)
    assert fit_free(tmp_path / "run", "--model.guide=my_guide.Joyful") == 2
    assert "missing amusement; unknown joy" in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_config_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit-free", "--config", TOY, "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["timing"]["class_path"] == "muse.schedulers.ClipThreshold"
    assert printed["model"]["timing"]["init_args"]["eta"] == 60


def test_components_are_listed_without_torch() -> None:
    """It is the first thing that a user tries: imports would take ten seconds of it."""
    code = (
        "import sys; from muse.cli import main; main(['components']); "
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"


def test_components_lists_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components"]) == 0
    listing = capsys.readouterr().out
    for name in ("GaussianMixture", "SimEmo", "TokenOptimization", "ClipThreshold", "HOW"):
        assert name in listing
    assert main(["components", "timing"]) == 0
    assert "SimEmo" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data.emotions=[joy]"], "Unknown emotion 'joy'. Allowed: amusement"),
        (["--data.emotions=[ange]"], "Did you mean 'anger'?"),
        (["--data.emotions=['awe:-1,fear:2']"], "weight -1 is not allowed"),
        (["--data.emotions=['awe:0']"], "no weight above 0"),
        (["--data.prompts=[]"], "There are no jobs"),
        (["--data.limit=0"], "limit = 0 is not allowed"),
        (["--data.prompts=[a spoon]"], "names 0 of the toy's places"),
        (["--model.negative_prompt=a park by the sea, a forest"],
         "Negative prompt 'a park by the sea, a forest' names 2 of the toy's places"),
        (["--trainer.precision=16-true"],
         "give the backbone's option dtype: bfloat16 or float16"),
        (["--trainer.precision=bf16-true"], "precision = 'bf16-true' is not allowed"),
        (["--model.guide=BayesGide"], "Did you mean 'BayesGuide'?"),
        (["--model.timing=Sometimes"], "Unknown TimingPolicy 'Sometimes'. Allowed: Always, "),
        (["--model.timing=ClipThreshold", "--model.timing.eta=200"], "eta = 200 is out of range"),
        (["--model.timing.nothing=3"], "'nothing' is not accepted"),
        (["--model.steps=many"], "Expected a int. Got value: many"),
        (["--model.steps=0"], "steps = 0 is not allowed"),
        (["--model.slots=0"], "slots = 0 is not allowed"),
        (["--model.nothing=3"], "--model.nothing"),
        (["--model.similarity=null", "--model.timing=ClipThreshold", "--model.timing.eta=6"],
         "Give one: `similarity`"),
        (["--model.latents=DDIMInversion"], "has no image, but DDIMInversion"),
        (["--data.jobs=nowhere.csv"], "nowhere.csv"),
        (["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp_spawn"],
         "strategy = 'ddp_spawn' is not allowed for several devices"),
        (["--output_dir=/proc/nowhere"], "Can't write to the folder '/proc/nowhere'"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    folder = tmp_path / "run"
    assert fit_free(folder, *words) == 2
    assert told in one_line(capsys)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("jobs.csv", "prompt\na park\n", "jobs.csv, line 1: the header is 'prompt'"),
        ("jobs.csv", "prompt,emotion\na park,awe,3\n", "jobs.csv, line 2: not 2 values"),
        ("jobs.csv", "prompt,emotion\na park,awe\na park\n", "jobs.csv, line 3: not 2 values"),
        ("jobs.csv", "prompt,emotion\na park,joy\n", "jobs.csv, line 2: Unknown emotion 'joy'"),
        ("jobs.csv", "prompt,emotion\n,awe\n", "jobs.csv, line 2: the prompt is empty"),
        ("jobs.csv", "prompt,emotion,width\na park,awe,3\n", "unknown column 'width'"),
        ("jobs.csv", "prompt,emotion,seed\na park,awe,x\n", "seed 'x' is not a whole number"),
        ("jobs.csv", "prompt,emotion,seed\na park,awe,-1\n", "seed -1 is out of range"),
        ("jobs.csv", "id,prompt,emotion\na,a park,awe\na,a park,fear\n", "stands in line 2"),
        ("jobs.csv", "prompt,emotion,image\na park,awe,no.png\n", "there is no picture at"),
        ("jobs.csv", "prompt,emotion,mask\na park,awe,no.png\n", "there is no mask at"),
        ("jobs.csv", "prompt,emotion,mask\na park,awe,jobs.csv\n", "has a mask, but Gaussian"),
        ("jobs.csv", "prompt,emotion\n", "There are no jobs"),
        ("jobs.jsonl", '{"prompt": "a park"\n', "jobs.jsonl, line 1: not JSON"),
        ("jobs.jsonl", "[1]\n", "jobs.jsonl, line 1: not an object"),
        ("jobs.jsonl", '{"prompt": "a park", "emotion": 3}\n', "emotion 3 is not one"),
        ("jobs.xlsx", "a park\n", "of an unknown kind. Use .csv, .jsonl or .txt, or -"),
        ("jobs.csv", "Prompt,prompt,emotion\na,b,awe\n", "line 2: column 'prompt' stands twice"),
        ("jobs.csv", "prompt,,emotion\na park,x,awe\n", "line 2: unknown column ''"),
        ("jobs.csv", "prompt,emotion,seed\na park,awe,1.000\n", "seed '1.000' is not a whole"),
        ("jobs.csv", "prompt,emotion,count\na park,awe,0\n", "line 2: count 0 is out of range"),
        ("jobs.csv", 'prompt,emotion\n"a\npark",awe\na park,joy\n', "line 4: Unknown emotion"),
    ],
)
def test_bad_jobs_name_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text)
    assert fit_free(tmp_path / "run", "--data.jobs", str(tmp_path / name)) == 2
    assert told in one_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("jobs.csv", "prompt,emotion\na café,awe\n".encode("latin-1")),
        ("jobs.jsonl", '\n{"prompt": "a café", "emotion": "awe"}\n'.encode("latin-1")),
        ("jobs.csv", "\nprompt,emotion\na park,awe\n".encode("utf-16-le")),  # without its mark
        ("jobs.txt", "\ufeffa park\nodd".encode("utf-16-le")[:-1]),
    ],
)
def test_another_encoding_is_told_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    assert fit_free(tmp_path / "run", "--data.jobs", str(tmp_path / name)) == 2
    assert re.search(rf"{name}, line [12]: not UTF-8. Save the file as UTF-8", one_line(capsys))


def test_prompts_alone_need_emotions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("a park\n")
    words = ["--data.jobs", str(tmp_path / "a.txt"), "--data.emotions=[]"]
    assert fit_free(tmp_path / "run", *words) == 2
    assert "a.txt has prompts alone. Say with which emotions: --data.emo" in one_line(capsys)


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a text on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_standard_input_is_read_by_one_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "a park\n")
    assert fit_free(tmp_path / "run", "--data.jobs=-", "--data.limit=1") == 0
    assert (tmp_path / "run" / "images" / "a-park-amusement.png").exists()
    capsys.readouterr()
    typed(monkeypatch, "a park\n")
    devices = ["--trainer.accelerator=cpu", "--trainer.devices=2"]
    assert fit_free(tmp_path / "other", "--data.jobs=-", *devices) == 2
    assert "Standard input can't be read by 2 devices" in one_line(capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["--data.prompts=[a park: by day]"],
        ["--data.prompts=[1, 2]"],
        ["--config", "colon.yaml"],
        ["--data.emotions=[awe: much]"],
    ],
)
def test_a_list_that_yaml_reads_otherwise_needs_quotes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("colon.yaml").write_text("data:\n  prompts:\n  - a park: by day\n  - a fair\n")
    assert fit_free(tmp_path / "run", *words) == 2
    told = one_line(capsys)
    assert re.match(r"muse: error: Option --data.(prompts|emotions): .* is no list of texts", told)
    assert "Put quotes around each text" in told
    assert len(told) < 220


def test_a_text_is_one_and_a_list_is_remarked_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands in it; and what the run was given, its folder can be run with again."""
    for words, prompts, told in (
        (["--data.prompts", "a park, masterpiece"], ["a park, masterpiece"], []),
        (["--data.prompts", "a park: by day"], ["a park: by day"], []),
        (
            ["--data.prompts", "[a park, the fair]"],
            ["a park", "the fair"],
            ["muse: note: Read 2 prompts: 'a park', 'the fair'."],
        ),
    ):
        run = tmp_path / str(len(prompts[0]))
        emotion = ["--data.emotions", "awe:0.7,fear:0.3", "--model.plain=false"]
        assert fit_free(run, *words, *emotion) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if line.startswith("muse: note: Read")] == told
        jobs = [json.loads(line) for line in (run / "jobs.jsonl").read_text().splitlines()]
        assert [job["prompt"] for job in jobs] == prompts
        assert [job["emotion"] for job in jobs] == [{"awe": 0.7, "fear": 0.3}] * len(prompts)


def test_line_separators_in_texts_survive_the_run(tmp_path: Path) -> None:
    """Those of Unicode, at which Python splits lines, YAML folds them, and JSON does neither."""
    prompt, first, again = "a park\u2028by\x85day", tmp_path / "first", tmp_path / "again"
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps({"prompt": prompt, "emotion": "awe", "count": 2}) + "\n")
    negative = f"--model.negative_prompt=a forest\x85by\u2028{chr(0x2029)}night"
    assert fit_free(first, "--data.jobs", str(file), "--data.count=3", negative) == 0
    words = ["--config", str(first / "config.yaml"), "--output_dir", str(again)]
    assert main(["fit-free", *words]) == 0
    assert (again / "jobs.jsonl").read_bytes() == (first / "jobs.jsonl").read_bytes()
    for path in first.glob("*/*.png"):
        assert (again / path.relative_to(first)).read_bytes() == path.read_bytes()
    names = sorted(path.name for path in (first / "images").iterdir())
    assert len(names) == 2
    settings = yaml.safe_load((again / "config.yaml").read_text())
    assert f"--model.negative_prompt={settings['model']['negative_prompt']}" == negative
    record = json.loads((again / "records" / names[0]).with_suffix(".json").read_text())
    assert record["prompt"] == prompt


def test_the_toy_refuses_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "jobs.csv").write_text("prompt,emotion,image\na park,awe,a.png\n")
    assert fit_free(tmp_path / "run", "--data.jobs", str(tmp_path / "jobs.csv")) == 2
    assert "has points, not pictures" in one_line(capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["generate", os.fsdecode(b"caf\xe9 in a park")],
        ["edit", os.fsdecode(b"\xe9.png"), "--prompt", "a park", "--emotion", "awe"],
        ["fit-free", "--config", TOY, "--data.prompts=" + os.fsdecode(b"[a park, caf\xe9]")],
        ["evaluate", os.fsdecode(b"\xe9")],
    ],
)
def test_what_is_no_utf8_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    """Bytes that Python keeps as halves of surrogate pairs."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "is no text in UTF-8. Write it so" in one_line(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("stop", "code", "told"),
    [((), 0, ""), ((None,), 0, ""), ((3,), 3, ""), (("No licence.",), 1, "No licence.\n")],
)
def test_an_exit_is_what_python_takes_it_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: tuple[object, ...],
    code: int,
    told: str,
) -> None:
    def leave(words: list[str]) -> int:
        raise SystemExit(*stop)

    monkeypatch.setitem(COMMANDS, "components", (leave, ""))
    assert main(["components"]) == code
    assert capsys.readouterr().err == told


def test_a_file_beside_the_user_stands_for_no_module_of_pythons(tmp_path: Path) -> None:
    """And one of their own is found."""
    (tmp_path / "statistics.py").write_text("raise RuntimeError('not of Python')")
    (tmp_path / "my_timing.py").write_text("from muse.schedulers import Always as Mine\n")
    code = (
        "from muse.cli import COMMANDS, main; "
        "COMMANDS['wave'] = (lambda words: 0, ''); "
        "assert main(['wave']) == 0; "
        "import my_timing, statistics; print(my_timing.Mine.__name__, statistics.mean([1, 3]))"
    )
    safe = [sys.executable, "-P", "-c", code]  # as the command `muse` starts
    done = subprocess.run(safe, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("Always 2\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--model.scheduler", "examples.my_solver.Adams"],
            "Option --model.scheduler: examples.my_solver.Adams: module 'examples.my_solver' has "
            "no attribute 'Adams'.",
        ),
        (
            ["--model.scheduler", "DDIM", "--model.scheduler.etta", "1"],
            "Option --model.scheduler: muse.schedulers.DDIM: Option 'etta' is not accepted. "
            "Did you mean 'eta'?",
        ),
        (
            ["--model.watchers", "examples.my_watcher.Gif"],
            "Option --model.watchers takes a list. Write '[examples.my_watcher.Gif]'.",
        ),
    ],
)
def test_what_is_wrong_with_a_part_is_told_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["fit-free", "--config", "configs/toy.yaml", *words]) == 2
    assert one_line(capsys) == f"muse: error: {told}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["generate", "a dog", "--emotion=awe", "--backbone.weighting=foo"],
            "Option --backbone.weighting: muse.backbones.StableDiffusion: Expected a "
            "Literal['compel'] or null. Got value: foo.",
        ),
        (
            ["generate", "a dog", "--emotion=awe", "--backbone.hub=5"],
            "Option --backbone.hub: muse.backbones.StableDiffusion: Expected a dict[str, Any] or "
            "null. Got value: 5.",
        ),
        (
            ["fit", "--config", str(ROOT / "configs/mini/autoencoder.yaml"), "--data.world=foo"],
            "Option --data.world: muse.mini.SceneData: Expected a Literal['main', 'fi-like', "
            "'varied', 'varied-fi']. Got value: foo.",
        ),
    ],
)
def test_what_is_allowed_of_a_parts_option_is_told(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(words) == 2
    assert one_line(capsys) == f"muse: error: {told}"


def test_a_bug_is_told_as_that_of_the_file_that_acted_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "my_part.py"
    mine.write_text("import json\ndef act(words):\n    return json.loads('{')\n")
    spec = importlib.util.spec_from_file_location("my_part", mine)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    monkeypatch.setitem(COMMANDS, "components", (module.act, ""))
    assert main(["components"]) == 70
    assert capsys.readouterr().err.endswith(f"muse: the error is in {mine}. See the lines above.\n")
    monkeypatch.undo()
    monkeypatch.setattr("muse.commands.components.Console", None)  # muse calls what is none
    assert main(["components"]) == 70
    assert "muse: this is a bug of muse." in capsys.readouterr().err


@pytest.mark.parametrize("words", [["fly"], ["fit-free", "--config", "nowhere.yaml"], ["fit-free"]])
def test_wrong_commands(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    one_line(capsys)


@pytest.mark.parametrize(
    "words", [["card"], ["status"], ["fit-free", "--config"], ["evaluate"]], ids=lambda w: w[0]
)
def test_a_name_too_long_for_a_file_is_told(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main([*words, "x" * 300]) == 2
    err = capsys.readouterr().err
    assert "xxx" in err
    assert "Traceback" not in err


def test_ctrl_c_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = Sampler.sample

    def interrupted(self: Sampler, jobs: list, *rest: object):  # type: ignore[no-untyped-def, type-arg]
        steered = 0
        for result in sample(self, jobs, *rest):  # type: ignore[arg-type]
            steered += result.job.target is not None
            if steered == 3:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(Sampler, "sample", interrupted)
    assert fit_free(tmp_path) == 130
    assert len(list((tmp_path / "images").iterdir())) == 2
    assert len(list((tmp_path / "records").iterdir())) == 2
    assert (tmp_path / "contact_sheet.png").exists()
    assert "Interrupted: 2 of 32 pictures are finished and stay." in capsys.readouterr().out


def test_a_bug_shows_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Sampler, *_: object) -> None:
        raise ValueError("not the user's fault")

    monkeypatch.setattr(Sampler, "sample", broken)
    assert fit_free(tmp_path) == 70
    assert "Traceback" in capsys.readouterr().err


def test_the_quickstart_runs_on_what_the_package_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "run"
    words = ["--config", str(ROOT / "configs" / "quickstart.yaml"), "--output_dir", str(folder)]
    assert main(["fit-free", *words, "--model.steps=8", "--data.limit=2"]) == 0
    for path in folder.glob("images/*.png"):
        with Image.open(path) as picture:
            assert picture.size == (128, 128)
    records = [json.loads(path.read_text()) for path in folder.glob("records/*.json")]
    assert len(records) == 2
    assert all(sum(record["iterations"]) > 0 for record in records)
    assert all(record["start_step"] is not None or record["similarity"] for record in records)
