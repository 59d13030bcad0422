"""Training an emotion classifier, any `Guide`."""

from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from muse.clip import Clip
from muse.emotions import order_of
from muse.guides import Guide
from muse.mini.augment import degrade
from muse.mini.data import SceneBatch
from muse.mini.export import save_part, save_state
from muse.mini.schedule import with_one_cycle
from muse.types import MuseError


class EmotionClassification(L.LightningModule):
    r"""Trains a `Guide` and saves its weights; a CLIP inside stays frozen unless `tower_rate` > 0.

    :math:`L = (1 - w) CE(logits, emotion) + w \, mean(1 - \cos(image, text))`, the second term
    only with `language_weight` w > 0: SimEmo's language-supervised loss (w = 0.3), where the text
    is the batch's caption and holds the emotion's words. It reaches the picture's tower alone, so
    w > 0 needs `tower_rate` > 0.

    Args:
        guide: the classifier, with random weights or ones to go on from.
        output: the file to save to, ends in .safetensors. A CLIP is left out of it; a trained one
            is saved as a folder beside it, `<name>_clip/`, to be given as the guide's `clip`.
        learning_rate: peak of the one-cycle schedule (AdamW) for the head, or the whole network.
        language_weight: w.
        tower_rate: learning rate of the CLIP's visual tower; 0 keeps it frozen.
        augment: whether to train on slightly damaged pictures (`muse.mini.augment`).

    Raises:
        MuseError: for options that contradict each other or the guide.
    """

    def __init__(
        self,
        guide: Guide,
        output: str,
        learning_rate: float = 1e-3,
        language_weight: float = 0.0,
        tower_rate: float = 0.0,
        augment: bool = True,
    ) -> None:
        super().__init__()
        if not output.endswith(".safetensors"):
            raise MuseError(f"output={output!r} must end in .safetensors.")
        clip = getattr(guide, "clip", None)
        self.clip: Clip | None = clip if isinstance(clip, Clip) else None
        if (language_weight > 0 or tower_rate > 0) and self.clip is None:
            raise MuseError(
                f"{type(guide).__name__} has no CLIP: leave language_weight and tower_rate at 0."
            )
        if not 0 <= language_weight < 1 or (language_weight > 0 and tower_rate <= 0):
            raise MuseError(
                f"language_weight={language_weight}, tower_rate={tower_rate}: the language term "
                "lies in [0, 1) and only reaches the visual tower; give tower_rate > 0 with it."
            )
        self.guide = guide
        self.output = Path(output)
        self.learning_rate, self.tower_rate = learning_rate, tower_rate
        self.language_weight, self.augment = language_weight, augment
        order_of(guide.labels)  # refuses other classes before any training
        if self.clip is not None:
            self.clip.requires_grad_(False)
            if tower_rate > 0:
                self.clip.model.vision_model.requires_grad_(True)
                self.clip.model.visual_projection.requires_grad_(True)

    def _losses(self, batch: SceneBatch, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.guide.read(image).float()
        loss = F.cross_entropy(logits, batch["emotion"])
        if self.language_weight > 0 and self.clip is not None:
            text = self.clip.text(batch["caption"])
            distance = 1.0 - F.cosine_similarity(self.clip.image(image), text).mean()
            loss = (1.0 - self.language_weight) * loss + self.language_weight * distance
        return loss, (logits.argmax(-1) == batch["emotion"]).float().mean()

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The loss of one batch."""
        image = degrade(batch["image"]) if self.augment else batch["image"]
        loss, accuracy = self._losses(batch, image)
        self.log_dict({"train/loss": loss, "train/accuracy": accuracy}, prog_bar=True)
        return loss

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs `val/loss` and `val/accuracy`."""
        loss, accuracy = self._losses(batch, batch["image"])
        self.log_dict(
            {"val/loss": loss, "val/accuracy": accuracy},
            prog_bar=True,
            batch_size=len(batch["image"]),
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, one cycle over the run; the visual tower at its own rate."""
        tower = [p for p in self.clip.parameters() if p.requires_grad] if self.clip else []
        inside = {id(p) for p in self.clip.parameters()} if self.clip else set()
        head = [p for p in self.guide.parameters() if id(p) not in inside]
        groups = [{"params": head, "lr": self.learning_rate}]
        if tower:
            groups.append({"params": tower, "lr": self.tower_rate})
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)

    def on_fit_end(self) -> None:
        """Saves the classifier."""
        if not self.trainer.is_global_zero:
            return
        save_state(self.guide, self.output, tuple(self.guide.labels), without="clip.")
        if self.tower_rate > 0 and self.clip is not None:
            folder = self.output.with_name(f"{self.output.stem}_clip")
            save_part(self.clip.model, folder)
            if self.clip.tokenizer is not None:
                self.clip.tokenizer.save_pretrained(folder)
