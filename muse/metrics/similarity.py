"""Cosines of features: the picture against its prompt, and against the picture that was edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch.nn import functional as F
from transformers import CLIPModel

from muse.metrics.base import Made, Metric, read_each
from muse.metrics.features import ClipFeatures, Extractor
from muse.pretrained.clip import Clip, as_clip


class ClipScore(Metric):
    r"""The CLIP score of picture and prompt, :math:`100 \cos(E_I(image), E_T(prompt))`.

    Args:
        clip: a CLIP, its hub id or folder, or ``muse-mini/clip``. Scores of different CLIPs do not
            compare.
        name: its row in the tables.
    """

    relative: ClassVar[bool] = True

    def __init__(self, clip: str | CLIPModel | Clip, name: str = "CLIP score") -> None:
        super().__init__()
        self.clip = as_clip(clip)
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """100 cos, in [-100, 100]."""
        image = read_each([picture.image for picture in pictures], self.clip.image)
        places = {prompt: i for i, prompt in enumerate({p.prompt: None for p in pictures})}
        text = self.clip.text(list(places))[[places[picture.prompt] for picture in pictures]]
        scores: list[float] = (100 * F.cosine_similarity(image, text)).tolist()
        return scores


class FeatureSimilarity(Metric):
    r"""The likeness of an edit to its source, :math:`\cos(f(image), f(source))` by any features,
    such as DINOv2's (`TransformersFeatures` of ``facebook/dinov2-base``, or `TimmFeatures`).

    Args:
        features: from pixels to features.
        name: its row in the tables.
    """

    show: ClassVar[str] = ".3f"
    needs_source: ClassVar[bool] = True

    def __init__(self, features: Extractor, name: str = "image similarity") -> None:
        super().__init__()
        self.features, self.name = features, name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """The cosine, in [-1, 1]; nan for a picture that edits none."""
        pairs = [(p.image, p.source) for p in pictures if p.source is not None]
        if not pairs:
            return [float("nan")] * len(pictures)
        images, sources = zip(*pairs, strict=True)
        one, other = (read_each(side, self.features) for side in (images, sources))
        cosines = iter(F.cosine_similarity(one, other).tolist())
        return [float("nan") if p.source is None else next(cosines) for p in pictures]


class ImageSimilarity(FeatureSimilarity):
    r"""The likeness of an edit to its source, :math:`\cos(E_I(image), E_I(source))` by CLIP.

    Args:
        clip: a CLIP, its hub id or folder, or ``muse-mini/clip``.
        name: its row in the tables.
    """

    def __init__(self, clip: str | CLIPModel | Clip, name: str = "CLIP image similarity") -> None:
        super().__init__(ClipFeatures(clip), name)
