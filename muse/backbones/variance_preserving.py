"""What pipelines that predict eps or v share: the nodes of their scheduler, and how an output is
read.
"""

from __future__ import annotations

from typing import Any, ClassVar

import diffusers
from torch import Tensor

from muse.backbones.base import Size
from muse.backbones.pipeline import PipelineBackbone
from muse.core.types import Denoised, MuseError, Node
from muse.schedulers import TimeGrid
from muse.schedulers.grid import check_steps

DDIM = ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler")
"""Schedulers of which DDIM's nodes are taken: one config serves them all."""
SIGMAS = (
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "UniPCMultistepScheduler",
)
"""Schedulers that say themselves at which noise levels they stop."""


class VariancePreserving(PipelineBackbone):
    r"""A pipeline that predicts eps or v, at :math:`\alpha^2 + \sigma^2 = 1`.

    The nodes are those of the pipeline's own scheduler; from node to node goes the DDIM step,
    whatever order or noise that scheduler's own step has. For `EulerDiscreteScheduler` and for
    first-order DPM-Solver++ that is the same step.

    Args:
        pretrained: a folder of the diffusers layout, a hub id, or a ``.safetensors`` file.
        options: those of `PipelineBackbone`.

    Raises:
        MuseError: what `PipelineBackbone` refuses, or a scheduler whose prediction type is neither
            ``epsilon`` nor ``v_prediction``.
    """

    schedulers: ClassVar = tuple(sorted((*DDIM, *SIGMAS)))

    def __init__(self, pretrained: str, **options: Any) -> None:
        super().__init__(pretrained, **options)
        self.prediction_type: str = self.scheduler_config.get("prediction_type", "epsilon")
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise MuseError(
                f"{pretrained!r} predicts {self.prediction_type!r}. {type(self).__name__} reads "
                "models that predict 'epsilon' or 'v_prediction'."
            )

    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """The nodes of the pipeline's own scheduler (`scheduler_grid`).

        Raises:
            MuseError: what `scheduler_grid` refuses, or a model that would have to find eps where
                nothing but noise is left.
        """
        grid = scheduler_grid(self.scheduler_config, steps)
        if self.prediction_type == "epsilon" and not grid.alphas.all():
            raise MuseError(
                f"{self.pretrained!r} predicts eps, and its schedule ends in pure noise, where x0 "
                "can't be told from it. Set rescale_betas_zero_snr to false in its scheduler."
            )
        return grid

    def predicted(self, x: Tensor, output: Tensor, node: Node) -> Denoised:
        """The denoiser's eps or v for latents `x`, both (B, C, h, w), as x0 and eps."""
        made = Denoised.from_eps if self.prediction_type == "epsilon" else Denoised.from_v
        return made(x, output.to(x), node.alpha, node.sigma)


def scheduler_grid(config: dict[str, Any], steps: int) -> TimeGrid:
    """The nodes that a variance-preserving pipeline's scheduler visits.

    Betas, spacing, offset, Karras or other noise levels and the final node are the config's. With
    uneven spacing (``linspace``) every step still leads to the next node, where diffusers'
    DDIMScheduler takes an even stride for granted; and x_T is a standard normal at the first node,
    where its EulerDiscreteScheduler starts up to 0.3 % smaller.

    Args:
        config: of the scheduler, with its ``_class_name``.
        steps: number of steps.

    Raises:
        MuseError: a scheduler of another kind; more steps than the model was trained with, or none.
    """
    name = config["_class_name"]
    if name not in (*DDIM, *SIGMAS):
        known = ", ".join(sorted((*DDIM, *SIGMAS)))
        raise MuseError(
            f"The pipeline's scheduler is a {name}, whose nodes are unknown. Choose another by the "
            f"backbone's option scheduler: {known}."
        )
    kind: Any = getattr(diffusers, "DDIMScheduler" if name in DDIM else name)
    scheduler = kind.from_config(config)
    check_steps(steps, scheduler.config.num_train_timesteps)
    scheduler.set_timesteps(steps)
    if name in SIGMAS:
        return TimeGrid.from_sigmas(scheduler.sigmas, scheduler.timesteps)
    # As many steps as in training, and an offset: the first one lies beyond the schedule.
    timesteps = scheduler.timesteps.clamp(max=scheduler.config.num_train_timesteps - 1)
    final = float(scheduler.final_alpha_cumprod)
    return TimeGrid.from_alphas_cumprod(scheduler.alphas_cumprod, timesteps, final)
