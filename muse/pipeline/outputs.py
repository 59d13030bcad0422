"""What a call of `MusePipeline` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from muse.backbones import Backbone
from muse.core.results import Result, Trace

OutputType: TypeAlias = Literal["pil", "np", "pt", "latent"]
OUTPUT_TYPES = ("pil", "np", "pt", "latent")
Images: TypeAlias = list[Image.Image] | np.ndarray[Any, Any] | Tensor


@dataclass(frozen=True)
class MusePipelineOutput:
    """Pictures, in the order of their prompts, and how they came to be.

    Attributes:
        images: Pillow images; with ``np`` an array (B, H, W, 3), with ``pt`` a tensor
            (B, 3, H, W), both in [0, 1]; with ``latent`` the latents (B, ...). The toy's points
            are (B, d).
        traces: of each picture.
        probabilities: emotion -> probability of each final picture, by the guide; empty where
            there is none.
    """

    images: Images
    traces: list[Trace]
    probabilities: list[dict[str, float]]

    @property
    def start_steps(self) -> list[int | None]:
        """The first steered step of each picture, None where it was never steered."""
        return [trace.start_step for trace in self.traces]


def images_of(
    backbone: Backbone,
    results: Sequence[Result],
    output_type: OutputType,
) -> Images:
    """Finished rows, or their last latents (1, ...), as `output_type` wants them."""
    if output_type == "latent":
        return torch.cat([result.latent for result in results if result.latent is not None])
    made = [result.image for result in results if result.image is not None]
    if output_type == "pil":
        paths = [result.path for result in results]
        return [backbone.render(*pair) for pair in zip(torch.cat(made), paths, strict=True)]
    images = torch.cat(made) if backbone.has_points else torch.cat(made).clamp(0, 1)
    return images if output_type == "pt" else images.movedim(1, -1).cpu().numpy()
