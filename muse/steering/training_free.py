"""Training-free guidance: one algorithm that has DPS, LGD-MC, MPGD, FreeDoM and UG in it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from muse.core.asks import Ask, Evaluation, Judge, Predict
from muse.core.errors import check_choice, check_counts
from muse.core.types import Denoised, MuseError, Tensors
from muse.schedulers import TimeGrid
from muse.steering.base import Steered, Step
from muse.steering.by_latent import ByLatent, check_strengths, noised_back

Schedule = Literal["increase", "decrease", "constant"]


class TrainingFreeGuidance(ByLatent):
    r"""TFG (Ye et al. 2024, Algorithm 1), which writes other methods as cases of one.

    With :math:`\log \tilde f(x_0) = \log E_\delta\, e^{-L(x_0 + s_t \delta)}` (by `samples` draws),
    :math:`x_0` the prediction at x, and N inner iterations:

    .. math::
        \Delta_{var} = \rho_t \nabla_x \log \tilde f(x_0), \qquad
        \Delta_{mean} \leftarrow \Delta_{mean} + \mu_t \nabla_{x_0} \log \tilde f(x_0 +
        \Delta_{mean})

    .. math::
        x' = \text{step}(x, x_0) + \tfrac{\alpha'}{\alpha} \Delta_{var} + \alpha' \Delta_{mean},

    taken k times, noised back in between. Levels :math:`\alpha`, those after the step primed. Both
    weights go over the steps as their schedule says (``increase`` as :math:`(\alpha / \alpha')^2`,
    ``decrease`` as 1 minus that), with a mean of `rho` and `mu` over all of them; :math:`s_t` is
    `sigma`, times the noise level where that one decreases.

    ==============================  ================================================================
    method                          as TFG
    ==============================  ================================================================
    DPS (Chung et al. 2023)         rho in units of ``loss``, mu 0, constant
    LGD-MC (Song et al. 2023)       mu 0, sigma 1 decreasing, n samples, constant
    MPGD (He et al. 2024)           rho 0, constant mu, one iteration
    FreeDoM (Yu et al. 2023)        rho in units of ``guidance``, mu 0, recurrences in the middle
    UG (Bansal et al. 2023)         sigma 0, recurrences (`UniversalGuidance` is its own form)
    ==============================  ================================================================

    Published for Stable Diffusion 1.5: rho 0.25, mu 2, sigma 0.1, 4 iterations, 1 recurrence, 100
    steps of DDIM with eta 1 (the authors' scripts).

    Args:
        rho: weight of the gradient by the latent, 0 or more; at 0 none is taken.
        mu: weight of the gradient by x0, 0 or more; at 0 none is taken.
        sigma: standard deviation of the smoothing noise, 0 or more, in units of the latent.
        iterations: N, 1 or more.
        recurrences: k, 1 or more.
        recurrent_until: the share of the steps after which each is taken once, in [0, 1].
        samples: draws for the smoothing, 1 or more; without sigma one is all there is.
        rho_schedule, mu_schedule: over the steps.
        sigma_schedule: over the steps; ``decrease`` or ``constant``.
        rho_unit: ``likelihood``: as above; ``loss``: divided by the loss's size (DPS, whose rate is
            :math:`\zeta / |y - A(x_0)|`); ``guidance``: :math:`\Delta_{var} = \rho_t\, w\,
            \frac{RMS(\epsilon_c - \epsilon_u)}{RMS(g)}\, g`, w the guidance scale, with no
            :math:`\alpha'/\alpha` (FreeDoM's repository), which has no unit.
        template: of the prompt that the model is told while it is steered, as `EmotionWord`'s; None
            is the job's, as published.

    Raises:
        MuseError: one of them out of range, or a template without ``{emotion}``.
    """

    def __init__(
        self,
        rho: float = 0.25,
        mu: float = 2.0,
        sigma: float = 0.1,
        iterations: int = 4,
        recurrences: int = 1,
        recurrent_until: float = 1.0,
        samples: int = 1,
        rho_schedule: Schedule = "increase",
        mu_schedule: Schedule = "increase",
        sigma_schedule: Literal["decrease", "constant"] = "decrease",
        rho_unit: Literal["likelihood", "loss", "guidance"] = "likelihood",
        template: str | None = None,
    ) -> None:
        super().__init__(template)
        check_strengths(rho=rho, mu=mu, sigma=sigma)
        check_counts(iterations=iterations, recurrences=recurrences, samples=samples)
        check_choice("rho_schedule", rho_schedule, get_args(Schedule))
        check_choice("mu_schedule", mu_schedule, get_args(Schedule))
        check_choice("sigma_schedule", sigma_schedule, ("decrease", "constant"))
        check_choice("rho_unit", rho_unit, ("likelihood", "loss", "guidance"))
        if not 0 <= recurrent_until <= 1:
            raise MuseError(f"recurrent_until = {recurrent_until:g} is out of range. Use 0 to 1.")
        self.rho, self.mu, self.sigma = rho, mu, sigma
        self.iterations, self.recurrences, self.samples = iterations, recurrences, samples
        self.recurrent_until = recurrent_until
        self.predicts = recurrences == 1  # the last of more is of a latent that was noised anew
        self.rho_schedule, self.mu_schedule = rho_schedule, mu_schedule
        self.sigma_schedule = sigma_schedule
        self.rho_unit = rho_unit

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """One evaluation and N judgements for each recurrence."""
        step = self.told(step)
        x = step.x
        early = step.i / len(step.grid) < self.recurrent_until
        times = self.recurrences if early else 1
        for again in range(times):
            noise = self.smoothing(step, x)
            guided, shift, quiet = yield from self.by_latent(step, x, again, noise)
            moved, calm = yield from self.by_x0(step, guided.x0, noise)
            quiet = quiet and calm
            # The solver multiplies x0 by alpha' whatever it does with the noise.
            guided = Denoised(moved + shift, guided.eps)
            if again + 1 < times:
                x = noised_back(step.advance(guided), step.grid, step.i, step.generator)
        step.trace.iterations.append(times)
        return Steered(guided, state, quiet=quiet)

    def smoothing(self, step: Step, x: Tensor) -> Tensor | None:
        """Noise (1, n, ...) for this recurrence, None without smoothing."""
        if not self.sigma:
            return None
        level = step.node.sigma if self.sigma_schedule == "decrease" else 1.0
        noise = torch.randn(1, self.samples, *x.shape[1:], generator=step.generator)
        return noise.to(x) * (self.sigma * level)

    def by_latent(
        self, step: Step, x: Tensor, again: int, noise: Tensor | None
    ) -> Generator[list[Ask], list[Any], tuple[Denoised, Tensor, bool]]:
        r"""The guided prediction at x, :math:`\Delta_{var}` as a change of x0, (1, ...), and
        whether the loss was low.
        """
        if not self.rho:
            conds = [step.cond] if step.null is None else [step.cond, step.null]
            found = yield [Predict(x, step.node, cond) for cond in conds]
            found += [None] * (2 - len(found))
            return step.guidance.mixed(*found), torch.zeros_like(x), True
        [evaluated] = yield [self.ask(step, x, again, noise)]
        step.note(again, evaluated)
        guided = step.guidance.mixed(evaluated.prediction, evaluated.unconditional)
        return guided, self.change(step, evaluated), step.satisfied(evaluated)

    def change(self, step: Step, found: Evaluation) -> Tensor:
        r"""What :math:`\Delta_{var}` adds to x0, so that the step adds it to the latent."""
        here, there = step.node, step.grid[step.i + 1]
        gradient = -found.gradient["x"]
        if not found.steppable or not here.alpha:  # pure noise has no x0 to change
            return torch.zeros_like(gradient)
        rho = self.rho * schedule(self.rho_schedule, step.grid, step.i)
        if self.rho_unit == "loss":
            rho /= max(abs(found.total), 1e-12)
        if self.rho_unit == "guidance":
            if found.unconditional is None:
                raise MuseError(
                    "rho_unit = guidance measures by what the prompt adds to the unconditional "
                    "prediction. Use a guidance_scale other than 1, or another unit."
                )
            apart = found.prediction.eps - found.unconditional.eps
            size = rms(apart) * step.guidance.scale / rms(gradient).clamp(min=1e-12)
            return rho * size / there.alpha.to(gradient) * gradient
        return rho / here.alpha.to(gradient) * gradient

    def by_x0(
        self, step: Step, x0: Tensor, noise: Tensor | None
    ) -> Generator[list[Ask], list[Any], tuple[Tensor, bool]]:
        r""":math:`x_0 + \Delta_{mean}`, and whether the loss was low where it began; it ends early
        where a gradient is not finite.
        """
        quiet = True
        mu = self.mu * schedule(self.mu_schedule, step.grid, step.i)
        for k in range(self.iterations if mu else 0):
            [judged] = yield [Judge(x0, step.goal, step.job.prompt, noise)]
            if not judged.finite:
                break
            if not self.rho:
                step.note(k, judged)
            quiet = quiet and (k > 0 or step.satisfied(judged))
            x0 = x0 - mu * judged.gradient
        return x0, quiet


def schedule(kind: Schedule, grid: TimeGrid, i: int) -> float:
    """A step's share of a weight, with a mean of 1 over all steps."""
    if kind == "constant":
        return 1.0
    kept = (grid.alphas[:-1] / grid.alphas[1:]) ** 2
    shares = kept if kind == "increase" else 1 - kept
    return float(shares[i] / shares.mean())


def rms(tensor: Tensor) -> Tensor:
    """Root mean square of one row, ()."""
    return tensor.square().mean().sqrt()
