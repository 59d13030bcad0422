"""The paper's steering: emotion tokens beside the prompt, optimised by Adam."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.types import Cond, MuseError, Tensors, per_row
from muse.steering.optimization import Optimization


class TokenOptimization(Optimization):
    r"""Optimise emotion tokens S beside the prompt, by Adam: the paper's steering.

    :math:`c_{emo} = T(P) \oplus S` (Sec. IV-A, Eq. 8), with a rate that falls linearly,
    :math:`lr_i = lr\,(1 - i / 100)`, at least 0 (Sec. V-A).

    Embeddings differ in size between text encoders, so `scale` and `lr` are in units of the
    condition's root mean square; the paper's rate is the case of 1. S is kept in float32 (the
    exact toy's float64) and carried on from step to step, Adam's moments start anew at each.

    Args:
        tokens: how many, M.
        scale: standard deviation of the random S.
        lr: learning rate.
        decay_over: what i counts: the sampling ``step`` (as null-text inversion does, whose
            schedule this is), or the inner ``iteration``.

    Raises:
        MuseError: tokens below 1, or scale or lr not above 0.
    """

    def __init__(
        self,
        tokens: int = 4,
        scale: float = 0.02,
        lr: float = 0.01,
        decay_over: Literal["step", "iteration"] = "step",
    ) -> None:
        super().__init__()
        if tokens < 1:
            raise MuseError(f"tokens = {tokens} is not allowed. Use 1 or more.")
        for name, value in (("scale", scale), ("lr", lr)):
            if not value > 0:
                raise MuseError(f"{name} = {value:g} is not allowed. Use a number above 0.")
        self.tokens = tokens
        self.scale = scale
        self.lr = lr
        self.decay_over = decay_over

    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Tensors:
        """Random S (1, M, d), zero moments, and the unit (1, 1, 1): the condition's RMS."""
        text = cond["tokens"]
        dtype = torch.promote_types(text.dtype, torch.float32)
        unit = text.to(dtype).square().mean((1, 2), keepdim=True).sqrt()
        noise = torch.randn(1, self.tokens, text.shape[-1], generator=generator)
        tokens = self.scale * unit * noise.to(unit)
        zero = torch.zeros_like(tokens)
        return {"tokens": tokens, "mean": zero, "square": zero, "unit": unit}

    def variables(self, state: Tensors) -> tuple[str, ...]:
        """S alone."""
        return ("tokens",)

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The latent as it is, and the condition with S appended."""
        return x, backbone.extend(cond, state["tokens"])

    def step(self, state: Tensors, gradient: Tensors, i: Tensor, k: Tensor) -> Tensors:
        """One step of Adam (Kingma & Ba 2015; betas 0.9 and 0.999, eps 1e-8) on S / unit."""
        i, k = i.cpu(), k.cpu()  # counted there in float64, which not every device has
        unit, count = state["unit"], (k + 1).double()
        slope = gradient["tokens"] * unit
        fresh = per_row(k == 0, slope).bool()
        mean = 0.1 * slope + 0.9 * state["mean"].masked_fill(fresh, 0)
        square = 0.001 * slope**2 + 0.999 * state["square"].masked_fill(fresh, 0)
        first = mean / per_row(1 - 0.9**count, slope)
        second = square / per_row(1 - 0.999**count, slope)
        decay = i if self.decay_over == "step" else k
        lr = self.lr * (1 - decay.double() / 100).clamp(min=0)
        tokens = state["tokens"] - per_row(lr, slope) * unit * first / (second.sqrt() + 1e-8)
        return {"tokens": tokens, "mean": mean, "square": square, "unit": unit}
