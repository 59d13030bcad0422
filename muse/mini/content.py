"""What muse-mini's pictures show: a classifier of things and places that never guides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import timm
from torch import Tensor, nn
from torch.nn import functional as F

from muse.core.types import MuseError
from muse.mini.captions import HELD_OUT
from muse.mini.catalog import PLACES, THINGS
from muse.pretrained.weights import fill, labels_in, load_state


@dataclass(frozen=True)
class ContentLogits:
    """What a picture shows.

    Attributes:
        thing: (B, things).
        place: (B, places).
    """

    thing: Tensor
    place: Tensor


class ContentClassifier(nn.Module):
    """A small ResNet (timm's resnet10t, thinner, no pooling in its stem) with two heads.

    It reads pixels, shares nothing with the pipeline, its CLIP or its guides, and has no part in
    any loss: it tells whether a steered picture still shows what the prompt names.

    Args:
        checkpoint: its weights; the classes come with them, as metadata. None starts from random
            ones and the classes of this world, for training.

    Attributes:
        names: ``thing`` and ``place``, the classes in the order of their logits.

    Raises:
        MuseError: a checkpoint that is missing, damaged, of other shapes, or without classes.
    """

    size = 64

    def __init__(self, checkpoint: str | None = None) -> None:
        super().__init__()
        things, places = tuple(THINGS), tuple(PLACES)
        state: dict[str, Tensor] | None = None
        if checkpoint is not None:
            state, metadata = load_state(checkpoint)
            labels = labels_in(metadata, checkpoint)
            if labels is None or "thing.bias" not in state:
                raise MuseError(
                    f"{checkpoint!r} is no content classifier. Give one that `muse fit` made with "
                    "the task muse.tasks.ContentClassification."
                )
            split = len(state["thing.bias"])
            things, places = labels[:split], labels[split:]
        self.names = {"thing": things, "place": places}
        self.features = timm.create_model(
            "resnet10t", num_classes=0, stem_width=16, channels=(32, 64, 96, 160)
        )
        self.features.maxpool = nn.Identity()  # 64 pixels have none to spare
        self.thing = nn.Linear(self.features.num_features, len(things))
        self.place = nn.Linear(self.features.num_features, len(places))
        if state is not None and checkpoint is not None:
            fill(self, state, checkpoint)

    @property
    def labels(self) -> tuple[str, ...]:
        """The things, then the places: what is saved with the weights."""
        return (*self.names["thing"], *self.names["place"])

    def forward(self, image: Tensor) -> ContentLogits:
        """The logits of pictures (B, 3, H, W) in about [0, 1]."""
        if image.shape[-2:] != (self.size, self.size):
            image = F.interpolate(image, (self.size, self.size), mode="bicubic", antialias=True)
        features = self.features(image * 2 - 1)
        return ContentLogits(self.thing(features), self.place(features))


def named(prompt: str, names: Sequence[str]) -> str | None:
    """The one of `names` that a prompt holds as words; None where it holds none, or several."""
    found = [name for name in names if re.search(rf"\b{re.escape(name)}\b", prompt.lower())]
    return found[0] if len(found) == 1 else None


def composition(prompt: str) -> str:
    """Whether training showed a prompt's thing in its place: ``seen pair`` or ``unseen pair``, ""
    for a prompt that names no pair. The groups of `muse evaluate` for muse-mini.
    """
    thing, place = named(prompt, list(THINGS)), named(prompt, list(PLACES))
    if thing is None or place is None:
        return ""
    return "unseen pair" if (thing, place) in HELD_OUT else "seen pair"
