"""The metric contract: pictures are described, and descriptions summed up to one number."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from muse.core.types import MuseError


@dataclass(frozen=True, eq=False)
class Made:
    """A picture that a run made, and what it should show.

    Attributes:
        prompt: what it should show.
        target: emotion -> weight, what it should feel like. A plain picture has the target of the
            job that it is compared with.
        image: (3, H, W) in [0, 1].
        source: the picture that was edited, (3, H, W) in [0, 1], where there is one and a metric of
            the list `needs_source`.
        plain: the picture of the arm that others are compared with, for the same job, (3, H, W) in
            [0, 1], where there is one; for that arm itself its own.
        less: whether less of the target was wanted (an intensity below 0).
    """

    prompt: str
    target: Mapping[str, float]
    image: Tensor
    source: Tensor | None = None
    plain: Tensor | None = None
    less: bool = False


class Metric(nn.Module, ABC):
    """A number that says how good pictures are.

    A subclass writes `measure`, where each picture has a number of its own and tables show the
    mean; or `describe` and `sum_up`, where the number is one of a whole set (as KID and diversity
    are). Both get intervals. Class attributes say how to treat it.

    Attributes:
        name: its row in the tables, else the class's name; no two of a list share one.
        show: how a mean is written, as in ``format(mean, show)``; ".1%" writes a share in per cent.
        relative: whether a ratio to the plain pictures means something: how much of what was there
            is kept.
        needs_source: whether it looks at the picture that was edited.
        fewest: how many different pictures it takes; a set of fewer has no number.
    """

    name: str
    show: ClassVar[str] = ".2f"
    relative: ClassVar[bool] = False
    needs_source: ClassVar[bool] = False
    fewest: int = 1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name = cls.__dict__.get("name", cls.__name__)

    @property
    def of_sets(self) -> bool:
        """Whether a single picture has no number: `sum_up` is more than the mean."""
        return type(self).sum_up is not Metric.sum_up

    def measure(self, pictures: Sequence[Made]) -> list[float]:
        """Measure some pictures, each for itself.

        Args:
            pictures: of one arm; they may differ in size.

        Returns:
            one value for each, nan where the metric does not apply to it.

        Raises:
            MuseError: a class that writes neither this nor `describe`.
        """
        raise MuseError(
            f"{type(self).__name__} writes neither measure nor describe. Write one of them."
        )

    def describe(self, pictures: Sequence[Made]) -> Tensor:
        """Describe some pictures by numbers, each for itself; by default what `measure` says.

        Args:
            pictures: of one arm; they may differ in size.

        Returns:
            (N, D), nan where the metric does not apply to a picture.
        """
        return torch.tensor(self.measure(pictures), dtype=torch.float64)[:, None]

    def sum_up(self, described: Tensor) -> float:
        """The number of a set of pictures; by default the mean of what `measure` says.

        Args:
            described: (N, D) of the pictures that the metric applies to, one or more; a bootstrap
                repeats some.
        """
        return float(described[:, 0].mean())

    def remarks(self, described: Mapping[str, Tensor]) -> list[str]:
        """What a reader of the table must know of this number, a sentence each; by default nothing.

        Args:
            described: arm -> (N, D), of the pictures that the metric applies to.
        """
        return []


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
