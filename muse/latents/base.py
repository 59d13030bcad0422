"""Where x_T comes from: the contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Row
from muse.core.jobs import Job
from muse.core.types import Cond
from muse.schedulers import TimeGrid


class LatentSource(nn.Module, ABC):
    """Makes the latent that a row starts from."""

    needs_picture: ClassVar[bool] = False
    """Whether jobs must name an ``image``; jobs that name one are refused where this is False."""

    @abstractmethod
    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Row[Tensor]:
        """The latent at the grid's first node, as a row (`muse.core.asks.Row`): model predictions
        are asked for by ``yield``, so that they share calls with other rows.

        Args:
            job: its seed, and its picture where there is one.
            backbone: for shapes, `encode`, dtype and device.
            grid: the nodes of the run.
            cond: the job's text condition, one row.
            size: height and width of the picture.

        Returns:
            (1, ...) by the generator's return.
        """
