"""No steering: the prompt alone."""

from __future__ import annotations

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.types import Cond, Rows
from muse.steering.base import Steering


class NoSteering(Steering):
    """Steer nothing: bit for bit the plain model, whatever the timing says."""

    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Rows:
        """An empty state."""
        return {}

    def variables(self, state: Rows) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def inject(self, backbone: Backbone, x: Tensor, cond: Cond, state: Rows) -> tuple[Tensor, Cond]:
        """Both as they are."""
        return x, cond

    def step(self, state: Rows, gradient: Rows, i: Tensor, k: Tensor) -> Rows:
        """The state as it is."""
        return state
