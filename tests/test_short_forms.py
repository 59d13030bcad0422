"""`muse generate` and `muse edit`, as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from muse.cli import main
from muse.core.jobs import Job
from muse.presets import FOLDER, PRESETS, with_presets
from muse.sampling import Sampler
from tests.tiny import save_stable_diffusion

ROOT = Path(__file__).parent.parent
TOY = str(ROOT / "configs" / "toy.yaml")
SHORT = ["--config", TOY, "--steps", "12", "--max_iterations", "1", "--timing", "Always"]
INVERTED = ["--config", "negative-prompt-inversion"]
"""An edit without the emotion's word, which tiny models don't know."""


def generate(out: Path, *words: str, prompt: str = "a park") -> int:
    """Make a short toy picture."""
    return main(["generate", prompt, "--out", str(out), *SHORT, *words])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a mistake was told in."""
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1, told
    assert told[0].startswith("muse: error: ")
    return told[0]


def text_of(path: Path) -> dict[str, str]:
    with Image.open(path) as picture:
        return dict(picture.text)  # type: ignore[attr-defined]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


def test_it_is_the_picture_that_fit_free_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "jobs.csv").write_text("prompt,emotion,seed\na park,awe,3\n")
    run = tmp_path / "run"
    words = ["--model.steps=12", "--model.max_iterations=1", "--model.timing=Always"]
    words += ["--data.jobs", str(tmp_path / "jobs.csv"), "--output_dir", str(run)]
    assert main(["fit-free", "--config", TOY, *words]) == 0
    capsys.readouterr()
    out = tmp_path / "new" / "folders" / "dog.png"
    assert generate(out, "--emotion", "awe", "--seed", "3") == 0
    made = run / "images" / "a-park-awe.png"
    assert np.array_equal(pixels(out), pixels(made))
    assert text_of(made).items() < text_of(out).items()
    assert text_of(out).keys() == {*text_of(made), "config"}
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{out}: awe ")
    assert "->" not in lines[0]
    assert "by the guide itself, steered from step 0, " in lines[0]
    assert [path.name for path in out.parent.iterdir()] == ["dog.png"]


def test_without_an_emotion_it_is_the_plain_twin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["--data.prompts=[a park]", "--data.emotions=[awe]", "--model.steps=12"]
    assert main(["fit-free", "--config", TOY, *words, "--output_dir", str(run)]) == 0
    seed = text_of(run / "images" / "a-park-awe.png")["seed"]
    capsys.readouterr()
    assert generate(tmp_path / "a.png", "--seed", seed) == 0
    [twin] = (run / "plain").iterdir()
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(twin))
    assert text_of(tmp_path / "a.png")["target"] == "plain"
    assert "a.png: plain, contentment " in capsys.readouterr().out


def test_mixtures_and_a_name_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["generate", "a park", "--emotion", "awe:0.75,fear:0.25", "--seed", "5", *SHORT]
    assert main(words) == 0
    assert text_of(tmp_path / "outputs" / "a-park-awe75-fear25-5.png")["seed"] == "5"
    assert "awe:0.75,fear:0.25 " in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--plain", "false"], ["--plain=false"]])
def test_no_twin_is_made_unless_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    """Not by the configuration of a run either, which has twins."""
    jobs, sample = [], Sampler.sample

    def counted(self: Sampler, given: Iterable[Job], *rest: Any) -> Iterator[Any]:
        for result in sample(self, given, *rest):
            jobs.append(result.job)
            yield result

    monkeypatch.setattr(Sampler, "sample", counted)
    (tmp_path / "run.yaml").write_text("model: {plain: true}")
    words = ["--config", str(tmp_path / "run.yaml"), *words]
    assert generate(tmp_path / "a.png", "--emotion", "awe", *words) == 0
    assert [job.target for job in jobs] == [{"awe": 1.0}]
    assert "->" not in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "run.yaml"}


@pytest.mark.parametrize("words", [["--plain"], ["--plain", "true"], ["--model.plain=true"]])
def test_a_twin_that_is_asked_for_lies_beside_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    out, twin, alone = (tmp_path / name for name in ("a.png", "a-plain.png", "b.png"))
    assert main(["generate", "--emotion", "awe", *words, "a park", "--out", str(out), *SHORT]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert "% -> " in line
    assert line.endswith(f" s. Its plain twin: {twin}.")
    assert generate(alone) == 0
    assert np.array_equal(pixels(twin), pixels(alone))
    assert text_of(twin)["target"] == "plain"
    assert generate(alone, "--emotion", "awe") == 0
    assert out.read_bytes() == alone.read_bytes(), "a twin changes no picture"


def test_a_plain_picture_is_its_own_twin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(tmp_path / "a.png", "--plain") == 0
    assert "twin" not in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("timing", "remedy"),
    [
        (["--timing=Never"], "choose another --timing,"),
        (["--timing=StepWindow", "--timing.start=0.99"], "lower --timing.start,"),
        (["--timing=ClipThreshold", "--timing.eta=100"],
         "lower --timing.eta, or set --timing.latest_start, such as to 0.2,"),
    ],
)  # fmt: skip
def test_never_steered_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], timing: list[str], remedy: str
) -> None:
    assert generate(tmp_path / "a.png", "--emotion", "awe", *timing) == 0
    assert f"never steered: {remedy}" in capsys.readouterr().out


def test_options_with_and_without_model_in_front(tmp_path: Path) -> None:
    plain = ["--emotion=awe", "--steering.lr=0.5", "--backbone.flow=true", "--guide=BayesGuide"]
    assert generate(tmp_path / "a.png", *plain) == 0
    full = [word.replace("--", "--model.") for word in plain[1:]]
    assert generate(tmp_path / "b.png", plain[0], *full) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert generate(tmp_path / "c.png", plain[0]) == 0
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


def test_the_config_of_a_run_and_a_printed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["--data.limit=1", "--model.steps=9", "--output_dir", str(run)]
    assert main(["fit-free", "--config", TOY, *words]) == 0
    ask = ["generate", "a park", "--emotion", "awe", "--out"]
    assert main([*ask, str(tmp_path / "a.png"), "--config", str(run / "config.yaml")]) == 0
    capsys.readouterr()
    assert main([*ask, "x.png", "--config", str(run / "config.yaml"), "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["steps"] == 9
    for name in ("prompt", "emotion", "out"):
        del printed[name]
    (tmp_path / "flat.yaml").write_text(yaml.safe_dump(printed))
    assert main([*ask, str(tmp_path / "b.png"), "--config", str(tmp_path / "flat.yaml")]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_picture_says_how_to_make_it_again(tmp_path: Path) -> None:
    words = ["--emotion", "awe", "--seed", "7", "--steering.lr", "0.3"]
    assert generate(tmp_path / "a.png", *words) == 0
    said = text_of(tmp_path / "a.png")
    (tmp_path / "again.yaml").write_text(said["config"])
    ask = ["generate", said["prompt"], "--emotion", said["target"], "--seed", said["seed"]]
    ask += ["--config", str(tmp_path / "again.yaml"), "--out", str(tmp_path / "b.png")]
    assert main(ask) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_its_own_output_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("old")
    assert generate(tmp_path / "a.png", "--emotion", "awe") == 0
    assert text_of(tmp_path / "a.png")["prompt"] == "a park"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["generate", "a", "park"], "Unrecognized words: park. Words that belong together"),
        (["generate"], "Missing: prompt."),
        (["generate", "  "], "the prompt is empty"),
        (["generate", "a spoon"], "names 0 of the toy's places"),
        (["generate", "a park", "--emotion", "ange"], "Did you mean 'anger'?"),
        (["generate", "a park", "--emotion", "awe,fear"], "Write one emotion ('awe') or weights"),
        (["generate", "a park", "--seed", "x"], "Option --seed: Expected a int."),
        (["generate", "a park", "--seed", "-1"], "seed -1 is out of range"),
        (["generate", "a park", "--steps", "0"], "steps = 0 is not allowed"),
        (["generate", "a park", "--model.emotion_scale", "0"], "emotion_scale = 0 is not allowed"),
        (["generate", "a park", "--steering.rule", "Polyak"],
         "lr = 0.2 is Adam's, and the rule is Polyak. Set steering.rule to null, or steering.lr"),
        (["generate", "a park", "--guide", "BayesGide"], "Did you mean 'BayesGuide'?"),
        (["generate", "a park", "--nothing", "3"], "--nothing 3"),
        (["generate", "a park", "--out", "a.jpg"], "is no name of a PNG"),
        (["generate", "a park", "--out", "."], "is a folder"),
        (["generate", "a park", "--out", "/proc/no/a.png"], "Choose another one with --out"),
        (["generate", "a park", "--config", "no.yaml"], "File does not exist"),
        (["generate", "a park", "--latents", "DDIMInversion"], "has no image, but DDIMInversion"),
        (["edit", "a.png", "--prompt", "a park"], "Missing: emotion."),
        (["edit", "a.png", "--emotion", "awe"], "Missing: prompt."),
        (["edit", "no.png", "--prompt", "a park", "--emotion", "awe"], "No picture at 'no.png'"),
        (["edit", "text.png", "--prompt", "a park", "--emotion", "awe"], "can't be read as a"),
        (["edit", ".", "--prompt", "a park", "--emotion", "awe"], "is a folder"),
        (["edit", "a.png", "--prompt", " ", "--emotion", "awe"], "the prompt is empty"),
        (["edit", "a.png", "--prompt", "a park", "--emotion", "joy"], "Unknown emotion 'joy'"),
        (["edit", "a.png", "--prompt", "a park", "--emotion", "awe", "--out", "./a.png"],
         "is the picture that is edited"),
        (["edit", "a-plain.png", "--prompt", "a park", "--emotion", "awe", "--plain", "--out",
          "./a.png"], "plain twin's file 'a-plain.png' is the picture that is edited"),
        (["edit", "a.png", "--prompt", "a park", "--emotion", "awe"], "has points, not pictures"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    Image.new("RGB", (8, 8)).save("a-plain.png")
    Path("text.png").write_text("not a picture")
    before = Path("a.png").read_bytes()
    settings = [] if "--config" in words else SHORT
    assert main([words[0], *settings, *words[1:]]) == 2
    assert told in one_line(capsys)
    assert Path("a.png").read_bytes() == before
    assert not list(Path("outputs").glob("*"))


def test_a_picture_that_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(tmp_path / "a.png", "--emotion", "awe", "--guidance_scale", "1e308") == 1
    assert "The picture is not finite" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sampler, "sample", interrupted)
    assert generate(tmp_path / "a.png", "--emotion", "awe") == 130
    assert "Interrupted: no picture was written." in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of a tiny pipeline of random weights, over the preset for editing."""
    path = tmp_path_factory.mktemp("tiny")
    save_stable_diffusion(path)
    model = {
        "backbone": {"class_path": "StableDiffusion", "init_args": {"pretrained": str(path)}},
        "guide": {"class_path": "ConvNet", "init_args": {"checkpoint": None, "width": 8}},
        "timing": {"class_path": "StepWindow", "init_args": {"start": 0.5}},
        "loss": {"class_path": "MultiEmotionLoss", "init_args": {"content": 0.0}},
        "steps": 4,
        "max_iterations": 1,
    }
    (path / "tiny.yaml").write_text(yaml.safe_dump({"model": model}))
    return path


def test_edit_brings_a_picture_to_the_models_size_and_back(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 4), dtype=np.uint8)
    source, out = tmp_path / "scene.png", tmp_path / "fear.png"
    Image.fromarray(noise).save(source)
    ask = ["edit", str(source), "--prompt", "a dog", "--emotion", "fear", "--out", str(out)]
    torch.manual_seed(0)
    assert main([*ask, "--config", "edit", "--config", str(tiny / "tiny.yaml")]) == 0
    told = capsys.readouterr()
    assert "muse: note: scene.png" not in told.err
    lines = told.out.splitlines()
    assert lines[0] == (
        "scene.png is 120x90 RGBA: transparency laid on white, its centre (90x90) edited at 16x16, "
        "written at 90x90."
    )
    assert lines[1].startswith(f"{out}: fear ")
    assert "steered from step 2" in lines[1]
    assert len(lines) == 2
    with Image.open(out) as picture:
        assert (picture.size, picture.mode) == ((90, 90), "RGB")
    assert text_of(out)["target"] == "fear"
    assert not (tmp_path / "fear-plain.png").exists()
    torch.manual_seed(0)
    assert main([*ask, "--config", "edit", "--config", str(tiny / "tiny.yaml"), "--plain"]) == 0
    assert pixels(tmp_path / "fear-plain.png").shape == (90, 90, 3)


def test_outside_of_a_mask_an_edit_is_its_source_at_its_own_scale(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    source, mask, out = (tmp_path / f"{name}.png" for name in ("scene", "mask", "fear"))
    Image.fromarray(noise).save(source)
    left = Image.new("L", (120, 90))
    left.paste(255, (0, 0, 60, 90))
    left.save(mask)
    ask = ["edit", str(source), "--prompt", "a dog", "--emotion", "fear", "--out", str(out)]
    ask += ["--config", "edit", "--config", str(tiny / "tiny.yaml"), "--plain"]
    assert main([*ask, "--mask", str(mask)]) == 0
    for path in (out, tmp_path / "fear-plain.png"):
        assert np.array_equal(pixels(path)[:, 45:], noise[:, 60:105])
        assert (pixels(path)[:, :40] != noise[:, 15:55]).any(-1).mean() > 0.9
    assert json.loads(text_of(out)["muse"])["mask"] == "mask.png"
    capsys.readouterr()
    assert main([*ask, "--mask", str(tmp_path / "no.png")]) == 2
    assert "No picture at" in one_line(capsys)
    assert main([*ask[:-1], "--mask", str(out), "--out", str(out)]) == 2
    assert "is the mask. Use another name for --out" in one_line(capsys)
    Image.new("L", (90, 90)).save(mask)
    assert main([*ask, "--mask", str(mask)]) == 2
    assert "is 90x90, and what it masks 120x90" in capsys.readouterr().err
    assert main(["generate", "a dog", "--mask", str(mask)]) == 2
    assert "there is none. Add --emotion" in capsys.readouterr().err


def test_a_run_with_masks(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows with and without, gone on with; another mask under the same name is another run."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "scene.png")
    mask = Image.new("L", (16, 16))
    mask.paste(255, (0, 0, 8, 16))
    mask.save(tmp_path / "mask.png")
    jobs, run = tmp_path / "jobs.csv", tmp_path / "run"
    rows = ["id,prompt,emotion,image,mask", "free,a b c,awe,scene.png,"]
    jobs.write_text("\n".join([*rows, "held,a b c,awe,scene.png,mask.png"]))
    words = ["fit-free", *INVERTED, "--config", str(tiny / "tiny.yaml")]
    words += ["--data.jobs", str(jobs), "--output_dir", str(run)]
    torch.manual_seed(0)  # the guide's weights
    assert main(words) == 0
    held, free = (pixels(run / "images" / f"{name}.png") for name in ("held", "free"))
    assert np.array_equal(held[:, 8:], noise[:, 8:])
    assert not np.array_equal(free[:, 8:], noise[:, 8:])
    assert len(list((run / "plain").iterdir())) == 2  # with the mask and without
    records = [json.loads((run / "records" / f"{n}.json").read_text()) for n in ("held", "free")]
    assert [record["mask"] for record in records] == [str(tmp_path / "mask.png"), None]
    assert records[0]["config_digest"] != records[1]["config_digest"]
    (run / "records" / "held.json").unlink()
    capsys.readouterr()
    torch.manual_seed(0)
    assert main(words) == 0
    assert "3 of 4 pictures are there already" in capsys.readouterr().err
    assert np.array_equal(pixels(run / "images" / "held.png"), held)
    mask.resize((64, 64)).save(tmp_path / "mask.png")
    assert main(words) == 2
    assert "mask_sha256 was" in one_line(capsys)
    Image.new("L", (16, 16)).save(tmp_path / "mask.png")
    assert main([*words[:-1], str(tmp_path / "other")]) == 2
    assert "black all over" in one_line(capsys)
    assert not (tmp_path / "other").exists()


def test_a_run_tells_what_becomes_of_its_pictures(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once for each file; edits keep the model's size. A broken file is told before any work."""
    Image.new("RGB", (120, 90)).save(tmp_path / "scene.png")
    Image.new("RGB", (16, 16)).save(tmp_path / "fits.png")
    jobs, run = tmp_path / "jobs.csv", tmp_path / "run"
    rows = ["prompt,emotion,image", "a b c,awe,scene.png", "a b c,fear,scene.png"]
    jobs.write_text("\n".join([*rows, "a b c,anger,fits.png"]))
    words = ["fit-free", *INVERTED, "--config", str(tiny / "tiny.yaml")]
    words += ["--data.jobs", str(jobs)]
    assert main([*words, "--output_dir", str(run)]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("muse: note")]
    assert notes == [
        "muse: note: scene.png is 120x90 RGB: its centre (90x90) edited at 16x16, written at 16x16."
    ]
    for path in run.glob("images/*.png"):
        with Image.open(path) as picture:
            assert picture.size == (16, 16)
    (tmp_path / "fits.png").write_text("no picture")
    assert main([*words, "--output_dir", str(tmp_path / "other")]) == 2
    assert "fits.png' can't be read as a picture" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_prompts_are_remarked_on_once(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny pipeline knows letters alone, and 14 of them; the similarity's CLIP reads 22. Of a
    negative prompt it is said where there is guidance, and elsewhere that it does nothing."""
    words = ["--config", "default", "--config", str(tiny / "tiny.yaml"), "--model.steps=3"]
    words += [
        "--model.steering.template=null",
        "--data.prompts=[a b c dog, a b c]",
        "--data.emotions=[awe, fear]",
    ]
    unknown = "rompt {}: the model doesn't know {} (nothing is near), and may draw anything."
    expected = [f"muse: note: P{unknown.format(repr('a b c dog'), repr('dog'))}"]
    negative = f"muse: note: Negative p{unknown.format(repr('fog'), repr('fog'))}"
    nothing = "muse: note: Negative prompt 'fog' does nothing at guidance_scale 1. "
    nothing += "Use another guidance_scale, or leave it out."
    for scale, told in ((1, [*expected, nothing]), (2, [*expected, negative])):
        more = [f"--model.guidance_scale={scale}", "--model.negative_prompt=fog"]
        assert main(["fit-free", *words, *more, "--output_dir", str(tmp_path / str(scale))]) == 0
        lines = capsys.readouterr().err.splitlines()
        read = "muse: note: Read 2 prompts: 'a b c dog', 'a b c'."
        assert [line for line in lines if line.startswith("muse: note")] == [*told, read]
    long = " ".join("abcdefghijklmnopqrstuvwxyz")
    ask = ["generate", long, "--out", str(tmp_path / "a.png")]
    ask += ["--config", "default", "--config", str(tiny / "tiny.yaml")]
    assert main([*ask, "--timing", "ClipThreshold", "--timing.eta", "-100"]) == 0
    told = capsys.readouterr().err
    for line in (
        "is too long: the model reads 14 tokens of it, and not 'o p q r s t u v w x y z'.",
        "for the similarity: it compares 22 tokens of it with the picture, and not 'w x y z'.",
    ):
        assert line in told


def test_where_a_preset_meets_another_model_it_is_told(
    tmp_path: Path,
    tiny: Path,
    tiny_folder: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By both commands; not where a file of one's own says what the model is."""
    folder = tiny_folder("sd")
    note = "muse: note: The preset's settings were measured on muse-mini, not on this "
    short = ["generate", "a b", "--steps", "2", "--out", str(tmp_path / "a.png")]
    run = ["fit-free", "--data.prompts=[a b]", "--data.emotions=[awe]", "--model.steps=2"]
    run += ["--model.plain=false", "--overwrite=true", "--output_dir", str(tmp_path / "run")]
    run = [word.replace("--overwrite", "--model.overwrite") for word in run]
    another = ["--model.backbone", "StableDiffusion", f"--model.backbone.pretrained={folder}"]
    toy = ["--model.backbone", "GaussianMixture", "--model.guide", "BayesGuide"]
    toy += ["--model.similarity", "PlaceSimilarity"]
    for words, told in (
        ([*short, *another], "StableDiffusion. Use those of --config configs/sd15.yaml."),
        ([*run, *another], "StableDiffusion. Use those of --config configs/sd15.yaml."),
        ([*run, *toy, "--data.prompts=[a park]"], "GaussianMixture. Use those of --config configs"),
        ([*run, "--config", "paper", "--config", str(tiny / "tiny.yaml")], None),
    ):
        assert main(words) == 0
        lines = capsys.readouterr().err.splitlines()
        found = [line.removeprefix(note) for line in lines if line.startswith(note)]
        assert [line[: len(told or "")] for line in found] == ([told] if told else [])


def test_muse_mini_names_the_words_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From any folder, offline, by what the package carries."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    ask = ["generate", "a dogg in a park", "--emotion", "awe", "--out", "dog.png"]
    assert main([*ask, "--steps", "2", "--max_iterations", "1", "--timing=Always"]) == 0
    told = capsys.readouterr()
    assert "the model doesn't know 'dogg' (nearest: dog" in told.err
    assert "measured" not in told.err, "the preset is its own"
    assert told.out.startswith("dog.png: awe ")
    with Image.open("dog.png") as picture:
        assert picture.size == (128, 128)


# --- presets -----------------------------------------------------------------------------------


def test_every_preset_is_of_files_that_are_there() -> None:
    named = {name for names in PRESETS.values() for name in names}
    assert named == {path.name for path in FOLDER.glob("*.yaml")}


def test_a_preset_goes_first_where_no_file_has_a_model(tmp_path: Path) -> None:
    def layers(preset: str) -> list[str]:
        return [part for file in PRESETS[preset] for part in ("--config", str(FOLDER / file))]

    data, model = tmp_path / "data.yaml", tmp_path / "model.yaml"
    data.write_text("data: {limit: 1}\n")
    model.write_text("model: {steps: 5}\n")
    assert with_presets(["--x", "1"], "default") == [*layers("default"), "--x", "1"]
    assert with_presets(["--config", str(model)], "default") == ["--config", str(model)]
    assert with_presets([f"--config={data}"], "default") == [
        *layers("default"), "--config", str(data),
    ]  # fmt: skip
    assert with_presets(["-c", "edit", "--x"], "default") == [*layers("edit"), "--x"]
    assert with_presets(["--config"], "default")[-1] == "--config"


def test_a_file_of_the_users_own_goes_before_a_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paper").write_text("model: {steps: 5}\n")
    assert with_presets(["--config", "paper"], "default") == ["--config", "paper"]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict:  # type: ignore[type-arg]
    assert main(["fit-free", *words, "--print_config"]) == 0
    return yaml.safe_load(capsys.readouterr().out)["model"]  # type: ignore[no-any-return]


def test_presets_of_editing_are_as_published(capsys: pytest.CaptureFixture[str]) -> None:
    """And lay each part over the one before, without what was said of that."""

    def named(preset: str, *parts: str) -> list[Any]:
        model = printed(capsys, "--config", preset)
        kinds = {part: model[part]["class_path"].rpartition(".")[2] for part in parts}
        return [model, *({kinds[part]: model[part].get("init_args", {})} for part in parts)]

    parts = "steering", "latents", "timing"
    plain, edit, default = (
        printed(capsys, "--config", name)
        for name in ("negative-prompt-inversion", "edit", "default")
    )
    assert edit == plain | {"steering": default["steering"]}
    word = {"EmotionWord": {"template": "{prompt}, {emotion}"}}
    model, steering, latents, timing = named("word", *parts)
    assert (steering, latents, timing) == (word, {"GaussianNoise": {}}, {"Always": {}})
    model, steering, latents, timing = named("word-edit", *parts)
    inverted = {"DDIMInversion": {"fixed_point": 2, "prompt": None}}
    assert (steering, latents, timing) == (word, inverted, {"Always": {}})
    assert (model["guidance_scale"], model["emotion_scale"]) == (1.0, 4.0)
    model, steering, latents, timing = named("sdedit", *parts)
    assert (steering, latents, timing) == (
        word,
        {"PartialNoise": {"strength": 0.8}},
        {"Always": {}},
    )
    published = 50, 7.5, None
    assert (model["steps"], model["guidance_scale"], model["emotion_scale"]) == published
    model, steering, latents, timing = named("plug-and-play", *parts)
    injected = {"attention": 0.5, "features": 0.8, "layer": None, "template": "{prompt}, {emotion}"}
    inverted = {"DDIMInversion": {"fixed_point": 1, "prompt": ""}}
    assert (steering, latents, timing) == (
        {"PlugAndPlay": injected}, inverted, {"Always": {}},
    )  # fmt: skip
    assert (model["steps"], model["guidance_scale"], model["emotion_scale"]) == published
    model, steering, latents, timing = named("null-text-inversion", *parts)
    fitted = {"iterations": 10, "lr": 0.01, "tolerance": 1e-5, "fixed_point": 0}
    assert latents == {"NullTextInversion": fitted}
    assert list(steering) == ["TokenOptimization"]
    assert (model["steps"], model["guidance_scale"], model["emotion_scale"]) == published


def test_the_paper_is_as_published(capsys: pytest.CaptureFixture[str]) -> None:
    default, model = printed(capsys), printed(capsys, "--config", "paper")
    for name in ("backbone", "similarity", "latents"):
        assert model[name] == default[name]
    assert model["guide"]["class_path"].endswith("SimEmo")
    assert model["steering"]["init_args"]["decay_over"] == "step"
    older = dict.fromkeys(("inherent", "similar", "content"))  # the weights' names before
    assert model["loss"]["init_args"] == older | {
        "inherent_weight": 0.0005, "similar_weight": 0.0015, "similar_rule": "ring",
        "content_weight": 0.0, "content_floor": None,
    }  # fmt: skip
    assert model["steering"]["init_args"]["lr"] == 0.01
    assert model["timing"]["init_args"]["latest_start"] is None
    published = {"steps": 50, "guidance_scale": 7.5, "tolerance": 1e-4, "stop_on": "total"}
    published |= {"keep": "last", "emotion_scale": None}
    assert {name: model[name] for name in published} == published


def test_editing_is_the_default_with_an_inversion(capsys: pytest.CaptureFixture[str]) -> None:
    default, edit = printed(capsys), printed(capsys, "--config", "edit")
    assert default["latents"]["class_path"].endswith("GaussianNoise")
    assert edit["latents"]["class_path"].endswith("DDIMInversion")
    changed = {name for name in default if default[name] != edit[name]}
    assert {"latents", "guidance_scale"} <= changed
    assert not {"backbone", "guide", "similarity"} & changed
    assert printed(capsys, "--config", str(ROOT / "configs" / "quickstart.yaml")) == default


def test_the_digest_in_a_picture_tells_settings_apart(tmp_path: Path) -> None:
    """The digest in a picture tells one setting from another."""
    digests = []
    for index, words in enumerate(([], ["--steps=13"], ["--seed=1"], [])):
        assert generate(tmp_path / f"{index}.png", *words) == 0
        digests.append(text_of(tmp_path / f"{index}.png")["config_digest"])
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]
