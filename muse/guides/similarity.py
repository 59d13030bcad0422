"""How much a picture resembles a text: what timing and the content term ask."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPModel, SiglipModel

from muse.pretrained.clip import Clip, as_clip


class Similarity(nn.Module, ABC):
    """The resemblance of pictures to their prompts."""

    @abstractmethod
    def forward(self, image: Tensor, prompts: Sequence[str]) -> Tensor:
        """Compare each picture with its own prompt, differentiably in the picture.

        Args:
            image: what the backbone decodes, (B, 3, H, W) in about [0, 1].
            prompts: B texts.

        Returns:
            (B,) in [-100, 100].
        """

    def remarks(self, prompt: str) -> list[str]:
        """What a person should know about how `prompt` is compared, in a line each: an end that is
        cut off. By default nothing.
        """
        return []


class ClipSimilarity(Similarity):
    r"""CLIP's cosine between picture and prompt, in per cent.

    :math:`s = 100 \cos(E_I(image), E_T(prompt))`, Eq. 9. The
    paper prints :math:`\cos / 0.07`, at most 14.3, with a threshold of 18, which could never fire;
    its figures fit :math:`100 \cos`, the CLIP score.

    Args:
        clip: a CLIP or SigLIP, its hub id or folder, or ``muse-mini/clip``.
    """

    def __init__(self, clip: str | CLIPModel | SiglipModel | Clip) -> None:
        super().__init__()
        self.clip = as_clip(clip)
        self._text = lru_cache(maxsize=1024)(self._encode)

    def forward(self, image: Tensor, prompts: Sequence[str]) -> Tensor:
        """100 cos per row, (B,); each distinct prompt is encoded once."""
        text = torch.cat([self._text(prompt) for prompt in prompts]).to(image)
        return 100 * F.cosine_similarity(self.clip.image(image), text)

    def remarks(self, prompt: str) -> list[str]:
        """What exceeds the context of the CLIP's texts."""
        rest = self.clip.cut_off(prompt)
        if not rest:
            return []
        name, rest = (textwrap.shorten(text, 60, placeholder=" ...") for text in (prompt, rest))
        return [
            f"Prompt {name!r} is too long for the similarity: it compares {self.clip.room} tokens "
            f"of it with the picture, and not {rest!r}."
        ]

    @torch.no_grad()
    def _encode(self, prompt: str) -> Tensor:
        return self.clip.text([prompt])
