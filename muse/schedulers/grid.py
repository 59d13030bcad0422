"""Time grids: the nodes that a latent visits on its way from noise to picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from muse.core.types import Denoised, MuseError, Node


@dataclass(frozen=True)
class TimeGrid:
    r"""Steps + 1 nodes from noise (first) to picture (last).

    At each node :math:`x = \alpha x_0 + \sigma \epsilon`. The last node is where the sampler
    stops and is never shown to the model, so its timestep only repeats its neighbour's.

    Attributes:
        timesteps: (steps + 1,), in the unit and dtype that the model wants: integers for
            discrete models (a float on its way through index / 1000 would truncate wrongly), for
            others float32: they go to the model's device, which may have no float64.
        alphas: (steps + 1,), float64, rising.
        sigmas: (steps + 1,), float64, falling.
    """

    timesteps: Tensor
    alphas: Tensor
    sigmas: Tensor

    def __len__(self) -> int:
        """The number of steps, one less than nodes."""
        return len(self.timesteps) - 1

    def __getitem__(self, i: int) -> Node:
        """Node `i`, 0 the noisiest; `len(grid)` is the last one."""
        return Node(self.timesteps[i], self.alphas[i], self.sigmas[i])

    def advance(self, denoised: Denoised, i: int) -> Tensor:
        """The latent at node i + 1 from the prediction made at node `i`: the DDIM step
        (Euler, for a flow model).
        """
        return denoised.at(self.alphas[i + 1], self.sigmas[i + 1])

    @classmethod
    def from_alphas_cumprod(
        cls, alphas_cumprod: Tensor, timesteps: Tensor, final_alpha_cumprod: float
    ) -> TimeGrid:
        r"""A variance-preserving grid, :math:`\alpha = \sqrt{\bar\alpha}`,
        :math:`\sigma = \sqrt{1 - \bar\alpha}`.

        Args:
            alphas_cumprod: of the training schedule, (T,).
            timesteps: what the model is asked at, falling, (steps,), integers below T.
            final_alpha_cumprod: of the last node; Stable Diffusion's is ``alphas_cumprod[0]``,
                so that its pictures end a little short of clean.
        """
        timesteps = timesteps.long().cpu()
        bar = alphas_cumprod.double().cpu()[timesteps]
        bar = torch.cat([bar, torch.tensor([final_alpha_cumprod], dtype=torch.float64)])
        return cls(torch.cat([timesteps, timesteps[-1:]]), bar.sqrt(), (1 - bar).sqrt())

    @classmethod
    def from_sigmas(cls, sigmas: Tensor, timesteps: Tensor) -> TimeGrid:
        r"""A variance-preserving grid from noise over signal, :math:`\sigma / \alpha`: what
        k-diffusion, and the schedulers made after it, call sigmas (Karras et al. 2022).

        Args:
            sigmas: (steps + 1,), falling, usually to 0; where not, the last latent is left at
                :math:`x_0 + \sigma \epsilon`, as those schedulers leave it.
            timesteps: what the model is asked at, (steps,), not always whole numbers.
        """
        timesteps, sigmas = timesteps.cpu(), sigmas.double().cpu()
        alphas = (1 + sigmas**2).rsqrt()
        alphas[-1] = 1
        return cls(torch.cat([timesteps, timesteps[-1:]]), alphas, sigmas * alphas)

    @classmethod
    def vp(cls, steps: int, training_steps: int = 1000) -> TimeGrid:
        r"""Stable Diffusion's DDIM nodes: "scaled linear" betas from 0.00085 to 0.012, leading
        spacing, offset 1, last node ``alphas_cumprod[0]``. 50 steps are 981, 961, ..., 1.

        At the first node alpha is about 0.07 (0.068 at the end of the schedule), not 0: a
        standard normal is not exactly the marginal there.
        """
        check_steps(steps, training_steps)
        root = torch.linspace(0.00085**0.5, 0.012**0.5, training_steps, dtype=torch.float64)
        bar = (1 - root**2).cumprod(0)
        timesteps = torch.arange(steps).flip(0) * (training_steps // steps) + 1
        timesteps = timesteps.clamp(max=training_steps - 1)
        return cls.from_alphas_cumprod(bar, timesteps, float(bar[0]))

    @classmethod
    def flow(cls, steps: int, shift: float = 1.0, training_steps: int = 1000) -> TimeGrid:
        r"""Rectified flow: :math:`\alpha = 1 - \sigma`, sigma falling from 1 to 0.

        Args:
            steps: number of steps.
            shift: :math:`\sigma' = s \sigma / (1 + (s - 1) \sigma)`, above 1 spends more steps
                at high noise (Esser et al. 2024, Eq. 23).
            training_steps: the timestep told to the model is `training_steps` * sigma.
        """
        check_steps(steps, training_steps)
        sigma = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        sigma = (shift * sigma / (1 + (shift - 1) * sigma)).clamp(max=1)
        return cls((sigma * training_steps).float(), 1 - sigma, sigma)


def check_steps(steps: int, training_steps: int) -> None:
    """Refuse a number of steps outside 1 to `training_steps`."""
    if not 1 <= steps <= training_steps:
        raise MuseError(f"steps = {steps} is not allowed. Use 1 to {training_steps}.")
