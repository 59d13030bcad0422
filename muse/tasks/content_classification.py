"""Training the classifier of what muse-mini's pictures show."""

from pathlib import Path

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from muse.core.files import make_folder
from muse.core.types import MuseError
from muse.guides import save_classifier
from muse.mini.augment import degrade
from muse.mini.catalog import PLACES, THINGS
from muse.mini.content import ContentClassifier
from muse.mini.data import SceneBatch
from muse.mini.optimizing import with_one_cycle
from muse.tasks.resuming import Resumable


class ContentClassification(Resumable):
    r"""Trains a `ContentClassifier` on scenes and saves its weights.

    :math:`L = CE(thing) + CE(place)`, on slightly damaged pictures (`muse.mini.augment`), because
    it will read pictures that a diffusion model made.

    Args:
        classifier: with random weights, or ones to go on from.
        output: the file to save to, ends in .safetensors.
        learning_rate: peak of the one-cycle schedule (AdamW).

    Raises:
        MuseError: an output of another kind, or a classifier of another world's classes.
    """

    def __init__(
        self, classifier: ContentClassifier, output: str, learning_rate: float = 2e-3
    ) -> None:
        super().__init__()
        if not output.endswith(".safetensors"):
            raise MuseError(f"output={output!r} must end in .safetensors.")
        if classifier.names != {"thing": tuple(THINGS), "place": tuple(PLACES)}:
            raise MuseError(
                "The classifier has other things and places than the scenes. Train one from the "
                "beginning: leave its checkpoint out."
            )
        self.classifier = classifier
        self.output = Path(output)
        self.learning_rate = learning_rate

    def on_fit_start(self) -> None:
        """Makes the output's folder: that it can't be written to is told before the training."""
        if self.trainer.is_global_zero:
            make_folder(self.output.parent, "--model.output")

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The loss of one batch."""
        found = self._losses(batch, degrade(batch["image"]))
        self.log_dict({f"train/{name}": value for name, value in found.items()}, prog_bar=True)
        return found["loss"]

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs `val/loss`, `val/thing` and `val/place`: the loss and the shares read right."""
        found = self._losses(batch, batch["image"])
        self.log_dict(
            {f"val/{name}": value for name, value in found.items()},
            prog_bar=True,
            batch_size=len(batch["image"]),
        )

    def _losses(self, batch: SceneBatch, image: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(image)
        loss = F.cross_entropy(logits.thing, batch["thing"])
        loss = loss + F.cross_entropy(logits.place, batch["place"])
        return {
            "loss": loss,
            "thing": (logits.thing.argmax(-1) == batch["thing"]).float().mean(),
            "place": (logits.place.argmax(-1) == batch["place"]).float().mean(),
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, one cycle over the run."""
        parameters = self.classifier.parameters()
        optimizer = torch.optim.AdamW(parameters, self.learning_rate, weight_decay=0.01)
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)

    def on_fit_end(self) -> None:
        """Saves the classifier."""
        if self.trainer.is_global_zero:
            save_classifier(self.classifier, self.classifier.labels, self.output)
