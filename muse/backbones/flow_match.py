"""What flow-matching pipelines share: the nodes of their scheduler, and T5's context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from muse.core.types import MuseError
from muse.schedulers import TimeGrid
from muse.schedulers.grid import check_steps

SCHEDULERS = (FlowMatchEulerDiscreteScheduler.__name__,)
"""Schedulers whose nodes are known."""
T5_CONTEXT = 512
"""The longest text in tokens that both pipelines give to T5."""


def flow_grid(
    config: dict[str, Any], steps: int, image_tokens: int, sigmas: Sequence[float] | None = None
) -> TimeGrid:
    r"""The Euler nodes of a rectified flow, by its pipeline's scheduler config.

    The shift is a constant, or with dynamic shifting :math:`e^\mu` with :math:`\mu` linear in the
    number of image tokens (Esser et al. 2024, Sec. 5.3.2).

    Args:
        config: of the scheduler, with its ``_class_name``.
        steps: number of steps.
        image_tokens: that the denoiser makes of one latent.
        sigmas: (steps,), falling, before the shift; None takes the scheduler's own.

    Raises:
        MuseError: a scheduler of another kind; more steps than the model was trained with, or none.
    """
    name = config["_class_name"]
    if name != FlowMatchEulerDiscreteScheduler.__name__:
        raise MuseError(
            f"The pipeline's scheduler is a {name}, whose nodes are unknown. Give the backbone the "
            f"option scheduler: {FlowMatchEulerDiscreteScheduler.__name__}."
        )
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(config)
    own = scheduler.config
    check_steps(steps, own.num_train_timesteps)
    mu = calculate_shift(
        image_tokens, own.base_image_seq_len, own.max_image_seq_len, own.base_shift, own.max_shift
    )
    scheduler.set_timesteps(steps, sigmas=sigmas, mu=mu if own.use_dynamic_shifting else None)
    levels = scheduler.sigmas.double()
    # The timesteps as the scheduler rounds them; nobody is told the last one.
    timesteps = torch.cat([scheduler.timesteps, scheduler.timesteps[-1:]])
    return TimeGrid(timesteps, 1 - levels, levels)


def flow_start(strength: float, steps: int) -> int:
    """The node from which a share `strength` of the steps lead to the picture, as diffusers'
    image-to-image pipelines of flows round it: the node downwards, so that a begun step counts.
    """
    return int(max(steps - min(steps * strength, steps), 0))


def check_context(max_sequence_length: int) -> int:
    """`max_sequence_length`, or a `MuseError` where it isn't 1 to `T5_CONTEXT`."""
    if not 1 <= max_sequence_length <= T5_CONTEXT:
        raise MuseError(
            f"max_sequence_length = {max_sequence_length} is not allowed. Use 1 to {T5_CONTEXT}."
        )
    return max_sequence_length
