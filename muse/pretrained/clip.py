"""A CLIP or SigLIP that reads pictures with gradients: shared by guides and by the similarity."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    CLIPImageProcessor,
    CLIPModel,
    SiglipImageProcessor,
    SiglipModel,
)

from muse.core.types import MuseError
from muse.pretrained import wording
from muse.pretrained.models import Preprocessing, load, load_model

TOWER = ("vision_model", "visual_projection")
"""The parts of a pair that read pictures; SigLIP has no projection."""
UNNAMED = "this CLIP"
_SEEN: ContextVar[dict[Any, tuple[Tensor, Tensor]] | None] = ContextVar("_SEEN")
"""Features by CLIP, picture and mode; the picture is kept beside them, so that no other gets its
number.
"""


@contextmanager
def pictures_read_once() -> Iterator[None]:
    """Inside, a CLIP that several parts share reads each batch of pictures once."""
    token = _SEEN.set({})
    try:
        yield
    finally:
        _SEEN.reset(token)


class Clip(nn.Module):
    """A CLIP, SigLIP or another pair of towers of transformers, read with gradients.

    Args:
        model: the pair: it has ``get_image_features`` and ``get_text_features``.
        tokenizer: its tokenizer; only texts need it.
        processor: how pictures are brought to it; None takes its family's own, at its own size.
        name: what it is called in errors.

    Attributes:
        tuned: whether its visual tower is its own, trained further: a guide is saved with it.

    Raises:
        MuseError: a model without the two towers, or a processor without gradients.
    """

    def __init__(
        self,
        model: CLIPModel | SiglipModel,
        tokenizer: Any = None,
        processor: Any = None,
        name: str = UNNAMED,
    ) -> None:
        super().__init__()
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise MuseError(
                f"{name!r} is a {type(model).__name__}, which doesn't read both pictures and "
                "texts. Give a CLIP or SigLIP, such as openai/clip-vit-large-patch14."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.tuned = False
        self._name = name  # a part's plain attributes decide a run's digest; this one doesn't
        config = model.config
        self.is_siglip: bool = config.model_type.startswith("siglip")
        self.preprocess = Preprocessing(processor or _processor(config, self.is_siglip), name)
        self.size: int = self.preprocess.size
        self.width: int = (
            getattr(config, "projection_dim", None) or config.vision_config.hidden_size
        )
        self.context: int = config.text_config.max_position_embeddings

    @property
    def name(self) -> str | None:
        """What `load_clip` found it under; None of one that was given as a model."""
        return None if self._name == UNNAMED else self._name

    @property
    def tower(self) -> list[nn.Module]:
        """The parts that read pictures; the last one makes the features."""
        return [getattr(self.model, part) for part in TOWER if hasattr(self.model, part)]

    def with_own_tower(self) -> Clip:
        """A twin whose visual tower may be trained or filled without a change to this CLIP, which
        others may share; what reads texts is the same one.
        """
        shared = (self.tokenizer, self.preprocess, self.model.text_model)
        twin = copy.deepcopy(self, {id(part): part for part in shared})
        twin.tuned = True
        return twin

    def image(self, image: Tensor) -> Tensor:
        """Projected image features, NOT normalised, (B, width), of pictures (B, 3, H, W) in
        about [0, 1]; differentiable.
        """
        seen, key = _SEEN.get(None), (id(self), id(image), torch.is_grad_enabled())
        if seen is None:
            return self._image(image)
        if key not in seen:
            seen[key] = image, self._image(image)
        return seen[key][1]

    def _image(self, image: Tensor) -> Tensor:
        return features(self.model.get_image_features(pixel_values=self.preprocess(image)))

    def text(self, texts: Sequence[str]) -> Tensor:
        """Projected text features, NOT normalised, (B, width); texts longer than the context
        are cut (see `cut_off`).
        """
        tokens = self._tokenizer()(
            [text.lower() for text in texts] if self.is_siglip else list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.context,
            return_tensors="pt",
        ).to(self.model.device)
        # SigLIP was trained on lower case, and without a mask: it reads the padding too.
        given = {"input_ids": tokens["input_ids"]} if self.is_siglip else tokens
        return features(self.model.get_text_features(**given))

    def cut_off(self, text: str) -> str:
        """The end of `text` that doesn't fit into the context, as its tokens spell it."""
        read = text.lower() if self.is_siglip else text
        return wording.cut_off(self._tokenizer(), read, self.context)

    @property
    def room(self) -> int:
        """How many tokens of a text fit into the context."""
        return wording.room(self._tokenizer(), self.context)

    def _tokenizer(self) -> Any:
        if self.tokenizer is None:
            raise MuseError("This CLIP has no tokenizer. Load it from a folder that holds one.")
        return self.tokenizer


def features(output: Any) -> Tensor:
    """The features in what a tower returns: by its version and family a tensor, or an object."""
    found: Tensor = getattr(output, "pooler_output", output)
    return found


def _processor(config: Any, is_siglip: bool) -> Any:
    side = config.vision_config.image_size
    square = {"height": side, "width": side}
    if is_siglip:
        return SiglipImageProcessor(size=square)
    return CLIPImageProcessor(size={"shortest_edge": side}, crop_size=square)


@lru_cache(maxsize=4)
def load_clip(name: str) -> Clip:
    """Load a CLIP or SigLIP, frozen, once: parts that name the same one share its memory.

    Args:
        name: a hub id, a transformers folder, or a packaged name such as ``muse-mini/clip``.

    Raises:
        MuseError: there is no CLIP under that name (and no network to fetch it).
    """
    model = load_model(AutoModel, name, "CLIP")
    tokenizer = load(AutoTokenizer, name, "CLIP with a tokenizer")
    processor = load(AutoImageProcessor, name, "CLIP with an image processor")
    return Clip(model, tokenizer, processor, name).eval().requires_grad_(False)


def as_clip(clip: str | os.PathLike[str] | CLIPModel | SiglipModel | Clip) -> Clip:
    """The CLIP that a name, a folder, a transformers model or a `Clip` stands for."""
    if isinstance(clip, Clip):
        return clip
    return load_clip(os.fspath(clip)) if isinstance(clip, str | os.PathLike) else Clip(clip)
