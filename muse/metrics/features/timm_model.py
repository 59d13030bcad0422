"""Features, or logits, of any timm model."""

from __future__ import annotations

from typing import Any

from timm.data import create_transform, resolve_model_data_config
from torch import Tensor

from muse.guides.timm_classifier import create_model
from muse.metrics.features.base import Extractor
from muse.pretrained.weights import fill, load_state


class TimmFeatures(Extractor):
    """What the classifying layer of a timm model reads, such as DINOv2's
    (``vit_base_patch14_dinov2.lvd142m``); pictures are brought to it by timm's own transform.

    Args:
        model: a name from ``timm.list_models()``, with or without a tag of weights.
        checkpoint: its weights, a state dict; None fetches timm's (needs the network once).
        classes: of the checkpoint, where it has others than the model.
        logits: give the classifying layer's logits instead.

    Raises:
        MuseError: an unknown name (the nearest ones are told), weights that can't be had, or a
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
        self.model: Any = create_model(model, checkpoint is None, classes, {})
        self.transform = create_transform(**resolve_model_data_config(self.model))
        self.logits = logits
        if checkpoint is not None:
            fill(self.model, load_state(checkpoint)[0], checkpoint)

    def forward(self, image: Tensor) -> Tensor:
        """(B, D) of pictures (B, 3, H, W) in [0, 1]."""
        prepared = self.transform(image)
        if self.logits:
            logits: Tensor = self.model(prepared)
            return logits
        features: Tensor = self.model.forward_head(
            self.model.forward_features(prepared), pre_logits=True
        )
        return features
