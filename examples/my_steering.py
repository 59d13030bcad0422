"""A steering method of one's own: the latent is moved instead of the prompt.

muse fit-free --config configs/toy.yaml --model.steering examples.my_steering.LatentOffset \
    --model.emotion_scale 1
"""

from __future__ import annotations

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.types import Cond, MuseError, Tensors, per_row
from muse.steering import Optimization


class LatentOffset(Optimization):
    """Move the latent by an offset before the model sees it, and leave the text alone.

    In each sampling step the offset is searched anew, from 0, by steps of one length against the
    gradient (as Universal Guidance does with one step along it, Bansal et al. 2023). The prediction
    at x + offset leads on from there, so what has been moved stays moved. Guided at a scale of its
    own of 1 (``emotion_scale: 1``) the offset enters just once.

    Args:
        rate: the length of a step, as the root mean square over the latent, above 0. Noise has 1.

    Raises:
        MuseError: a rate not above 0.
    """

    def __init__(self, rate: float = 0.05) -> None:
        super().__init__()
        if not rate > 0:
            raise MuseError(f"rate = {rate:g} is not allowed. Use a number above 0.")
        self.rate = rate

    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Tensors:
        """No offset yet, (1, ...) as the latent."""
        return {"offset": torch.zeros_like(x)}

    def variables(self, state: Tensors) -> tuple[str, ...]:
        """The offset."""
        return ("offset",)

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The latent moved, and the condition as it is."""
        return x + state["offset"], cond

    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> Tensors:
        """One step of length `rate` downhill, for each row by its own gradient."""
        slope = gradient["offset"]
        size = slope.flatten(1).square().mean(1).sqrt().clamp(min=1e-12)
        return {"offset": state["offset"] - self.rate * slope / per_row(size, slope)}

    def carry(self, state: Tensors) -> Tensors:
        """No offset: the next latent comes from where this one was moved to."""
        return {"offset": torch.zeros_like(state["offset"])}
