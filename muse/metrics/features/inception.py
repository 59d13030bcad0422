"""The features of published FIDs."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.image.fid import NoTrainInceptionV3

from muse.core.types import MuseError
from muse.metrics.features.base import Extractor
from muse.pretrained.weights import reason_of


class InceptionFeatures(Extractor):
    """The 2,048 pooled features of TensorFlow's Inception v3 (Heusel et al. 2017), by torchmetrics
    and torch-fidelity, which has to be installed (``pip install torch-fidelity``).

    Args:
        weights: the file of its weights (``pt_inception-2015-12-05-6726825d.pth``); None fetches
            them (needs the network once).

    Raises:
        MuseError: torch-fidelity isn't installed, or the weights can't be had.
    """

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        try:
            self.model = NoTrainInceptionV3(
                "inception-v3-compat", ["2048"], weights, antialias=False
            )
        except ModuleNotFoundError:
            raise MuseError(
                "InceptionFeatures needs torch-fidelity: pip install torch-fidelity. Or take other "
                "features, such as ClipFeatures."
            ) from None
        except (OSError, RuntimeError) as error:
            raise MuseError(
                f"Inception's weights can't be had ({reason_of(error)}). Run this once with a "
                "network, or give the path of pt_inception-2015-12-05-6726825d.pth as `weights`."
            ) from error

    def forward(self, image: Tensor) -> Tensor:
        """(B, 2048) of pictures (B, 3, H, W) in [0, 1], which are read as bytes."""
        features: Tensor = self.model((image * 255).round().to(torch.uint8))
        return features
