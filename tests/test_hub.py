"""Guides that are shared: folders, the hub (without a network), and what their cards tell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from huggingface_hub.errors import HTTPError
from safetensors.torch import save_file

from muse.backbones import BayesGuide
from muse.cli import main
from muse.core.digests import file_digest
from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides import ConvNet, EmoGen, Guide, SimEmo, TimmClassifier
from muse.tasks import EmotionClassification
from tests.test_cli import one_line
from tests.test_emotion_classification import _Bright, fit, with_words

FILES = {"config.json", "model.safetensors", "README.md"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training a tiny SimEmo, its CLIP's tower too, has left; the CLIP lies beside it."""
    folder = tmp_path_factory.mktemp("run")
    with_words(folder / "clip")
    guide, output = SimEmo(str(folder / "clip")), folder / "simemo.safetensors"
    task = EmotionClassification(guide, str(output), tower_rate=1e-4, augment=False)
    fit(task, _Bright())
    return folder


@pytest.fixture(scope="module")
def shared(run: Path) -> Path:
    """The same, saved to be shared."""
    SimEmo(str(run / "clip"), str(run / "simemo.safetensors")).save_pretrained(run / "shared")
    return run / "shared"


def reads(guide: Guide) -> torch.Tensor:
    with torch.no_grad():
        return guide.eval()(torch.linspace(0, 1, 3 * 32 * 32).reshape(1, 3, 32, 32))


def test_a_trained_guide_knows_how(run: Path) -> None:
    trained = SimEmo(str(run / "clip"), str(run / "simemo.safetensors")).trained
    assert trained is not None
    assert trained["guide"] == "SimEmo"
    assert trained["data"] == {"name": "_Bright"}, "no more than is known"
    assert (trained["epoch"], trained["epochs"]) == (1, 1)
    assert trained["recipe"]["tower_rate"] == 1e-4
    assert "halve_every" not in trained["recipe"]
    confusion = torch.tensor(trained["validation"]["confusion"])
    assert confusion.shape == (8, 8)
    assert confusion.sum(1).tolist() == [1, 3, 1, 1, 1, 1, 1, 1], "rows are what it is labelled"


def test_a_folder_is_the_guide(run: Path, shared: Path) -> None:
    assert {path.name for path in shared.iterdir()} == FILES
    again = Guide.from_pretrained(shared, clip=str(run / "clip"))
    assert isinstance(again, SimEmo)
    assert again.clip.tuned
    first = SimEmo(str(run / "clip"), str(run / "simemo.safetensors"))
    assert torch.equal(reads(again), reads(first))
    assert again.trained == first.trained
    assert again.labels == first.labels
    for path in shared.iterdir():
        assert str(run).encode() not in path.read_bytes(), "no path of the machine that trained"


def test_a_training_runs_folder_is_the_guide_too(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "simemo.safetensors", tmp_path)
    again = Guide.from_pretrained(tmp_path, clip=str(run / "clip"))
    first = SimEmo(str(run / "clip"), str(run / "simemo.safetensors"))
    assert torch.equal(reads(again), reads(first))


@pytest.mark.parametrize(
    "told",
    [
        {"data": "EmoSet", "validation": {}, "recipe": [], "versions": 3, "epoch": "last"},
        {"data": {}, "validation": {"confusion": [[1]]}},
        {"validation": {"confusion": [[0] * 8] * 8}},
    ],
)
def test_what_a_file_says_of_its_training_may_be_anything(
    told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {"a": torch.zeros(1)}
    file = tmp_path / "strange.safetensors"
    save_file(weights, file, {"trained": json.dumps({"guide": "ConvNet", **told})})
    assert main(["card", str(file)]) == 0
    assert "# ConvNet" in capsys.readouterr().out


def test_a_card_tells_what_is_known(
    run: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (shared / "README.md").read_text()
    trained = SimEmo(str(run / "clip"), str(run / "simemo.safetensors")).trained or {}
    counts = trained["validation"]["confusion"]
    right = sum(row[i] for i, row in enumerate(counts))
    assert f"Of 10 validation pictures it reads {right / 10:.1%} as they are labelled." in card
    for name, row in zip(EMOTIONS, counts, strict=True):
        assert f"| {name} | {' | '.join(map(str, row))} |" in card
    assert f"| awe | {counts[1][1] / 3:.1%} | 3 |" in card
    assert f"`{file_digest(shared / 'model.safetensors')}`" in card
    assert "| learning rate of CLIP's visual tower | 0.0001 |" in card
    assert 'Guide.from_pretrained("FOLDER", clip=...)' in card
    assert "base_model" not in card
    assert "training pictures" not in card
    capsys.readouterr()
    assert main(["card", str(shared)]) == 0
    assert capsys.readouterr().out == card
    assert main(["card", str(run), "--out", str(tmp_path / "new" / "card.md")]) == 0
    of_run = (tmp_path / "new" / "card.md").read_text()
    assert "# SimEmo, trained on _Bright" in of_run
    assert "## Use" not in of_run
    assert f"`{file_digest(run / 'simemo.safetensors')}`" in of_run


@pytest.mark.parametrize("make", [
    lambda: ConvNet(width=8),
    lambda: TimmClassifier("resnet10t", options={"channels": [8, 8, 16, 16], "stem_width": 8}),
], ids=["ConvNet", "TimmClassifier"])  # fmt: skip
def test_others_too_and_what_is_not_known_is_left_out(make: Any, tmp_path: Path) -> None:
    guide = make()
    guide.save_pretrained(tmp_path)
    again = Guide.from_pretrained(str(tmp_path))
    assert type(again) is type(guide)
    assert torch.allclose(reads(again), reads(guide), atol=1e-2)  # saved in half precision
    assert torch.equal(reads(type(guide).from_pretrained(tmp_path)), reads(again))
    card = (tmp_path / "README.md").read_text()
    assert "## Training" not in card
    assert "## What it reads right" not in card
    assert "None" not in card


def test_a_clip_with_a_public_name_is_told(tmp_path: Path) -> None:
    guide = EmoGen("muse-mini/clip")
    guide.save_pretrained(tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    assert told["options"] == {"clip": "muse-mini/clip"}
    assert told["needs"] == []
    again = Guide.from_pretrained(tmp_path)
    assert isinstance(again, EmoGen)
    assert torch.allclose(again.fc.weight, guide.fc.weight, atol=1e-3)
    assert "--model.guide.clip muse-mini/clip" in (tmp_path / "README.md").read_text()


class Hub:
    """Takes what is pushed, or refuses it."""

    refuses: Exception | None = None

    def __init__(self, token: Any = None) -> None:
        self.token = token

    def create_repo(self, repo_id: str, private: bool | None, exist_ok: bool) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.made = (repo_id, private, exist_ok)
        return SimpleNamespace(repo_id=repo_id)

    def upload_folder(self, repo_id: str, folder_path: str, commit_message: str) -> str:
        Hub.files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
        Hub.about = (self.token, self.made, repo_id, commit_message.split(",")[0])
        return "https://commit"


def test_to_the_hub_and_back(
    shared: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muse.guides.hub.HfApi", Hub)
    guide = Guide.from_pretrained(shared, clip=str(run / "clip"))
    assert guide.push_to_hub("me/simemo", private=True, token="t") == "https://commit"
    assert Hub.about == ("t", ("me/simemo", True, True), "me/simemo", "SimEmo")
    assert set(Hub.files) == FILES
    assert b'Guide.from_pretrained("me/simemo", clip=...)' in Hub.files["README.md"]

    def fetched(name: str, **options: Any) -> str:
        assert name == "me/simemo"
        assert (options["revision"], options["token"]) == ("v1", None)
        for file in options["allow_patterns"]:
            (tmp_path / file).write_bytes(Hub.files[file])
        return str(tmp_path)

    monkeypatch.setattr("muse.guides.hub.snapshot_download", fetched)
    again = Guide.from_pretrained("me/simemo", revision="v1", clip=str(run / "clip"))
    assert torch.equal(reads(again), reads(guide))
    for error, says in (
        (OSError("401 Client Error\nmore lines"), "401 Client Error"),
        (HTTPError("no route to the hub"), "no route to the hub"),  # what a lost network raises
    ):
        monkeypatch.setattr(Hub, "refuses", error)
        with pytest.raises(MuseError, match=rf"The hub doesn't take 'me/simemo' \({says}\)"):
            guide.push_to_hub("me/simemo")


def test_what_is_refused(
    shared: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MuseError, match="doesn't say its clip, which SimEmo needs"):
        Guide.from_pretrained(shared)
    with pytest.raises(MuseError, match="holds a SimEmo, and no EmoGen of that name"):
        EmoGen.from_pretrained(shared, clip=str(run / "clip"))
    with pytest.raises(MuseError, match="SimEmo has no option 'width'"):
        Guide.from_pretrained(shared, clip=str(run / "clip"), width=3)
    with pytest.raises(MuseError, match="BayesGuide has no weights of its own to save"):
        BayesGuide().save_pretrained(tmp_path / "no")
    assert not (tmp_path / "no").exists()

    def offline(name: str, **options: Any) -> str:
        raise OSError("no network\nmore lines")

    monkeypatch.setattr("muse.guides.hub.snapshot_download", offline)
    with pytest.raises(MuseError, match=r"No guide under 'me/none' \(no network\)"):
        Guide.from_pretrained("me/none")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"class": "os.system"}, "holds a os.system, and no Guide of that name is imported"),
        ({"class": ["ConvNet"]}, "has no config.json that names a guide's class"),
        ({"class": "ConvNet", "options": {"wide": 3}}, "ConvNet has no option 'wide'"),
        ({"class": "ConvNet", "sha256": "0" * 64}, "are not those that were saved"),
    ],
)
def test_a_folder_of_somebody_elses_is_only_data(
    said: dict[str, Any], why: str, tmp_path: Path
) -> None:
    ConvNet(width=8).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(MuseError, match=why):
        Guide.from_pretrained(tmp_path)


def test_no_weights_to_tell_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["card", str(tmp_path)]) == 2
    assert "There are no weights in" in one_line(capsys)
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"no weights")
    assert main(["card", str(tmp_path)]) == 2
    assert "has several files of weights: a.safetensors, b.safetensors" in one_line(capsys)
    assert main(["card", str(tmp_path / "a.safetensors")]) == 2
    assert "can't be read as weights" in one_line(capsys)


def test_weights_go_on_from_others(run: Path, tmp_path: Path) -> None:
    guide = SimEmo(str(run / "clip"), str(run / "simemo.safetensors"))
    task = EmotionClassification(guide, str(tmp_path / "more.safetensors"), augment=False)
    fit(task, _Bright())
    again = SimEmo(str(run / "clip"), str(tmp_path / "more.safetensors"))
    assert again.trained is not None
    assert again.trained["before"] is True


def test_a_guide_of_random_weights_was_never_trained(run: Path, tmp_path: Path) -> None:
    guide = SimEmo(str(run / "clip"))
    assert guide.trained is None
    fit(EmotionClassification(guide, str(tmp_path / "new.safetensors"), augment=False), _Bright())
    again = SimEmo(str(run / "clip"), str(tmp_path / "new.safetensors"))
    assert again.trained
    assert "before" not in again.trained
