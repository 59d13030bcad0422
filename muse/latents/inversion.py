"""DDIM inversion, for editing: from a picture back to the noise that it came from."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask, Predict
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError, Node
from muse.latents.base import LatentSource, Start
from muse.latents.picture import picture_latent
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

    The latents of all nodes are handed out as `Start.path`.

    Args:
        fixed_point: fixed-point iterations a step, 0 for plain DDIM inversion.
        prompt: the text that the picture is inverted under; None takes the job's own prompt.
            Plug-and-Play takes the empty one.

    Raises:
        MuseError: fixed_point below 0.
    """

    needs_picture: ClassVar[bool] = True
    gives_path: ClassVar[bool] = True

    def __init__(self, fixed_point: int = 0, prompt: str | None = None) -> None:
        super().__init__()
        if fixed_point < 0:
            raise MuseError(f"fixed_point = {fixed_point} is not allowed. Use 0 or more.")
        self.fixed_point = fixed_point
        self.prompt = prompt

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
                + ". Use DDIM with eta 0 to edit."
            )

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Start]:
        """Read and encode the job's picture, and invert it."""
        latent, under = picture_latent(self, job, backbone, cond, size), None
        if self.prompt is not None:  # it may be empty, as negative prompts may
            under = backbone.embed([self.prompt], size, negative=True)
        path = yield from self.invert(latent, grid, under or cond)
        return Start(path[0], path=path, path_cond=under)

    def invert(
        self, latent: Tensor, grid: TimeGrid, cond: Cond
    ) -> Generator[list[Ask], list[Any], list[Tensor]]:
        """The latents at all nodes, whose sampling leads from the first, the noise, to `latent`
        (1, ...) at the last.
        """
        x, path = latent, [latent]
        for i in reversed(range(len(grid))):
            noisier, cleaner = grid[i], grid[i + 1]
            between = Node(noisier.timestep, cleaner.alpha, cleaner.sigma)
            [denoised] = yield [Predict(x, between, cond)]
            reached = denoised.at(noisier.alpha, noisier.sigma)
            for _ in range(self.fixed_point):
                [denoised] = yield [Predict(reached, noisier, cond)]
                reached = reached + x - grid.advance(denoised, i)
            x = reached
            path.append(x)
        return path[::-1]
