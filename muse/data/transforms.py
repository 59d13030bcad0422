"""How pictures are brought to a classifier's size, for training and for validation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2


def train_transform(size: int) -> Callable[[Image.Image], Tensor]:
    """A random crop and a mirror: RGB picture -> (3, size, size) in [0, 1]."""
    crop = v2.RandomResizedCrop(size, (0.5, 1.0), interpolation=InterpolationMode.BICUBIC)
    return v2.Compose([crop, v2.RandomHorizontalFlip(), *_as_floats()])


def val_transform(size: int) -> Callable[[Image.Image], Tensor]:
    """Shortest side to `size`, then the centre: RGB picture -> (3, size, size) in [0, 1]."""
    resize = v2.Resize(size, interpolation=InterpolationMode.BICUBIC)
    return v2.Compose([resize, v2.CenterCrop(size), *_as_floats()])


def _as_floats() -> list[torch.nn.Module]:
    return [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
