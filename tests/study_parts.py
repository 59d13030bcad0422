"""Parts that study tests name by their import path: they look at colours, and load nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from muse.core.emotions import EMOTIONS
from muse.guides import Guide, Similarity
from muse.metrics import Metric


class ByColour(Guide):
    """The emotion whose number, in sixteenths, the picture's red is nearest to."""

    def __init__(self, checkpoint: str | None = None) -> None:
        super().__init__()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        red = 16 * image.mean((2, 3))[:, :1]
        return -((red - torch.arange(8.0)) ** 2)


class Brightness(Similarity):
    """How bright a picture is."""

    def forward(self, image: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        return 100 * image.mean((1, 2, 3))


class Green(Metric):
    """The mean green."""

    name = "green"
    show = ".3f"
    relative = True

    def __init__(self, fewest: int = 1) -> None:
        super().__init__()
        self.fewest = fewest

    def measure(self, pictures):
        return [float(picture.image[1].mean()) for picture in pictures]


def animal(prompt: str) -> str:
    """The group of a prompt: itself."""
    return prompt


def paint(path: Path, emotion: str, green: int = 40) -> None:
    """A picture that the judge reads as this emotion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    red = round(255 * EMOTIONS.index(emotion) / 16)
    Image.new("RGB", (16, 16), (red, green, 0)).save(path)


def metrics() -> list[dict]:
    """A judge, and a number of each picture."""
    judge = {"class_path": "tests.study_parts.ByColour"}
    accuracy = {"class_path": "EmotionAccuracy", "init_args": {"name": "judge", "judge": judge}}
    return [accuracy, {"class_path": "tests.study_parts.Green"}]
