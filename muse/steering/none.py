"""No steering: the prompt alone."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from muse.core.asks import Ask
from muse.core.types import Tensors
from muse.steering.base import Steered, Steering, Step


class NoSteering(Steering):
    """Steer nothing: bit for bit the plain model, whatever the timing says."""

    needs_plain = True
    asks_guide = False

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The step's plain prediction, guided."""
        plain = yield from step.predicted()
        return Steered(step.guidance.mixed(plain, step.unconditional), state)
