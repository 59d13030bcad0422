"""How much neighbouring pixels differ, at several scales: no network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from muse.metrics.features.base import Extractor

SCALES = (1, 2, 4, 8)
"""Pixels that are averaged before neighbours are compared."""
OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (0.5, -0.5, 0.0), (-0.25, -0.25, 0.5))
"""Brightness, red against green, blue against yellow."""
LEAST = 1e-3
"""Added before logarithms are taken: below it nothing is seen."""


class ContrastFeatures(Extractor):
    """Statistics of local contrast: blotches, blur and noise change them.

    Of brightness and two opponent colours, averaged over squares of 1, 2, 4 and 8 pixels, the
    logarithm of the mean absolute difference of neighbours, of its standard deviation, and of the
    share that the largest tenth has of it: 36 numbers. The pictures compared must have one size:
    contrasts are those of pixels.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, 36) of pictures (B, 3, H, W) in [0, 1], 16 pixels or more each way."""
        seen = torch.einsum("kc,bchw->bkhw", torch.tensor(OPPONENT).to(image), image)
        found = []
        for scale in SCALES:
            level = F.avg_pool2d(seen, scale)
            across, down = level.diff(dim=-1).flatten(2), level.diff(dim=-2).flatten(2)
            steps = torch.cat([across, down], dim=-1).abs()
            top = steps.topk(max(1, steps.shape[-1] // 10), dim=-1).values
            share = top.sum(-1) / (steps.sum(-1) + LEAST)
            numbers = (steps.mean(-1), steps.std(-1), share)
            found += [(number + LEAST).log() for number in numbers]
        return torch.cat(found, dim=1)
