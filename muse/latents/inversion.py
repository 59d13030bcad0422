"""DDIM inversion, for editing: from a picture back to the noise that it came from."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask, Predict
from muse.core.jobs import Job
from muse.core.pictures import read_picture
from muse.core.types import Cond, MuseError, Node
from muse.latents.base import LatentSource
from muse.latents.noise import like
from muse.schedulers import DDIM, Solver, TimeGrid


class DDIMInversion(LatentSource):
    r"""Editing: the DDIM inversion of a picture under its description.

    Deterministic, guidance 1 (Song et al. 2021, Sec. 4.3). A step from node i + 1 back to the
    noisier node i predicts at node i's timestep with node i + 1's alpha and sigma, which is what
    diffusers' inverse scheduler does, and moves with `Denoised.at`; so one inversion serves every
    backbone, flow models too. Each fixed-point iteration then steps forward from the latent just
    reached and adds what is missing, :math:`x_i \leftarrow x_i + (x_{i+1} - step(x_i))`: at its
    fixed point the forward step leads exactly back (after Pan et al. 2023, AIDI; Garibi et al.
    2024, ReNoise).

    Args:
        fixed_point: fixed-point iterations a step, 0 for plain DDIM inversion.

    Raises:
        MuseError: fixed_point below 0.
    """

    needs_picture: ClassVar[bool] = True

    def __init__(self, fixed_point: int = 0) -> None:
        super().__init__()
        if fixed_point < 0:
            raise MuseError(f"fixed_point = {fixed_point} is not allowed. Use 0 or more.")
        self.fixed_point = fixed_point

    def check(self, solver: Solver) -> None:
        """Refuse a solver that isn't the plain DDIM step.

        Raises:
            MuseError: another one.
        """
        if not solver.undoable:
            raise MuseError(
                f"{type(self).__name__} undoes DDIM's steps, and the scheduler is "
                f"{type(solver).__name__}"
                + (f" with eta {solver.eta:g}" if isinstance(solver, DDIM) else "")
                + ". Use --model.scheduler DDIM with eta 0 to edit."
            )

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Tensor]:
        """Read and encode the job's picture, and invert it."""
        if job.image is None:
            raise MuseError(f"Job {job.id!r} has no picture to invert. Add an 'image' to it.")
        picture = read_picture(job.image, size).to(like(cond))
        return (yield from self.invert(backbone.encode(picture).to(like(cond)), grid, cond))

    def invert(
        self, latent: Tensor, grid: TimeGrid, cond: Cond
    ) -> Generator[list[Ask], list[Any], Tensor]:
        """The latent at the first node whose sampling leads to `latent` (1, ...) at the last."""
        x = latent
        for i in reversed(range(len(grid))):
            noisier, cleaner = grid[i], grid[i + 1]
            between = Node(noisier.timestep, cleaner.alpha, cleaner.sigma)
            [denoised] = yield [Predict(x, between, cond)]
            reached = denoised.at(noisier.alpha, noisier.sigma)
            for _ in range(self.fixed_point):
                [denoised] = yield [Predict(reached, noisier, cond)]
                reached = reached + x - grid.advance(denoised, i)
            x = reached
        return x
