"""Does the picture still show what the prompt says, to CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPModel

from muse.core.types import MuseError
from muse.metrics.base import Made, Metric, read_each
from muse.pretrained.clip import Clip, as_clip


class ZeroShotContent(Metric):
    """The share of pictures whose content is right to CLIP, as EmoCtrl counts it (its CLIP-A).

    A prompt that is one of the `candidates`, such as ``lighthouse``, is right where it is among the
    `top` candidates that are nearest to the picture. Any other prompt is a caption, and right where
    the cosine of picture and caption is above the `threshold` (0.15 is EmoCtrl's, for CLIP
    ViT-L/14; another CLIP needs another).

    Args:
        clip: a CLIP or SigLIP, its hub id or folder, or ``muse-mini/clip``.
        candidates: words that prompts may be.
        top: how many of them count as found.
        threshold: in [-1, 1].
        template: a sentence with ``{}`` for a candidate.
        name: its row in the tables.

    Raises:
        MuseError: a template without ``{}``, or `top` below 1.
    """

    show: ClassVar[str] = ".1%"
    relative: ClassVar[bool] = True

    def __init__(
        self,
        clip: str | CLIPModel | Clip,
        candidates: Sequence[str] = (),
        top: int = 5,
        threshold: float = 0.15,
        template: str = "a photo of a {}",
        name: str = "CLIP-A",
    ) -> None:
        super().__init__()
        if "{}" not in template or top < 1:
            raise MuseError(
                f"template = {template!r} with top = {top} is not allowed. Give a sentence with "
                "{} where the candidate goes, and 1 or more."
            )
        self.clip = as_clip(clip)
        self.candidates = [word.strip().lower() for word in candidates]
        self.top, self.threshold, self.template, self.name = top, threshold, template, name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """1 where the content is right, else 0."""
        image = F.normalize(read_each([p.image for p in pictures], self.clip.image), dim=-1)
        nearest = self._nearest(image)
        captions = list(dict.fromkeys(p.prompt for p in pictures))
        text = F.normalize(self.clip.text(captions), dim=-1)
        found = []
        for row, picture, near in zip(image, pictures, nearest, strict=True):
            word = picture.prompt.strip().lower()
            if word in self.candidates:
                found.append(float(word in near))
            else:
                cosine = row @ text[captions.index(picture.prompt)]
                found.append(float(cosine > self.threshold))
        return found

    def _nearest(self, image: Tensor) -> list[set[str]]:
        """The `top` candidates of each picture."""
        if not self.candidates:
            return [set() for _ in image]
        sentences = [self.template.replace("{}", word) for word in self.candidates]
        cosines = image @ F.normalize(self.clip.text(sentences), dim=-1).T
        best: Tensor = torch.topk(cosines, min(self.top, len(sentences)), dim=1).indices
        return [{self.candidates[index] for index in row} for row in best.tolist()]
