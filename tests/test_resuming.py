"""Training that goes on from a checkpoint ends, bit for bit, where an uninterrupted run ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from muse.guides import ConvNet, EmoGen
from muse.mini import SceneData
from muse.mini.content import ContentClassifier
from muse.mini.export import save_clip, save_part
from muse.mini.shuffling import Shuffling
from muse.tasks import (
    AutoEncoding,
    ContentClassification,
    Contrastive,
    DecoderTuning,
    EmotionClassification,
    LatentDiffusion,
    LatentFlow,
    PreviewDecoding,
)
from muse.tasks.contrastive import text_encoder_of
from muse.tasks.resuming import Resumable, random_streams

Made = Callable[[Path], Resumable]


def _small_clip(folder: Path) -> Contrastive:
    return Contrastive(str(folder), 32, 1, 32, 1, projection_dim=16)


TASKS: dict[str, Made] = {
    "autoencoder": lambda folder: AutoEncoding(str(folder), channels=(8, 8, 16, 16)),
    "decoder": lambda folder: DecoderTuning(str(folder)),
    "preview": lambda folder: PreviewDecoding(str(folder), 32, 8),
    "clip": _small_clip,
    "diffusion": lambda folder: LatentDiffusion(str(folder), channels=(32, 32)),
    "flow": lambda folder: LatentFlow(str(folder), str(folder / "flow"), width=32, layers=1),
    "judge": lambda folder: EmotionClassification(ConvNet(), str(folder / "judge.safetensors")),
    "emogen": lambda folder: EmotionClassification(
        EmoGen(str(folder / "clip")), str(folder / "emogen.safetensors")
    ),
    "content": lambda folder: ContentClassification(
        ContentClassifier(), str(folder / "content.safetensors")
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts that the tasks begin with, untrained."""
    folder = tmp_path_factory.mktemp("pipeline")
    torch.manual_seed(0)
    save_part(AutoEncoding(str(folder), channels=(8, 8, 16, 16)).vae, folder / "vae")
    clip = _small_clip(folder).clip
    save_clip(clip, folder / "clip")
    save_part(text_encoder_of(clip.model), folder / "text_encoder")
    return folder


def fit(task: Resumable, *callbacks: L.Callback, ckpt: Path | None = None, **options: Any) -> None:
    """Four steps, three an epoch, on scenes whose captions are drawn anew at every visit."""
    trainer = L.Trainer(
        **{"max_steps": 4, "limit_val_batches": 1, **options},
        accelerator="cpu",
        logger=False,
        enable_checkpointing=bool(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    data = SceneData(count=14, val_count=4, batch_size=4, captions="contrastive")
    trainer.fit(task, data, ckpt_path=ckpt, weights_only=True if ckpt else None)


def train(task: Resumable, into: Path, ckpt: Path | None = None) -> dict[int, Path]:
    """The checkpoints by step; diffusion's weights are averaged, as in its recipe."""
    keep = ModelCheckpoint(into, "{step}", save_top_k=-1, every_n_train_steps=1)
    average = [EMAWeightAveraging(decay=0.9)] if isinstance(task, LatentDiffusion) else []
    fit(task, keep, *average, ckpt=ckpt)
    return {step: into / f"step={step}.ckpt" for step in range(1, 5)}


def leaves(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What a checkpoint holds, by its path in it; but for where checkpoints lie."""
    if isinstance(state, dict | list | tuple):
        for key, value in state.items() if isinstance(state, dict) else enumerate(state):
            if not str(key).startswith("ModelCheckpoint"):
                yield from leaves(value, f"{name}/{key}")
    else:
        layout = state.stride() if isinstance(state, torch.Tensor) else None
        yield name, (state, layout)


def is_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    value, again = one[0], other[0]
    equal = torch.equal(value, again) if isinstance(value, torch.Tensor) else value == again
    return equal and one[1] == other[1]


@pytest.mark.parametrize(("name", "stop"), [*((name, 2) for name in TASKS), ("clip", 3)])
def test_a_resumed_task_ends_as_an_uninterrupted_one(
    folder: Path, tmp_path: Path, name: str, stop: int
) -> None:
    """Weights, their average, optimizer, schedule, random streams and layouts; stopped within an
    epoch and at its end.
    """
    torch.manual_seed(1)
    straight = train(TASKS[name](folder), tmp_path / "straight")
    torch.manual_seed(2)  # another process stands elsewhere
    resumed = train(TASKS[name](folder), tmp_path / "resumed", straight[stop])
    found = dict(leaves(torch.load(straight[4], weights_only=True)))
    again = dict(leaves(torch.load(resumed[4], weights_only=True)))
    assert found.keys() == again.keys()
    # A validation that came after the checkpoint is left out, and with it its counts; Lightning
    # counts one more epoch where steps are given.
    left_out = ("/loops", "/epoch", "/state_dict/best")
    differ = {key for key in found if not is_same(found[key], again[key])}
    assert not {key for key in differ if stop == 2 or not key.startswith(left_out)}
    assert any(key.startswith("/optimizer_states/0/state") for key in found)
    assert (name == "diffusion") == any(key.startswith("/averaging_state") for key in found)


def test_how_often_a_run_is_validated_does_not_change_it(folder: Path) -> None:
    ends = []
    for options in ({"limit_val_batches": 0}, {"val_check_interval": 1}):
        torch.manual_seed(1)
        task = TASKS["clip"](folder)
        fit(task, **options)
        ends.append(torch.cat([weight.detach().flatten() for weight in task.parameters()]))
    assert torch.equal(*ends)


def test_a_checkpoint_that_is_only_read_leaves_the_streams_alone(folder: Path) -> None:
    task, checkpoint = TASKS["content"](folder), {}
    task.on_save_checkpoint(checkpoint)
    torch.manual_seed(3)
    before = random_streams()["cpu"][0]
    task.on_load_checkpoint(checkpoint)
    assert torch.equal(random_streams()["cpu"][0], before)


def test_every_pass_shuffles_anew_and_a_resumed_one_visits_what_is_left() -> None:
    order = Shuffling(10, 8)
    first, second = list(order), list(order)
    assert len(set(first)) == len(set(second)) == len(order) == 8
    assert first != second
    passing = iter(order)
    begun = [next(passing) for _ in range(4)]
    state = order.state_dict()
    again = Shuffling(10, 8)
    again.load_state_dict(state)
    rest = list(passing)
    assert list(again) == rest
    assert len({*begun, *rest}) == 8
    assert list(again) == list(order)
    again.load_state_dict(order.state_dict())
    assert list(again) == list(order)
