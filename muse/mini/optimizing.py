"""How every recipe learns in few steps: Muon, momentum whose matrices are orthogonalised, and one
cycle of the rate.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def _orthogonalize(matrix: Tensor) -> Tensor:
    """Moves all singular values of (rows, columns) to about 1, by Newton and Schulz's iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    # Many CPUs only emulate bfloat16, ten times slower than float32.
    x = matrix.float() if matrix.device.type == "cpu" else matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = (x.T if tall else x).contiguous()
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan 2024) for weight matrices and convolutions, Adam for everything else.

    A weight's update is its Nesterov momentum as a matrix (out, rest), orthogonalised and scaled
    by 0.2 sqrt(max(rows, columns)) so that its size matches Adam's (Liu et al. 2025).

    Args:
        named: parameters by name, as `Module.named_parameters` gives them.
        lr: learning rate of both, in Adam's terms.
        adam: a parameter whose name has one of these in it is Adam's, as is every one of fewer than
            two axes.
        momentum: of the matrices.
        betas: Adam's.
        weight_decay: decoupled, of the matrices.
    """

    def __init__(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        lr: float,
        adam: Sequence[str] = (),
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": [], "orthogonal": True, "weight_decay": weight_decay},
            {"params": [], "orthogonal": False, "weight_decay": 0.0},
        ]
        for name, weight in named:
            orthogonal = weight.ndim > 1 and not any(part in name for part in adam)
            groups[0 if orthogonal else 1]["params"].append(weight)
        defaults = {"lr": lr, "momentum": momentum, "betas": betas}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._matrix_step if group["orthogonal"] else self._adam_step
            for weight in group["params"]:
                if weight.grad is not None:
                    update(weight, weight.grad, group)
        return loss

    def _matrix_step(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
        direction = gradient.lerp(momentum, group["momentum"]).flatten(1)
        scale = 0.2 * max(direction.shape) ** 0.5
        update = _orthogonalize(direction).view(weight.shape)
        weight.mul_(1.0 - group["lr"] * group["weight_decay"])
        weight.add_(update, alpha=-group["lr"] * scale)

    def _adam_step(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["count"] = 0
            state["mean"], state["square"] = torch.zeros_like(weight), torch.zeros_like(weight)
        first, second = group["betas"]
        state["count"] += 1
        mean = state["mean"].lerp_(gradient, 1.0 - first) / (1.0 - first ** state["count"])
        square = state["square"].lerp_(gradient**2, 1.0 - second) / (1.0 - second ** state["count"])
        weight.add_(mean / (square.sqrt() + 1e-8), alpha=-group["lr"])


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
