"""Which picture of a prompt people prefer, to a BLIP that was trained on their rankings."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchvision.transforms.functional import to_pil_image

from muse.core.types import MuseError
from muse.metrics.base import Made, Metric
from muse.pretrained.weights import reason_of


class ImageReward(Metric):
    """The reward of picture and prompt (Xu et al. 2023), about normal around 0; higher is better.

    Needs its own package (``pip install image-reward``). Releases that import from transformers
    what transformers 5 no longer has can't be used beside muse; the error says so.

    Args:
        model: a name that the package knows, or the path of ``ImageReward.pt``.
        name: its row in the tables.

    Raises:
        MuseError: the package isn't installed or can't be imported, or its weights can't be had.
    """

    def __init__(self, model: str = "ImageReward-v1.0", name: str = "ImageReward") -> None:
        super().__init__()
        try:
            package: Any = importlib.import_module("ImageReward")
        except ImportError as error:
            raise MuseError(
                f"ImageReward can't be imported ({reason_of(error)}). pip install image-reward, in "
                "a release that works with the transformers that is installed."
            ) from None
        try:
            self.model = package.load(model, device="cpu")
        except (OSError, RuntimeError) as error:
            raise MuseError(
                f"ImageReward's weights {model!r} can't be had ({reason_of(error)}). Run this once "
                "with a network, or give the path of ImageReward.pt."
            ) from error
        self.name = name

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """The package's own score of each picture, which it reads from a file."""
        self.model.device = str(pictures[0].image.device)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "picture.png"
            found = []
            for picture in pictures:
                to_pil_image(picture.image.cpu()).save(file)
                found.append(float(self.model.score(picture.prompt, str(file))))
        return found
