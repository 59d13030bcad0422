"""How different an edit looks from its source, to a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision import models

from muse.core.types import MuseError
from muse.metrics.base import Made, Metric
from muse.metrics.features.torchvision_model import no_weights

NETS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
"""torchvision's names of the networks."""


class LPIPS(Metric):
    """The perceptual distance of an edit to its source (Zhang et al. 2018), by torchmetrics; 0 is
    the same picture.

    torchmetrics brings its own weights of the distance; those of the network are torchvision's,
    which have to be fetched once. It reads pixels in [-1, 1], as LPIPS was made for.

    Args:
        net: ``alex``, as in most tables, ``vgg`` or ``squeeze``.
        name: its row in the tables.

    Raises:
        MuseError: the network's weights can't be had; says where to put them.
    """

    show: ClassVar[str] = ".3f"
    needs_source: ClassVar[bool] = True

    def __init__(
        self, net: Literal["alex", "vgg", "squeeze"] = "alex", name: str = "LPIPS"
    ) -> None:
        super().__init__()
        try:
            self.net = LearnedPerceptualImagePatchSimilarity(net).net
        except (OSError, RuntimeError) as error:
            url = models.get_model_weights(NETS[net]).DEFAULT.url
            raise MuseError(no_weights(NETS[net], url, error)) from error
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """0 or more; nan for a picture that edits none."""
        return [
            float("nan")
            if p.source is None
            else float(self.net(p.image[None], p.source[None], normalize=True))
            for p in pictures
        ]
