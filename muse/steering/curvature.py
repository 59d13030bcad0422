"""Step rules that learn a row's curvature from its own last steps."""

from __future__ import annotations

import torch
from torch import Tensor

from muse.core.types import MuseError, Tensors, per_row
from muse.steering.rules import Aimed


class LBFGS(Aimed):
    r"""Limited-memory BFGS (Nocedal & Wright 2006, Alg. 7.4), for each row apart and within a
    sampling step: the next one has another loss, and forgets.

    From moves s and changes y of the gradient, :math:`d = -H g` by the two-loop recursion, begun
    with :math:`\gamma = s^T y / y^T y` of the last pair. Pairs without positive curvature are left
    out. With no pair yet, and where d isn't downhill, the step is Polyak's:
    :math:`-\frac{L - L^*}{|g|^2}\,g`. No step is longer than `reach`.

    With a `memory` of one pair it is nearly a spectral step (Barzilai & Borwein 1988).

    Args:
        aim: as `Aimed`'s, of Polyak's step; at or below it a row stays where it is.
        reach: as `Aimed`'s.
        memory: how many pairs are kept, 1 or more.

    Raises:
        MuseError: reach not above 0, or a memory below 1.
    """

    def __init__(self, aim: float | None = None, reach: float = 0.2, memory: int = 3) -> None:
        super().__init__(aim, reach)
        if memory < 1:
            raise MuseError(f"memory = {memory} is not allowed. Use 1 or more.")
        self.memory = memory

    def init(self, variable: Tensor) -> Tensors:
        """No pairs: zeros."""
        pairs = variable.new_zeros(1, self.memory, variable[0].numel())
        last = torch.zeros_like(pairs[:, 0])
        none = {"moves": pairs, "changes": pairs.clone(), "moved": last, "slope": last.clone()}
        return {**none, **self.told(variable)}

    def forward(
        self, slope: Tensor, state: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensors]:
        """One step of each row."""
        g = slope.flatten(1)
        fresh = (k == 0).to(g.device)[:, None, None]
        moves, changes = (
            state["moves"].masked_fill(fresh, 0),
            state["changes"].masked_fill(fresh, 0),
        )
        moved = state["moved"].masked_fill(fresh[:, 0], 0)
        changed = (g - state["slope"]).masked_fill(fresh[:, 0], 0)
        curved = (moved * changed).sum(1, keepdim=True) > 0
        moves = torch.cat([moves[:, 1:], torch.where(curved, moved, 0)[:, None]], 1)
        changes = torch.cat([changes[:, 1:], torch.where(curved, changed, 0)[:, None]], 1)
        length = g.norm(dim=1).clamp(min=1e-12)
        gap = self.gap(loss, state, g)
        newton = _two_loops(g, moves, changes)
        downhill = (newton * g).sum(1) < 0
        move = torch.where(downhill[:, None], newton, -(gap / length**2)[:, None] * g)
        size = move.norm(dim=1).clamp(min=1e-12)
        move = move * (torch.where(gap > 0, size.clamp(max=self.longest(g)), 0) / size)[:, None]
        after = {"moves": moves, "changes": changes, "moved": move, "slope": g}
        return move.view_as(slope), {**after, **self.kept(state)}


def _two_loops(g: Tensor, moves: Tensor, changes: Tensor) -> Tensor:
    """:math:`-H g` of B rows from their pairs (B, m, n), the newest last; zeros where a row has
    none. A pair of zeros changes nothing.
    """
    curvature = (moves * changes).sum(2)
    rho = torch.where(curvature > 0, 1 / curvature.clamp(min=1e-30), 0)
    q, shares = g, {}
    for pair in reversed(range(moves.shape[1])):
        shares[pair] = rho[:, pair] * (moves[:, pair] * q).sum(1)
        q = q - shares[pair][:, None] * changes[:, pair]
    gamma = torch.zeros_like(g[:, 0])
    for pair in range(moves.shape[1]):  # that of the newest pair there is
        own = curvature[:, pair] / changes[:, pair].square().sum(1).clamp(min=1e-30)
        gamma = torch.where(curvature[:, pair] > 0, own, gamma)
    r = per_row(gamma, q) * q
    for pair in range(moves.shape[1]):
        back = rho[:, pair] * (changes[:, pair] * r).sum(1)
        r = r + (shares[pair] - back)[:, None] * moves[:, pair]
    return -torch.where((gamma > 0)[:, None], r, 0)
