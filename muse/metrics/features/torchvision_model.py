"""Features, or logits, of any classifier of torchvision."""

from __future__ import annotations

import difflib

import torch
from torch import Tensor
from torchvision import models

from muse.core.types import MuseError
from muse.metrics.features.base import Extractor
from muse.metrics.features.layers import PenultimateFeatures
from muse.pretrained.weights import fill, load_state, reason_of


class TorchvisionFeatures(Extractor):
    """What the last linear layer of a torchvision classifier reads; pictures are brought to it as
    its own weights want them.

    Its ``inception_v3`` is not the one of published FIDs (`InceptionFeatures` is).

    Args:
        model: a name from ``torchvision.models.list_models()``, such as ``resnet50``.
        checkpoint: its weights, a state dict, such as ``resnet50_places365.pth.tar``; None takes
            torchvision's (needs the network once).
        classes: of the checkpoint, where it has others than ImageNet's.
        logits: give the logits instead.

    Raises:
        MuseError: an unknown name, weights that can't be had (where to put them is told), or a
            checkpoint that doesn't fit.
    """

    def __init__(
        self,
        model: str,
        checkpoint: str | None = None,
        classes: int | None = None,
        logits: bool = False,
    ) -> None:
        super().__init__()
        known = models.list_models(models)
        if model not in known:
            near = difflib.get_close_matches(model, known, n=3)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise MuseError(
                f"torchvision has no classifier {model!r}.{hint} Give a name from "
                "torchvision.models.list_models()."
            )
        weights = models.get_model_weights(model).DEFAULT
        self.transform, self.logits = weights.transforms(), logits
        if checkpoint is None:
            try:
                self.model = models.get_model(model, weights=weights)
            except (OSError, RuntimeError) as error:
                raise MuseError(no_weights(model, weights.url, error)) from error
        else:
            count = len(weights.meta["categories"]) if classes is None else classes
            self.model = models.get_model(model, weights=None, num_classes=count)
            fill(self.model, load_state(checkpoint)[0], checkpoint)

    def forward(self, image: Tensor) -> Tensor:
        """(B, D) of pictures (B, 3, H, W) in [0, 1]."""
        prepared = self.transform(image)
        if self.logits:
            logits: Tensor = self.model(prepared)
            return logits
        return PenultimateFeatures(self.model)(prepared)


def no_weights(model: str, url: str, error: BaseException) -> str:
    """The one line about weights of torchvision that can't be fetched."""
    name = url.rpartition("/")[2]
    return (
        f"The weights of torchvision's {model} can't be fetched ({reason_of(error)}). Run this "
        f"once with a network, or put {name} into {torch.hub.get_dir()}/checkpoints."
    )
