"""Optimising the noise that a picture starts from, through the whole way to the picture."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.asks import Ask, Unroll
from muse.core.errors import check_choice, check_counts
from muse.core.types import MuseError, Tensors
from muse.latents import LatentSource
from muse.steering.base import Steered, Steering, Step
from muse.steering.by_latent import check_strengths


class NoiseOptimization(Steering):
    r"""The initial noise by gradient descent on :math:`L(f(x_0(x_T))) + r R(x_T)`, at the first
    steered step alone; then the plain way from the best :math:`x_T`.

    The gradient goes through every step of plain DDIM (Euler, for a flow), one of them in memory at
    a time. :math:`R(x) = |x|^2 / 2 - (D - 1) \log |x|` is the negative log-likelihood of the norm
    of D normal numbers (Samuel et al. 2023, as ReNO has it).

    ===============================  ===============================================================
    published                        settings
    ===============================  ===============================================================
    ReNO (Eyring et al. 2024)        ``sgd`` (Nesterov, momentum 0.9), rate 5, 50 iterations, clip
                                     0.1, regulariser 0.01, for one-step models
    DNO (Tang et al. 2025)           ``adam``, rate 0.01, 100 iterations, clip 1, 50 steps, CFG 5;
                                     the authors also optimise the noise that DDIM adds at eta 1,
                                     which this does not
    ===============================  ===============================================================

    Args:
        iterations: 1 or more, each of as many predictions with gradient as there are steps.
        rate: learning rate, 0 or more.
        optimizer: ``adam`` (decoupled weight decay 0) or ``sgd``.
        clip: the gradient's norm is at most this, above 0.
        regularizer: r, 0 or more.

    Raises:
        MuseError: one of them out of range.
    """

    predicts = False

    def __init__(
        self,
        iterations: int = 50,
        rate: float = 0.01,
        optimizer: Literal["adam", "sgd"] = "adam",
        clip: float = 1.0,
        regularizer: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(iterations=iterations)
        check_strengths(rate=rate, regularizer=regularizer)
        check_choice("optimizer", optimizer, ("adam", "sgd"))
        if not clip > 0:
            raise MuseError(f"clip = {clip:g} is not allowed. Use a number above 0.")
        self.iterations, self.rate, self.optimizer = iterations, rate, optimizer
        self.clip, self.regularizer = clip, regularizer

    def check(self, backbone: Backbone, latents: LatentSource) -> None:
        """Refuse latents that have a null of their own at each step, where the way has one."""
        if latents.gives_nulls:
            raise MuseError(
                f"NoiseOptimization leads all steps under one negative prompt, and "
                f"{type(latents).__name__} has fitted one to each. Use DDIMInversion."
            )

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The search, and back to the same node with what it has found; plain from then on."""
        if state:
            plain = yield from step.predicted()
            return Steered(step.guidance.mixed(plain, step.unconditional), state)
        nodes = [step.grid[i] for i in range(step.i, len(step.grid) + 1)]
        x = step.x.detach().clone().requires_grad_()
        stepper = self._stepper(x)
        best, least = step.x, float("inf")
        for k in range(self.iterations + 1):
            last = k == self.iterations
            way = Unroll(
                x.detach(), nodes, step.cond, step.null, step.goal, step.job.prompt, step.guidance
            )
            [found] = yield [way]
            if not found.judgement.finite:
                step.trace.notes.append(f"iteration {k}: loss or gradient is not finite")
                break
            step.note(k, found.judgement)
            if found.judgement.total < least:
                best, least = x.detach().clone(), found.judgement.total
            if last:
                break
            x.grad = found.judgement.gradient + self.regularizer * norm_slope(x.detach())
            torch.nn.utils.clip_grad_norm_([x], self.clip)
            stepper.step()
        step.trace.iterations.append(k)
        return Steered(None, {"found": torch.ones(1)}, best, step.i)

    def _stepper(self, x: Tensor) -> torch.optim.Optimizer:
        if self.optimizer == "adam":
            return torch.optim.AdamW([x], lr=self.rate, weight_decay=0.0)
        return torch.optim.SGD([x], lr=self.rate, momentum=0.9, nesterov=True)


def norm_slope(x: Tensor) -> Tensor:
    r"""The gradient of :math:`|x|^2 / 2 - (D - 1) \log |x|`, (1, ...)."""
    return x * (1 - (x.numel() - 1) / x.square().sum().clamp(min=1e-12))
