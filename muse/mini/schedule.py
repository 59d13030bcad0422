"""The learning-rate schedule of every recipe."""

import math

from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def with_one_cycle(
    optimizer: Optimizer, steps: float, warmup: float = 0.1
) -> OptimizerLRSchedulerConfig:
    """What `configure_optimizers` returns: a linear rise, then a cosine's fall to zero.

    Args:
        optimizer: its groups' learning rates are the peaks.
        steps: of the whole run; infinite keeps the peak.
        warmup: the rise's share of the run.
    """
    rise = max(1.0, warmup * steps) if math.isfinite(steps) else 1.0

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1.0) / (rise + 1.0)
        progress = (step - rise) / max(steps - rise, 1.0)
        return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))

    schedule = LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
