"""Where a row starts: the contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Row
from muse.core.jobs import Job
from muse.core.masks import open_mask
from muse.core.pictures import open_picture, read_picture
from muse.core.types import Cond, MuseError
from muse.schedulers import Solver, TimeGrid


@dataclass(frozen=True)
class Start:
    r"""Where a row starts.

    Attributes:
        x: the latent, (1, ...).
        node: the node that it stands at: 0, the noisiest, for fresh noise; a later one for a
            picture that was noised in part.
        path: the latents of a source picture at `node` and all later ones, (1, ...) each, such as
            an inversion's; a mask holds the row to them, Plug-and-Play reads its features there.
        mask: where the row is free, 1, and where it is the source, 0, broadcast over x; after each
            step :math:`x \leftarrow m\,x + (1 - m)\,path`. It needs a path. A job's own mask is
            the row's matter, and multiplied with this one.
        nulls: the unconditional branch's condition for each step from `node` on, in place of the
            negative prompt's.
        path_cond: the condition under which the path is the model's own way; None is the row's.

    Raises:
        MuseError: a mask without a path.
    """

    x: Tensor
    node: int = 0
    path: Sequence[Tensor] = ()
    mask: Tensor | None = None
    nulls: Sequence[Cond] = ()
    path_cond: Cond | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and not self.path:
            raise MuseError("A start with a mask needs a path: what is outside of it at each node.")

    def blended(self, x: Tensor, node: int) -> Tensor:
        """The latent at a node, with the source's where the mask says so."""
        if self.mask is None:
            return x
        # Not m x + (1 - m) path: this is exact for equal latents too, whatever the mask.
        return torch.lerp(self.path[node - self.node].to(x), x, self.mask.to(x))


class LatentSource(nn.Module, ABC):
    """Makes the latent that a row starts from."""

    needs_picture: ClassVar[bool] = False
    """Whether jobs must name an ``image``; jobs that name one are refused where this is False."""
    gives_path: ClassVar[bool] = False
    """Whether its starts have the `Start.path` of a picture, which some steerings need."""
    gives_nulls: ClassVar[bool] = False
    """Whether they have `Start.nulls`, which some steerings can't go with."""

    def check(self, solver: Solver) -> None:
        """Refuse a solver whose steps this source couldn't undo. By default all are fine.

        Raises:
            MuseError: such a solver.
        """

    def picture_of(self, job: Job, size: Size) -> Tensor | None:
        """The picture that a job edits as the model sees it, (1, 3, H, W) in [0, 1]; None where it
        edits none.

        Raises:
            MuseError: one that can't be read.
        """
        return None if job.image is None else read_picture(job.image, size)

    def mask_of(self, job: Job, size: Size) -> Tensor | None:
        """A job's mask over the picture that the model makes, (1, 1, H, W) in [0, 1]; None where it
        has none.

        Raises:
            MuseError: one that can't be read, has other proportions or is black all over.
        """
        if job.mask is None:
            return None
        over = None if job.image is None else open_picture(job.image).image.size
        return open_mask(job.mask).fitted(size, over)

    @abstractmethod
    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Row[Start | Tensor]:
        """Where the row starts, as a row itself (`muse.core.asks.Row`): model predictions are asked
        for by ``yield``, so that they share calls with other rows.

        Args:
            job: its seed, its picture where there is one, and the guidance scale and the negative
                prompt that the row is made with, where the job itself leaves them to the sampler.
            backbone: for shapes, `encode`, dtype and device.
            grid: the row's nodes.
            cond: the job's text condition, one row.
            size: height and width of the picture.

        Returns:
            by the generator's return a `Start`; a latent (1, ...) alone stands at the first node.
        """
