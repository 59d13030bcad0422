"""Training an emotion classifier, any `Guide`."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from muse.core.emotions import EMOTIONS, order_of
from muse.core.files import make_folder
from muse.core.types import MuseError
from muse.data.emotion_pictures import EmotionBatch
from muse.guides import Guide, save_classifier
from muse.mini.augment import degrade
from muse.mini.optimizing import with_one_cycle
from muse.pretrained.clip import Clip, features
from muse.runs.records import versions
from muse.tasks.resuming import Resumable

TOWER_DECAY = 1e-5
"""The weight decay of a CLIP's visual tower in SimEmo's code (dsn0w/SimEmotion)."""


class EmotionClassification(Resumable):
    r"""Trains a `Guide` and saves the weights that read the validation pictures best.

    :math:`L = (1 - w) CE(logits, emotion) + w \, mean(1 - \cos(image, text))`, the second term
    only with `language_weight` w > 0: SimEmo's language-supervised loss (w = 0.3), where the text
    is the batch's caption and holds the emotion's words. It reaches the picture's tower alone, so
    w > 0 needs `tower_rate` > 0. A CLIP inside stays frozen otherwise.

    Batches are those of `muse.data.EmoSet`, `muse.data.FI` or `muse.mini.SceneData`. Logged are
    loss and accuracy, and at each validation's end the accuracy of every emotion. The saved file
    notes how its weights were trained, and the confusion of that validation (`Guide.trained`).

    Args:
        guide: the classifier, with random weights or ones to go on from.
        output: the file to save to, ends in .safetensors. A CLIP is left out of it, but for a
            visual tower that was trained.
        learning_rate: of the head, or of the whole network (AdamW).
        weight_decay: of the same; 0 makes it Adam. The CLIP's visual tower has SimEmo's 1e-5.
        language_weight: w.
        tower_rate: learning rate of the CLIP's visual tower; 0 keeps it frozen.
        tower_from_epoch: the first epoch, counted from 0, in which the tower learns.
        halve_every: epochs after which the rates halve, again and again (SimEmo: 6), the tower's
            counted from its first; None lets them rise and fall in one cycle over the run.
        augment: whether to train on slightly damaged pictures (`muse.mini.augment`).

    Raises:
        MuseError: for options that contradict each other or the guide.
    """

    best: Tensor

    def __init__(
        self,
        guide: Guide,
        output: str,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        language_weight: float = 0.0,
        tower_rate: float = 0.0,
        tower_from_epoch: int = 0,
        halve_every: int | None = None,
        augment: bool = True,
    ) -> None:
        super().__init__()
        self.guide = guide
        self.output = Path(output)
        self.learning_rate, self.tower_rate = learning_rate, tower_rate
        self.weight_decay = weight_decay
        self.language_weight, self.tower_from_epoch = language_weight, tower_from_epoch
        self.before = guide.trained is not None
        self.halve_every, self.augment = halve_every, augment
        self._check()
        order_of(guide.labels)  # refuses other classes before any training
        if self.clip is not None:
            self.clip.requires_grad_(False)
            if tower_rate > 0:  # others may share the CLIP
                guide.clip = self.clip.with_own_tower()
        for part in self._tower():
            part.requires_grad_(True)
        self.accuracy = MulticlassAccuracy(len(EMOTIONS), average="micro")
        self.accuracies = MulticlassAccuracy(len(EMOTIONS), average="none")
        self.confusion = MulticlassConfusionMatrix(len(EMOTIONS))
        # The best validation accuracy so far; a buffer, so that a resumed run knows it.
        self.register_buffer("best", torch.tensor(-1.0))

    def _check(self) -> None:
        name, w = type(self.guide).__name__, self.language_weight
        if self.output.suffix != ".safetensors":
            raise MuseError(f"output={str(self.output)!r} must end in .safetensors.")
        if self.weight_decay < 0:
            raise MuseError(f"weight_decay={self.weight_decay} is not allowed. Use 0 or more.")
        if (w > 0 or self.tower_rate > 0) and self.clip is None:
            raise MuseError(f"{name} has no CLIP: leave language_weight and tower_rate at 0.")
        if not 0 <= w < 1 or (w > 0 and self.tower_rate <= 0):
            raise MuseError(
                f"language_weight={w}, tower_rate={self.tower_rate}: the language term lies in "
                "[0, 1) and only reaches the visual tower; give tower_rate > 0 with it."
            )
        if self.tower_from_epoch < 0 or (self.tower_from_epoch > 0 and self.tower_rate <= 0):
            raise MuseError(
                f"tower_from_epoch={self.tower_from_epoch}, tower_rate={self.tower_rate}: use 0 or "
                "more, and above 0 only with tower_rate > 0."
            )
        if self.halve_every is not None and self.halve_every < 1:
            raise MuseError(f"halve_every={self.halve_every} is not allowed. Use 1 or more.")

    @property
    def clip(self) -> Clip | None:
        """The CLIP inside the guide, if there is one."""
        clip = getattr(self.guide, "clip", None)
        return clip if isinstance(clip, Clip) else None

    @property
    def picture_size(self) -> int:
        """The side of the pictures that the guide reads: what data modules bring them to."""
        return int(getattr(self.clip or self.guide, "size", 224))

    def _tower(self) -> list[nn.Module]:
        """The parts of the CLIP that are trained."""
        if self.clip is None or self.tower_rate <= 0:
            return []
        return self.clip.tower

    def _losses(self, batch: EmotionBatch, image: Tensor) -> tuple[Tensor, Tensor]:
        if self.clip is None or self.language_weight == 0:
            logits = self.guide.read(image).float()
            return F.cross_entropy(logits, batch["emotion"]), logits
        # One pass of the tower serves both terms: its features are caught as the guide reads.
        caught: list[Tensor] = []
        catch = self.clip.tower[-1].register_forward_hook(
            lambda _module, _inputs, output: caught.append(features(output))
        )
        with catch:
            logits = self.guide.read(image).float()
        text = self.clip.text(batch["caption"])
        distance = 1.0 - F.cosine_similarity(caught[0].float(), text.float()).mean()
        loss = F.cross_entropy(logits, batch["emotion"])
        return (1.0 - self.language_weight) * loss + self.language_weight * distance, logits

    def on_fit_start(self) -> None:
        """Makes the output's folder: that it can't be written to is told before the training."""
        if self.trainer.is_global_zero:
            make_folder(self.output.parent, "--model.output")

    def training_step(self, batch: EmotionBatch) -> Tensor:
        """The loss of one batch."""
        image = degrade(batch["image"]) if self.augment else batch["image"]
        loss, logits = self._losses(batch, image)
        accuracy = (logits.argmax(-1) == batch["emotion"]).float().mean()
        self.log_dict({"train/loss": loss, "train/accuracy": accuracy}, prog_bar=True)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Keeps the tower as it is until its first epoch."""
        # Not by requires_grad: data-parallel training fixes at its start what has gradients.
        if self.current_epoch < self.tower_from_epoch:
            for part in self._tower():
                for parameter in part.parameters():
                    parameter.grad = None

    def validation_step(self, batch: EmotionBatch) -> None:
        """Logs `val/loss`, counts what is read right."""
        loss, logits = self._losses(batch, batch["image"])
        self.log("val/loss", loss, batch_size=len(logits), sync_dist=True)
        self.accuracy.update(logits, batch["emotion"])
        self.accuracies.update(logits, batch["emotion"])
        self.confusion.update(logits, batch["emotion"])

    def on_validation_epoch_end(self) -> None:
        """Logs `val/accuracy` and `val/accuracy/<emotion>`; saves the guide if it is the best."""
        accuracy, accuracies = self.accuracy.compute(), self.accuracies.compute()
        confusion: list[list[int]] = self.confusion.compute().tolist()
        for metric in (self.accuracy, self.accuracies, self.confusion):
            metric.reset()
        self.log("val/accuracy", accuracy, prog_bar=True)
        each = {f"val/accuracy/{name}": accuracies[i] for i, name in enumerate(EMOTIONS)}
        self.log_dict(each)
        if not self.trainer.sanity_checking and accuracy > self.best:
            self.best.copy_(accuracy)
            self._save(confusion)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, the visual tower at its own rate; one cycle, or halved every so often."""
        inside = {id(p) for p in self.clip.parameters()} if self.clip else set()
        head = [p for p in self.guide.parameters() if id(p) not in inside]
        groups: list[dict[str, Any]] = [
            {"params": head, "lr": self.learning_rate, "weight_decay": self.weight_decay}
        ]
        groups += [
            {"params": part.parameters(), "lr": self.tower_rate, "weight_decay": TOWER_DECAY}
            for part in self._tower()
        ]
        optimizer = torch.optim.AdamW(groups)
        if self.halve_every is None:
            return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)
        starts = [0, *[self.tower_from_epoch] * (len(groups) - 1)]
        shares: list[Callable[[int], float]] = [
            partial(_halved, self.halve_every, start) for start in starts
        ]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, shares)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves the frozen weights out: gigabytes that the guide brings itself."""
        super().on_save_checkpoint(checkpoint)
        for name in self._frozen():
            del checkpoint["state_dict"][name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Puts the frozen weights back in, so that everything is still checked."""
        super().on_load_checkpoint(checkpoint)
        own = self.state_dict()
        checkpoint["state_dict"].update({name: own[name] for name in self._frozen()})

    def _frozen(self) -> list[str]:
        weights = self.named_parameters(remove_duplicate=False)
        return [name for name, weight in weights if not weight.requires_grad]

    def on_fit_end(self) -> None:
        """Says how good the saved guide is; saves the last one where the best is not there."""
        if not self.trainer.is_global_zero:
            return
        quality = f"val/accuracy {self.best:.3f}" if self.best >= 0 else "never validated"
        if self.best < 0 or not self.output.is_file():
            self._save()
            if self.best >= 0:  # a resumed run with another output, say
                quality = f"the last weights, as the best ones ({quality}) are gone"
        print(f"{quality}; saved to {self.output}")

    def _save(self, confusion: list[list[int]] | None = None) -> None:
        if self.trainer.is_global_zero:
            told = {} if confusion is None else {"validation": {"confusion": confusion}}
            self.guide.trained = {**self._told(), **told}
            save_classifier(self.guide, self.guide.labels, self.output)

    def _told(self) -> dict[str, Any]:
        """How the guide has been trained so far: what its card tells."""
        trainer, data = self.trainer, getattr(self.trainer, "datamodule", None)
        recipe: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("learning_rate", "weight_decay", "language_weight", "augment")
        }
        if self.tower_rate > 0:
            recipe |= {"tower_rate": self.tower_rate, "tower_from_epoch": self.tower_from_epoch}
        recipe |= {} if self.halve_every is None else {"halve_every": self.halve_every}
        recipe |= {"accumulate_grad_batches": trainer.accumulate_grad_batches}
        recipe |= {"devices": trainer.world_size, "precision": trainer.precision}
        seed = os.environ.get("PL_GLOBAL_SEED")  # where Lightning keeps the one that was set
        recipe |= {} if seed is None else {"seed": int(seed)}
        told: dict[str, Any] = {"schema": 1, "guide": type(self.guide).__name__}
        if data is not None:
            told["data"] = {"name": type(data).__name__}
            loader = trainer.train_dataloader
            if isinstance(loader, DataLoader) and loader.batch_size is not None:
                told["data"]["train"] = len(loader.dataset)  # type: ignore[arg-type]
            if isinstance(getattr(data, "batch_size", None), int):
                told["data"]["batch_size"] = data.batch_size
        epochs = trainer.max_epochs or 0
        # At the end of the fit the epoch that is counted is one that never began.
        epoch = min(trainer.current_epoch + 1, epochs) if epochs > 0 else trainer.current_epoch + 1
        told |= {"recipe": recipe, "epoch": epoch}
        told |= {"epochs": epochs} if epochs > 0 else {}
        told |= {"before": True} if self.before else {}
        return {**told, "versions": versions()}


def _halved(every: int, start: int, epoch: int) -> float:
    """What is left of a rate that halves every so many epochs from `start` on."""
    return float(0.5 ** (max(epoch - start, 0) // every))
