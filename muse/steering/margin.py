"""A step rule that reads the loss as the probability that it stands for."""

from __future__ import annotations

import torch
from torch import Tensor

from muse.core.types import Tensors, per_row
from muse.steering.rules import Aimed


class GaussNewton(Aimed):
    r"""Gauss-Newton on the margin (Nocedal & Wright 2006, Sec. 10.3): the shortest step that brings
    the target's log-odds, taken as straight, to the aim's.

    The total loss is read as :math:`L = -\log p`, so its margin is
    :math:`m = \log \frac{p}{1-p} = -\log(e^L - 1)`, and by the chain rule
    :math:`\nabla m = -\nabla L / (1 - e^{-L})`. The residual :math:`m^* - m` has one row, whose
    minimum-norm Gauss-Newton step is

    .. math:: \frac{m^* - m}{|\nabla m|^2} \nabla m
        = -(m^* - m) (1 - e^{-L}) \frac{g}{|g|^2},

    no longer than `reach`. The loss flattens where the target becomes likely, the margin doesn't,
    so it goes further there than `Polyak` does. There is no rate, and each row has a step of its
    own. Unlike the other rules' its loss has a unit, nats: one that is weighed otherwise is read as
    another probability. At an aim of 0 or below the margin has no bound, and every step is as long
    as the reach.

    Args:
        aim, reach: as `Aimed`'s.

    Raises:
        MuseError: reach not above 0.
    """

    def init(self, variable: Tensor) -> Tensors:
        """The tolerance, where it is aimed by that."""
        return self.told(variable)

    def forward(
        self, slope: Tensor, state: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensors]:
        """One step of each row; rows at their aim stay where they are."""
        length = slope.flatten(1).norm(dim=1).clamp(min=1e-12)
        loss = loss.to(length)
        missing = (margin(self.aims(state, length)) - margin(loss)).clamp(min=0)
        needed = missing * -torch.expm1(-loss.clamp(min=0)) / length
        # Where aim or loss is no probability's, missing is infinite or no number: reach bounds it.
        needed = needed.nan_to_num(nan=torch.inf, posinf=torch.inf)
        short = torch.where(self.gap(loss, state, length) > 0, needed, 0)
        move = -per_row(short.clamp(max=self.longest(slope)) / length, slope) * slope
        return move, self.kept(state)


def margin(loss: Tensor) -> Tensor:
    r"""The log-odds :math:`-\log(e^L - 1)` of a probability :math:`e^{-L}`, written so that a large
    loss does not overflow; infinite at 0 and below.
    """
    above = loss.clamp(min=0)
    return -(above + torch.log(-torch.expm1(-above)))
