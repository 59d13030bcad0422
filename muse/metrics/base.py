"""The metric contract: pictures in, one number for each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Made:
    """A picture that a run made, and what it should show.

    Attributes:
        prompt: what it should show.
        target: emotion -> weight, what it should feel like. A plain picture has the target of the
            job that it is compared with.
        image: (3, H, W) in [0, 1].
        source: the picture that was edited, (3, H, W) in [0, 1], where there is one and the metric
            `needs_source`.
    """

    prompt: str
    target: Mapping[str, float]
    image: Tensor
    source: Tensor | None = None


class Metric(nn.Module, ABC):
    """A number that says how good a picture is; tables show its mean.

    A subclass writes `measure`, and says with class attributes how to treat it.

    Attributes:
        name: its row in the tables, else the class's name; no two of a list share one.
        show: how a mean is written, as in ``format(mean, show)``; ".1%" writes a share in per cent.
        relative: whether steered / plain means something: how much of what was there is kept.
        needs_source: whether it looks at the picture that was edited.
    """

    name: str
    show: ClassVar[str] = ".2f"
    relative: ClassVar[bool] = False
    needs_source: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name = cls.__dict__.get("name", cls.__name__)

    @abstractmethod
    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """Measure some pictures of a run, each for itself.

        Args:
            pictures: plain ones, or steered ones; they may differ in size.

        Returns:
            one value for each, nan where the metric does not apply to it.
        """


def read_each(images: Sequence[Tensor], read: Callable[[Tensor], Tensor]) -> Tensor:
    """What a network makes of each picture, in as few calls as possible: equal sizes share one,
    and a picture that occurs several times (a plain twin) is read once.

    Args:
        images: N pictures (3, H, W).
        read: pictures (B, 3, H, W) -> (B, ...).

    Returns:
        (N, ...).
    """
    distinct = {id(image): image for image in images}
    found: dict[int, Tensor] = {}
    for shape in {image.shape for image in distinct.values()}:
        group = [key for key, image in distinct.items() if image.shape == shape]
        found |= zip(group, read(torch.stack([distinct[key] for key in group])), strict=True)
    return torch.stack([found[id(image)] for image in images])
