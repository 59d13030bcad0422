"""Features of any picture model of transformers, such as DINOv2."""

from __future__ import annotations

from torch import Tensor
from transformers import AutoImageProcessor, AutoModel

from muse.metrics.features.base import Extractor
from muse.pretrained.models import Preprocessing, load, load_model


class TransformersFeatures(Extractor):
    """The pooled output of a picture model of transformers, else its first token; pictures are
    brought to it by its own processor.

    Args:
        model: a hub id, such as ``facebook/dinov2-base``, or a transformers folder.

    Raises:
        MuseError: no picture model under that name (and no network to fetch it).
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = load_model(AutoModel, model, "picture model")
        processor = load(AutoImageProcessor, model, "picture model with an image processor")
        self.preprocess = Preprocessing(processor, model)

    def forward(self, image: Tensor) -> Tensor:
        """(B, D) of pictures (B, 3, H, W) in [0, 1]."""
        output = self.model(pixel_values=self.preprocess(image))
        pooled: Tensor | None = getattr(output, "pooler_output", None)
        features = output.last_hidden_state[:, 0] if pooled is None else pooled
        return features.flatten(1)
