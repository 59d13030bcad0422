"""How different the pictures of an emotion are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from muse.metrics.base import Made, Metric, read_each
from muse.metrics.distinct import of_emotions, spread_within_emotions
from muse.metrics.features import Extractor


class IntraClassVariance(Metric):
    """The variance of features within an emotion, in the mean over dimensions and emotions (the
    paper's Fig. 4, whose formula isn't given: of CLIP's un-normalised features this has its size).

    Each different picture counts; pairs of one with itself, which bootstrap draws and plain
    pictures bring, are left out.

    Args:
        features: from pixels to features, such as `ClipFeatures`.
        name: its row in the tables.
    """

    show: ClassVar[str] = ".4f"
    relative: ClassVar[bool] = True

    def __init__(self, features: Extractor, name: str = "Var") -> None:
        super().__init__()
        self.features, self.name = features, name

    def describe(self, pictures: Sequence[Made]) -> Tensor:
        """What `of_emotions` makes of the features, (N, 2 + D)."""
        return of_emotions(pictures, self.read(pictures))

    def read(self, pictures: Sequence[Made]) -> Tensor:
        """The features that are compared, (N, D), float64."""
        found = read_each([picture.image for picture in pictures], self.features)
        return found.flatten(1).cpu().double()

    def sum_up(self, described: Tensor) -> float:
        """The mean over emotions; nan where none has two different pictures."""
        return spread_within_emotions(described) / (described.shape[1] - 2)


class SemanticDiversity(IntraClassVariance):
    r"""EmoGen's Sem-D: the mean of :math:`1 - \cos` of CLIP's features over pairs of pictures of an
    emotion, in the mean over emotions.

    All pairs of different pictures, where EmoGen draws some at random (and never resets its list
    between emotions).

    Args:
        features: from pixels to features, such as `ClipFeatures`.
        name: its row in the tables.
    """

    def __init__(self, features: Extractor, name: str = "Sem-D") -> None:
        super().__init__(features, name)

    def read(self, pictures: Sequence[Made]) -> Tensor:
        """Features of length 1, whose half squared distance is 1 - cos."""
        return F.normalize(super().read(pictures), dim=-1)

    def sum_up(self, described: Tensor) -> float:
        """The mean over emotions; nan where none has two different pictures."""
        return spread_within_emotions(described)
