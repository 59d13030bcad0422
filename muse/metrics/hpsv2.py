"""Which picture of a prompt people prefer, to a CLIP that was trained on their choices."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from muse.core.types import MuseError
from muse.metrics.base import Made, Metric, read_each
from muse.pretrained.weights import fill, load_state

SIZE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class HPSv2(Metric):
    r"""The human preference score (Wu et al. 2023): :math:`100 \cos` of picture and prompt by a
    CLIP ViT-H/14 that was tuned on people's choices.

    Needs open_clip (``pip install 'muse-emotion[preference]'``) and the file of the weights,
    ``HPS_v2.1_compressed.pt`` of hub repository xswu/HPSv2 (Apache-2.0). Scores of v2.0 and v2.1
    don't compare.

    Args:
        checkpoint: the file of the weights.
        name: its row in the tables.

    Raises:
        MuseError: open_clip isn't installed, or the file is missing or doesn't fit.
    """

    relative: ClassVar[bool] = True

    def __init__(self, checkpoint: str, name: str = "HPSv2") -> None:
        super().__init__()
        try:
            open_clip: Any = importlib.import_module("open_clip")
        except ImportError:
            raise MuseError(
                "HPSv2 needs open_clip: pip install 'muse-emotion[preference]' (or "
                "open_clip_torch). Its weights are HPS_v2.1_compressed.pt of hub repository "
                "xswu/HPSv2."
            ) from None
        state, _ = load_state(checkpoint)
        self.model = open_clip.create_model("ViT-H-14").eval()
        self.tokenizer = open_clip.get_tokenizer("ViT-H-14")
        fill(self.model, state, checkpoint)
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """100 cos, about 20 to 35."""
        image = read_each([p.image for p in pictures], self._image)
        prompts = list(dict.fromkeys(p.prompt for p in pictures))
        text = self.model.encode_text(self.tokenizer(prompts).to(image.device))
        rows = text[[prompts.index(p.prompt) for p in pictures]]
        scores: list[float] = (100 * F.cosine_similarity(image, rows)).tolist()
        return scores

    def _image(self, image: Tensor) -> Tensor:
        """Features of pictures (B, 3, H, W) in [0, 1]: the shorter side to 224, then the centre."""
        height, width = image.shape[-2:]
        scale = SIZE / min(height, width)
        size = (round(height * scale), round(width * scale))
        image = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = (size[0] - SIZE) // 2, (size[1] - SIZE) // 2
        cut = image[..., top : top + SIZE, left : left + SIZE]
        mean, std = (torch.tensor(values).to(image)[:, None, None] for values in (MEAN, STD))
        features: Tensor = self.model.encode_image((cut - mean) / std)
        return features
