"""A metric of one's own for whole sets: how different pictures of one emotion are.

muse evaluate outputs/quickstart --metrics+ examples.my_metric.Variance
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS, strongest
from muse.metrics import Made, Metric, read_each
from muse.pretrained.clip import as_clip


class Variance(Metric):
    """The variance of CLIP's features within an emotion, in the mean over dimensions and emotions.

    An emotion with a single picture has none.

    Args:
        clip: a CLIP or SigLIP, its hub id or folder, or ``muse-mini/clip``.
    """

    name = "variance"
    show: ClassVar[str] = ".4f"
    relative: ClassVar[bool] = True

    def __init__(self, clip: str = "muse-mini/clip") -> None:
        super().__init__()
        self.clip = as_clip(clip)

    def describe(self, pictures: Sequence[Made]) -> Tensor:
        """The emotion's number and the normalised features, (N, 1 + width)."""
        features = read_each([picture.image for picture in pictures], self.clip.image)
        targets = [EMOTIONS.index(strongest(picture.target)) for picture in pictures]
        numbers = torch.tensor(targets).to(features)[:, None]
        return torch.cat([numbers, torch.nn.functional.normalize(features, dim=-1)], dim=1)

    def sum_up(self, described: Tensor) -> float:
        """The mean over emotions of the mean variance over dimensions."""
        groups = [described[described[:, 0] == number, 1:] for number in range(len(EMOTIONS))]
        spread = [float(group.var(0).mean()) for group in groups if len(group) > 1]
        return sum(spread) / len(spread) if spread else float("nan")
