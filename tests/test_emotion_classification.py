"""Training emotion classifiers: the recipes, resuming, and what is saved and said."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import CLIPConfig, CLIPModel

from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.data import FI, feeling_caption
from muse.guides import ConvNet, EmoGen, Guide, SimEmo, TimmClassifier
from muse.mini import SceneData, save_tokenizer
from muse.mini.content import ContentClassifier
from muse.pretrained.clip import Clip
from muse.tasks import ContentClassification, EmotionClassification
from muse.tasks.resuming import check_checkpoint
from tests.test_emotion_data import emoset, fi

ROOT = Path(__file__).parents[1]
CPU = ["--trainer.accelerator=cpu", "--trainer.precision=32", "--trainer.enable_progress_bar=false"]


def with_words(folder: Path) -> Clip:
    """A CLIP of a few thousand random weights and a tokenizer, saved into a folder."""
    torch.manual_seed(0)
    tokenizer = save_tokenizer(folder)
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    ends = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config={
            **small,
            **ends,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": tokenizer.model_max_length,
        },
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    model = CLIPModel(config).eval()
    model.save_pretrained(folder)
    clip = Clip(model, tokenizer)
    clip.preprocess.processor.save_pretrained(folder)
    return clip


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return with_words(tmp_path / "clip")


class _Told(Guide):
    """Reads the emotion off the picture's brightness, classes in FI's order."""

    def __init__(self, always: str | None = None) -> None:
        super().__init__()
        self.labels = tuple(sorted(EMOTIONS))
        self.always = always
        self.scale = torch.nn.Parameter(torch.tensor(10.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        emotions = [EMOTIONS[round(8 * float(row.mean()))] for row in image]
        at = [self.labels.index(self.always or emotion) for emotion in emotions]
        return self.scale * F.one_hot(torch.tensor(at), 8)


class _Bright(L.LightningDataModule):
    """Batches whose brightness is the emotion: each once, and awe twice more."""

    def _batch(self) -> DataLoader[dict]:
        emotion = torch.tensor([*range(8), 1, 1])
        image = (emotion / 8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
        captions = [feeling_caption(EMOTIONS[e]) for e in emotion.tolist()]
        return DataLoader([{"image": image, "emotion": emotion, "caption": captions}], None)

    def train_dataloader(self) -> DataLoader[dict]:
        return self._batch()

    def val_dataloader(self) -> DataLoader[dict]:
        return self._batch()


def fit(
    task: EmotionClassification, data: L.LightningDataModule, ckpt: Path | None = None, **options
) -> L.Trainer:
    """A tiny, quiet run."""
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = L.Trainer(**{**quiet, "max_epochs": 1, **options})
    trainer.fit(task, data, ckpt_path=ckpt, weights_only=True if ckpt else None)
    return trainer


def scenes(**options) -> SceneData:
    return SceneData(
        **{"count": 8, "val_count": 8, "batch_size": 8, "captions": "feeling"} | options
    )


# --- the recipes -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs/guides").iterdir()))
def test_recipes_run_on_data_sets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = (fi if name.endswith("_fi") else emoset)(tmp_path / "data", each=2)
    clip = with_words(tmp_path / "clip")
    words = ["--config", str(ROOT / "configs" / "guides" / f"{name}.yaml"), *CPU]
    words += ["--data.root", str(root), "--data.workers=0", "--data.batch_size=8"]
    words += ["--trainer.max_epochs=2", "--trainer.log_every_n_steps=1"]
    if name.startswith("timm"):
        words += ["--model.guide.pretrained=false", "--model.guide.model=test_resnet"]
    else:
        words += ["--model.guide.clip", str(tmp_path / "clip")]
    assert main(["fit", *words]) == 0
    output = tmp_path / "runs" / name / f"{name.partition('_')[0]}.safetensors"
    [line] = [line for line in capsys.readouterr().out.splitlines() if "saved to" in line]
    assert line.startswith("val/accuracy 0.")
    assert f"saved to runs/{name}/{output.name}" in line
    metrics = (output.parent / "version_0" / "metrics.csv").read_text().splitlines()
    for column in ("train/loss", "val/loss", "val/accuracy", "val/accuracy/awe"):
        assert column in metrics[0].split(",")
    again: Guide
    if name.startswith("timm"):
        again = TimmClassifier(checkpoint=str(output))
        assert again.metadata["model"] == "test_resnet"
    else:
        kind = SimEmo if name.startswith("simemo") else EmoGen
        again = kind(clip, str(output))
        assert again.clip.tuned == (kind is SimEmo)
        assert again.labels == kind.published_labels
    assert again.read(torch.rand(1, 3, 32, 32)).shape == (1, 8)
    assert main(["card", str(output.parent)]) == 0
    card = capsys.readouterr().out
    assert (
        f"{type(again).__name__}, trained on {'FI' if name.endswith('_fi') else 'EmoSet'}" in card
    )
    for told in ("| epoch | ", "| training pictures | 16 |", "Of 16 validation pictures"):
        assert told in card
    assert str(tmp_path) not in card
    last = tmp_path / "runs" / name / "last.ckpt"
    assert [path.name for path in last.parent.glob("*.ckpt")] == ["last.ckpt"]
    before = torch.load(last, weights_only=True)
    assert main(["fit", *words, "--trainer.max_epochs=3", "--ckpt_path", str(last)]) == 0
    after = torch.load(last, weights_only=True)
    assert (before["epoch"], after["epoch"]) == (1, 2)
    assert (before["global_step"], after["global_step"]) == (4, 6)


def test_a_checkpoint_that_can_not_be_gone_on_from_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--config", str(ROOT / "configs" / "guides" / "timm_emoset.yaml"), *CPU]
    words += ["--data.root", str(emoset(tmp_path / "data", each=2)), "--data.workers=0"]
    words += ["--data.batch_size=8", "--model.guide.pretrained=false"]
    words += ["--model.guide.model=test_resnet", "--ckpt_path"]
    assert main(["fit", *words, "gone.ckpt"]) == 2
    assert "There is no checkpoint at 'gone.ckpt'" in capsys.readouterr().err
    trainer = L.Trainer(logger=False, accelerator="cpu", max_epochs=1, enable_checkpointing=False)
    trainer.fit(EmotionClassification(_Told(), "a.safetensors"), _Bright())
    trainer.save_checkpoint("other.ckpt")
    whole = Path("other.ckpt").read_bytes()
    torch.save({"a": torch.zeros(1)}, "weights.ckpt")
    for name, held in (("cut", whole[:500]), ("text", b"hello"), ("empty", b"")):
        Path(f"{name}.ckpt").write_bytes(held)
    for name, told in (
        ("cut", "is only the beginning"),
        ("text", "is no checkpoint"),
        ("empty", "is empty"),
        ("weights", "holds no training to go on with"),
    ):
        with pytest.raises(MuseError, match=told):
            check_checkpoint(f"{name}.ckpt")
    assert main(["fit", *words, "other.ckpt"]) == 2
    assert "The checkpoint is another model's: " in capsys.readouterr().err


@pytest.mark.parametrize("task", ["emotion", "content"])
def test_an_output_that_can_not_be_written_is_told_before_the_training(
    tmp_path: Path, task: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    output = str(tmp_path / "file" / "guide.safetensors")
    content = partial(ContentClassification, ContentClassifier())
    made = (content if task == "content" else partial(EmotionClassification, _Told()))(output)
    with pytest.raises(MuseError, match=r"Choose another one with --model\.output"):
        fit(made, _Bright())  # type: ignore[arg-type]


def test_published_recipe_is_simemos() -> None:
    for name in ("simemo_emoset", "simemo_fi"):
        recipe = yaml.safe_load((ROOT / "configs" / "guides" / f"{name}.yaml").read_text())
        options = recipe["model"]["init_args"]
        assert recipe["trainer"]["max_epochs"] == 25
        assert options["guide"]["init_args"]["clip"] == "openai/clip-vit-large-patch14"
        assert (options["learning_rate"], options["tower_rate"]) == (1e-3, 1e-6)
        assert (options["weight_decay"], recipe["data"]["init_args"]["batch_size"]) == (0, 32)
        assert "gradient_clip_val" not in recipe["trainer"]
        assert (options["tower_from_epoch"], options["halve_every"]) == (3, 6)
        assert (options["language_weight"], options["augment"]) == (0.3, False)


@pytest.mark.parametrize("name", ["simemo", "emogen", "judge", "timm", "simemo_fi"])
def test_recipes_of_muse_mini_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with_words(tmp_path / "clip")
    words = ["--config", str(ROOT / "configs" / "mini" / f"{name}.yaml"), *CPU]
    words += ["--model.output", str(tmp_path / "guide.safetensors"), "--trainer.max_epochs=1"]
    words += ["--data.count=8", "--data.batch_size=8", "--data.val_count=8"]
    words += ["--data.render_workers=0", "--trainer.logger=false"]
    if name in ("simemo", "emogen", "simemo_fi"):
        words += ["--model.guide.clip", str(tmp_path / "clip")]
    assert main(["fit", *words]) == 0
    assert "saved to" in capsys.readouterr().out
    assert (tmp_path / "guide.safetensors").is_file()


def test_a_missing_data_set_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with_words(tmp_path / "clip")
    words = ["--config", str(ROOT / "configs" / "guides" / "emogen_emoset.yaml"), *CPU]
    words += ["--model.guide.clip", str(tmp_path / "clip")]
    assert main(["fit", *words]) == 2
    assert "root" in capsys.readouterr().err
    assert main(["fit", *words, "--data.root", str(tmp_path / "nowhere")]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "No EmoSet-118K at" in line
    assert "looked for train.json and val.json" in line


# --- learning ----------------------------------------------------------------------------------


def test_loss_is_0_7_ce_and_0_3_of_1_minus_cosine(clip: Clip, tmp_path: Path) -> None:
    guide = SimEmo(clip)
    output = str(tmp_path / "a.safetensors")
    task = EmotionClassification(guide, output, language_weight=0.3, tower_rate=1e-4)
    clip = guide.clip
    image, emotion = torch.rand(4, 3, 32, 32), torch.tensor([0, 3, 3, 7])
    captions = [feeling_caption(EMOTIONS[e], ("a tree",)) for e in emotion.tolist()]
    calls = []
    clip.model.vision_model.register_forward_hook(lambda *_: calls.append(1))
    loss, logits = task._losses({"image": image, "emotion": emotion, "caption": captions}, image)
    assert len(calls) == 1
    cosine = F.cosine_similarity(clip.image(image), clip.text(captions))
    expected = 0.7 * F.cross_entropy(logits, emotion) + 0.3 * (1 - cosine).mean()
    assert torch.allclose(loss, expected, atol=1e-6)
    assert torch.equal(logits, guide.read(image))
    loss.backward()
    slope = clip.model.visual_projection.weight.grad.clone()
    clip.model.zero_grad()
    F.cross_entropy(guide.read(image), emotion).mul(0.7).backward()
    assert not torch.allclose(slope, clip.model.visual_projection.weight.grad)  # language took part
    assert clip.model.text_projection.weight.grad is None


def test_the_tower_learns_from_its_epoch_on(clip: Clip, tmp_path: Path) -> None:
    task = EmotionClassification(
        SimEmo(clip),
        str(tmp_path / "a.safetensors"),
        language_weight=0.3,
        tower_rate=1e-3,
        tower_from_epoch=2,
    )
    model = task.guide.clip.model
    seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    class _Look(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            weights = (
                model.visual_projection.weight,
                task.guide.classifier[2].weight,
                model.text_projection.weight,
            )
            seen.append(tuple(weight.detach().clone() for weight in weights))

    first = clip.model.visual_projection.weight
    fit(task, scenes(), max_epochs=3, callbacks=[_Look()])
    tower, head, text = zip(*seen, strict=True)
    assert torch.equal(tower[0], first)
    assert torch.equal(tower[1], first)
    assert not torch.equal(tower[2], first)
    assert not torch.equal(head[0], head[1])
    assert torch.equal(text[0], text[2])


def test_a_tuned_tower_is_saved_with_the_head_and_stays_apart(clip: Clip, tmp_path: Path) -> None:
    output, image = str(tmp_path / "a.safetensors"), torch.rand(4, 3, 32, 32)
    others = (EmoGen(clip), SimEmo(clip))
    before = [guide(image) for guide in others]
    options = {"tower_rate": 1e-2, "augment": False}
    for kind in (SimEmo, EmoGen):
        trained = kind(clip)
        fit(EmotionClassification(trained, output, **options), scenes(count=16))
        again = kind(clip, output)
        assert again.clip.tuned
        assert not torch.allclose(again.clip.image(image), clip.image(image), atol=0.1)
        assert torch.allclose(again(image), trained(image), atol=5e-3)  # saved in half precision
    # The tower stays with a head that goes on alone.
    fit(EmotionClassification(again, output), scenes())
    assert torch.equal(EmoGen(clip, output).clip.image(image), again.clip.image(image))
    assert all(torch.equal(guide(image), old) for guide, old in zip(others, before, strict=True))


def test_the_tower_has_rates_of_its_own(clip: Clip, tmp_path: Path) -> None:
    options = {"weight_decay": 0.0, "tower_rate": 1e-4, "tower_from_epoch": 1, "halve_every": 2}
    task = EmotionClassification(SimEmo(clip), str(tmp_path / "a.safetensors"), **options)
    found = task.configure_optimizers()
    optimizer, schedule = found["optimizer"], found["lr_scheduler"]
    groups = optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.0, 1e-5, 1e-5]
    assert groups[0]["params"] == list(task.guide.classifier.parameters())
    rates = []
    for _ in range(6):
        rates.append([group["lr"] for group in groups])
        optimizer.step()
        schedule.step()
    head, tower, projection = zip(*rates, strict=True)
    assert head == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4])
    assert tower == projection == pytest.approx([1e-4, 1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5])


def test_rates_halve_or_make_one_cycle(clip: Clip, tmp_path: Path) -> None:
    rates = {}
    for halve_every in (2, None):
        task = EmotionClassification(
            EmoGen(clip), str(tmp_path / "a.safetensors"), halve_every=halve_every
        )
        logger = CSVLogger(tmp_path, name=str(halve_every))
        monitor = LearningRateMonitor("step")
        options = {"logger": logger, "callbacks": [monitor], "log_every_n_steps": 1}
        fit(task, scenes(count=16), max_epochs=6, **options)
        rates[halve_every] = monitor.lrs["lr-AdamW"]
    assert rates[2] == pytest.approx([1e-3] * 4 + [5e-4] * 4 + [2.5e-4] * 4)
    peak = max(range(12), key=rates[None].__getitem__)
    assert 0 < peak < 4
    assert rates[None] == sorted(rates[None][:peak]) + sorted(rates[None][peak:], reverse=True)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    def run(*pieces: int) -> tuple[torch.Tensor, float]:
        """The weights and the best accuracy after stopping at these epochs."""
        last: Path | None = None
        for epochs in pieces:
            guide = SimEmo(with_words(tmp_path / "clip"))
            task = EmotionClassification(
                guide,
                str(tmp_path / "a.safetensors"),
                language_weight=0.3,
                tower_rate=5e-4,
                tower_from_epoch=1,
                halve_every=1,
                augment=False,
            )
            if not last:
                torch.manual_seed(1)
            for weight in [*guide.classifier.parameters(), *task._tower()[1].parameters()]:
                torch.nn.init.normal_(weight, std=0.1)  # after a stop, the checkpoint must undo it
            keep = ModelCheckpoint(tmp_path / f"{len(pieces)}", f"{epochs}")
            fit(
                task, scenes(), last, max_epochs=epochs, callbacks=[keep], enable_checkpointing=True
            )
            last = Path(keep.best_model_path)
        return torch.cat([w.detach().flatten() for w in guide.parameters()]), float(task.best)

    (straight, best), (resumed, again) = run(3), run(2, 3)
    assert torch.equal(straight, resumed)
    assert best == again >= 0


def test_checkpoints_leave_frozen_weights_to_the_guide(clip: Clip, tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, "last")
    task = EmotionClassification(EmoGen(clip), str(tmp_path / "a.safetensors"))
    fit(task, scenes(), enable_checkpointing=True, callbacks=[keep])
    kept = torch.load(keep.best_model_path, weights_only=True)["state_dict"]
    assert set(kept) == {"best", "guide.fc.weight", "guide.fc.bias"}
    other = EmotionClassification(SimEmo(clip), str(tmp_path / "b.safetensors"))
    with pytest.raises(MuseError, match=r"another model.s: Missing key"):
        fit(other, scenes(), Path(keep.best_model_path), max_epochs=2)


# --- reading, and keeping the best -------------------------------------------------------------


def test_emotions_are_matched_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.safetensors"
    trainer = fit(EmotionClassification(_Told(), str(output), augment=False), _Bright())
    assert trainer.callback_metrics["val/accuracy"] == 1
    assert trainer.callback_metrics["train/accuracy"] == 1
    assert trainer.callback_metrics["val/loss"] < 1e-2
    assert capsys.readouterr().out == f"val/accuracy 1.000; saved to {output}\n"


def test_accuracy_is_logged_for_every_emotion(tmp_path: Path) -> None:
    task = EmotionClassification(_Told("awe"), str(tmp_path / "a.safetensors"), augment=False)
    found = fit(task, _Bright()).callback_metrics
    assert found["val/accuracy"] == pytest.approx(3 / 10)
    assert {e: float(found[f"val/accuracy/{e}"]) for e in EMOTIONS} == {
        e: float(e == "awe") for e in EMOTIONS
    }


def test_the_best_weights_are_kept_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.safetensors"
    task = EmotionClassification(ConvNet(width=8), str(output), augment=False)
    values = iter([0.5, 0.9, 0.3, 0.9])
    monkeypatch.setattr(task.accuracy, "compute", lambda: torch.tensor(next(values)))
    seen = []

    class _Look(L.Callback):
        def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            seen.append(task.guide.fc.bias.detach().clone())

    options = {"num_sanity_val_steps": 0, "callbacks": [_Look()]}
    fit(task, scenes(), max_epochs=4, **options)
    kept = ConvNet(str(output), width=8).fc.bias.detach()
    distances = [float((kept - bias).abs().max()) for bias in seen]
    assert distances[1] < 1e-4 < min(distances[0], *distances[2:])
    assert "val/accuracy 0.900; saved to" in capsys.readouterr().out


def test_a_run_without_validation_saves_its_last_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.safetensors"
    output.write_bytes(b"of an older run")
    task = EmotionClassification(ConvNet(width=8), str(output))
    fit(task, scenes(), limit_val_batches=0)
    assert torch.allclose(ConvNet(str(output), width=8).fc.bias, task.guide.fc.bias, atol=1e-4)
    assert capsys.readouterr().out == f"never validated; saved to {output}\n"


def test_best_weights_that_are_gone_are_not_claimed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.safetensors"

    class _Lose(L.Callback):
        def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            output.unlink()

    task = EmotionClassification(_Told(), str(output), augment=False)
    fit(task, _Bright(), callbacks=[_Lose()])
    assert output.is_file()
    told = "the last weights, as the best ones (val/accuracy 1.000) are gone"
    assert capsys.readouterr().out == f"{told}; saved to {output}\n"


def test_data_comes_at_the_size_that_the_classifier_reads(clip: Clip, tmp_path: Path) -> None:
    root = fi(tmp_path / "FI", each=1)
    for guide, size in ((EmoGen(clip), 32), (ConvNet(width=8), 64), (_Told(), 224)):
        task = EmotionClassification(guide, str(tmp_path / "a.safetensors"))
        data = FI(str(root), batch_size=8, workers=0)
        fit(task, data, limit_train_batches=0)
        assert data.train_set[0]["image"].shape == (3, size, size)
        data = FI(str(root), batch_size=8, workers=0, size=16)
        fit(task, data, limit_train_batches=0)
        assert data.val_set[0]["image"].shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"output": "a.pt"}, r"output='a.pt' must end in \.safetensors"),
        ({"language_weight": 0.3}, "give tower_rate > 0"),
        ({"language_weight": 1.0, "tower_rate": 1e-6}, "lies in"),
        ({"tower_from_epoch": 3}, "tower_from_epoch=3, tower_rate=0.0"),
        ({"tower_from_epoch": -1, "tower_rate": 1e-6}, "tower_from_epoch=-1"),
        ({"halve_every": 0}, "halve_every=0"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1"),
        ({"guide": ConvNet(width=8), "tower_rate": 1e-6}, "ConvNet has no CLIP"),
    ],
)
def test_options_that_contradict_each_other(clip: Clip, options: dict, told: str) -> None:
    with pytest.raises(MuseError, match=told) as caught:
        EmotionClassification(**{"guide": SimEmo(clip), "output": "a.safetensors", **options})
    assert "\n" not in str(caught.value)


def test_other_classes_are_refused_before_any_training() -> None:
    guide = _Told()
    guide.labels = ("joy", *guide.labels[1:])
    with pytest.raises(MuseError, match="unknown joy"):
        EmotionClassification(guide, "a.safetensors")
