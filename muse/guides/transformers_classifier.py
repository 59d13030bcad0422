"""Any image classifier of transformers as an emotion classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageClassification

from muse.core.types import MuseError
from muse.guides.base import Guide
from muse.guides.label_map import LabelMap, map_in
from muse.guides.saving import trained_in
from muse.pretrained.models import Preprocessing, load, load_model
from muse.pretrained.weights import fill, labels_in, load_state


class TransformersClassifier(Guide):
    """Any image classifier of transformers: ViT, ConvNeXt, Swin, SigLIP, ..., by hub id or folder.

    Pictures are brought to it by its own image processor, on tensors and so with gradients.

    Args:
        model: a hub id, or a transformers folder.
        labels: its classes in the order of its logits, where its config doesn't name them; None
            takes those of `weights`, else of the config.
        label_map: class -> emotion, for a model of other classes than the eight emotions. Classes
            of one emotion add up, those left out are dropped. None takes that of `weights`.
        weights: other ones for it, as `muse fit` saves them or a plain state dict.

    Raises:
        MuseError: no classifier under that name, one without its head, classes that are not the
            emotions without a map (with a table of them), or weights that don't fit.
    """

    weights_option: ClassVar[str] = "weights"

    def __init__(
        self,
        model: str,
        labels: Sequence[str] | None = None,
        label_map: Mapping[str, str] | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.model = load_model(AutoModelForImageClassification, model, "image classifier")
        processor = load(AutoImageProcessor, model, "image classifier with an image processor")
        self.preprocess = Preprocessing(processor, model)
        self.size: int = self.preprocess.size
        state, saved = load_state(weights) if weights is not None else ({}, {})
        if weights is not None:
            own = {key.removeprefix("model."): value for key, value in state.items()}
            fill(self.model, own, weights)
        names = self.model.config.id2label
        own_names = [names[index] for index in sorted(names)]
        classes = labels or labels_in(saved, str(weights)) or own_names
        if len(classes) != len(names):
            raise MuseError(
                f"{len(classes)} labels are given, but {model!r} has {len(names)} classes. Give "
                "one for each, in the order of its logits."
            )
        self.emotions = LabelMap(classes, label_map or map_in(saved, str(weights)), model)
        self.labels, self.metadata = self.emotions.labels, self.emotions.metadata
        self.trained, self._name = trained_in(saved) or {}, model

    def settings(self) -> dict[str, Any]:
        """The name of its model."""
        return {"model": self._name}

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        return self.emotions(self.model(pixel_values=self.preprocess(image)).logits)
