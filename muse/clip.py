"""A CLIP that reads pictures with gradients: shared by guides and by the similarity."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer

from muse.types import MuseError
from muse.weights import locate

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class Clip(nn.Module):
    """A transformers CLIP whose preprocessing is differentiable.

    Args:
        model: the CLIP.
        tokenizer: its tokenizer; only `text` needs it.
        mean: per-channel mean of the pictures that it was trained on.
        std: per-channel standard deviation of the same.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: CLIPTokenizer | None = None,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.size: int = model.config.vision_config.image_size
        self.width: int = model.config.projection_dim
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def image(self, image: Tensor) -> Tensor:
        """Projected image features, NOT normalised, (B, width), of pictures (B, 3, H, W) in
        about [0, 1]; differentiable.
        """
        output = self.model.get_image_features(pixel_values=self.preprocess(image))
        return getattr(output, "pooler_output", output)

    def preprocess(self, image: Tensor) -> Tensor:
        """As CLIPImageProcessor does it: shortest side to `size` (bicubic, antialiased), centre
        crop, normalise. (B, 3, H, W) -> (B, 3, size, size).
        """
        short = min(image.shape[-2:])
        if short != self.size:
            height, width = (round(side * self.size / short) for side in image.shape[-2:])
            image = F.interpolate(
                image, (height, width), mode="bicubic", antialias=True, align_corners=False
            )
        top, left = ((side - self.size) // 2 for side in image.shape[-2:])
        image = image[..., top : top + self.size, left : left + self.size]
        return (image - self.mean) / self.std

    def text(self, texts: Sequence[str]) -> Tensor:
        """Projected text features, NOT normalised, (B, width); texts longer than the context
        are cut.
        """
        if self.tokenizer is None:
            raise MuseError("This CLIP has no tokenizer. Load it from a folder that holds one.")
        tokens = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self.mean.device)
        output = self.model.get_text_features(**tokens)
        return getattr(output, "pooler_output", output)


@lru_cache(maxsize=4)
def load_clip(name: str) -> Clip:
    """Load a CLIP, frozen, once: parts that name the same CLIP share its memory.

    Args:
        name: a hub id, a transformers folder, or a packaged name such as ``muse-mini/clip``.

    Raises:
        MuseError: there is no CLIP under that name (and no network to fetch it).
    """
    path = locate(name)
    try:
        model = CLIPModel.from_pretrained(path, dtype=torch.float32)
        tokenizer = CLIPTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MuseError(
            f"No CLIP under {name!r} ({reason}). Give a transformers folder, a hub id (needs the "
            "network once), or 'muse-mini/clip'."
        ) from error
    clip = Clip(model, tokenizer, *_statistics(Path(path)))
    return clip.eval().requires_grad_(False)


def _statistics(folder: Path) -> tuple[Sequence[float], Sequence[float]]:
    config = folder / "preprocessor_config.json"
    if not config.is_file():
        return MEAN, STD
    values = json.loads(config.read_text())
    return values.get("image_mean", MEAN), values.get("image_std", STD)


def as_clip(clip: str | CLIPModel | Clip) -> Clip:
    """The CLIP that a name, a transformers model or a `Clip` stands for."""
    if isinstance(clip, Clip):
        return clip
    return Clip(clip) if isinstance(clip, CLIPModel) else load_clip(clip)
