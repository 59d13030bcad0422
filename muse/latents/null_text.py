"""Null-text inversion, for editing under guidance: each step's negative condition is fitted."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask, Match, Predict
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError, mix
from muse.latents.base import Start
from muse.latents.inversion import DDIMInversion
from muse.schedulers import TimeGrid

GROWTH = 2e-5
"""By how much the bound below which a step's fit ends grows from step to step, as published."""


class NullTextInversion(DDIMInversion):
    r"""Editing: DDIM inversion, and null conditions under which guidance leads back along it
    (null-text inversion, Mokady et al. 2023).

    The inversion at guidance 1 gives the path :math:`x^*_i`. From its noise on, each step fits the
    tokens :math:`\varnothing_i` of the negative condition, beginning with the last step's, so that
    the guided step leads to the path:

    .. math:: \min_{\varnothing_i} \| step(x_i, u + w (c - u)) - x^*_{i+1} \|^2,
              \qquad u = u(x_i, \varnothing_i)

    by Adam with rate :math:`lr\,(1 - i/100)`, ended below `tolerance` + 2e-5 i (mean square). Then
    the picture comes back at the guidance scale w that the row is made with, and a steering finds
    the nulls in `Start.nulls`. Published: 50 steps, w = 7.5, 10 iterations, 1e-2, 1e-5.

    A step is linear in u, so the fit is one of u's own step to :math:`(x^* - w\,c') / (1 - w)`, c'
    the prompt's. The rate is in units of the prompt's embedding (its RMS, about 1 in Stable
    Diffusion), as for `muse.steering.TokenOptimization`. Beside the inversion's own it costs two
    predictions a step and, for each iteration, one with a gradient. What else a condition holds (a
    pooled vector) stays.

    Args:
        iterations: of Adam a step, at most, 1 or more.
        lr: Adam's rate at the first step, above 0.
        tolerance: mean square below which the fit of the first step ends, 0 or more.
        fixed_point: of the inversion, as for `DDIMInversion`.

    Raises:
        MuseError: an option out of range; in a run, a guidance scale of 1, at which no negative
            condition is read.
    """

    gives_nulls: ClassVar[bool] = True

    def __init__(
        self,
        iterations: int = 10,
        lr: float = 0.01,
        tolerance: float = 1e-5,
        fixed_point: int = 0,
    ) -> None:
        super().__init__(fixed_point)
        if iterations < 1:
            raise MuseError(f"iterations = {iterations} is not allowed. Use 1 or more.")
        if not lr > 0:
            raise MuseError(f"lr = {lr:g} is not allowed. Use a number above 0.")
        if not tolerance >= 0:
            raise MuseError(f"tolerance = {tolerance:g} is not allowed. Use 0 or more.")
        self.iterations = iterations
        self.lr = lr
        self.tolerance = tolerance

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Start]:
        """Invert the job's picture, and fit the nulls."""
        scale = job.guidance_scale
        if scale is None or scale == 1:
            raise MuseError(
                "NullTextInversion fits the negative condition, and guidance_scale 1 reads none. "
                "Use another guidance_scale, or DDIMInversion."
            )
        start = yield from super().forward(job, backbone, grid, cond, size)
        null = backbone.embed([job.negative_prompt or ""], size, negative=True)
        nulls = yield from self.fit(start.path, grid, cond, null, scale)
        return replace(start, nulls=nulls)

    def fit(
        self, path: Sequence[Tensor], grid: TimeGrid, cond: Cond, null: Cond, scale: float
    ) -> Generator[list[Ask], list[Any], list[Cond]]:
        """The negative condition of each step, under which guidance leads along a path.

        Args:
            path: latents (1, ...) at all nodes.
            grid: the nodes.
            cond: the prompt's condition.
            null: the negative one that the fit begins with.
            scale: of the guidance, not 1.
        """
        given = null["tokens"]
        tokens = given.to(torch.promote_types(given.dtype, torch.float32))
        unit = cond["tokens"].to(tokens).square().mean().sqrt()
        nulls: list[Cond] = []
        x = path[0]
        for i in range(len(grid)):
            [text] = yield [Predict(x, grid[i], cond)]
            wanted = (path[i + 1] - scale * grid.advance(text, i)) / (1 - scale)
            search = (tokens / unit).clone()
            rate = max(0.0, self.lr * (1 - i / 100))
            adam = torch.optim.Adam([search], rate)
            for _ in range(self.iterations):
                fitted = {**null, "tokens": (search * unit).to(given)}
                [found] = yield [Match(x, grid[i], fitted, grid[i + 1], wanted)]
                search.grad = (1 - scale) ** 2 * unit * found.gradient.to(search)
                adam.step()
                if (1 - scale) ** 2 * found.distance < self.tolerance + i * GROWTH:
                    break
            tokens = search * unit
            nulls.append({**null, "tokens": tokens.to(given)})
            [empty] = yield [Predict(x, grid[i], nulls[-1])]
            x = grid.advance(mix(text, empty, scale), i)
        return nulls
