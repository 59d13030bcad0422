"""Several classifiers as one guide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from muse.core.types import MuseError
from muse.guides.base import Guide


class GuideEnsemble(Guide):
    r"""Several guides as one: the mean of their probabilities.

    :math:`p = \sum_j w_j p_j`, a deep ensemble (Lakshminarayanan et al. 2017). A picture that
    deceives one classifier seldom deceives another that looks differently, so steering by guides
    of different kinds finds less adversarial noise and more emotion. The mean of probabilities, not
    of logits: the target's loss stays above :math:`-\log(1 - w_j)` until guide j agrees, however
    sure the others are.

    Args:
        guides: the members, each with labels of its own.
        weights: one above 0 for each, in any unit; None weighs them alike.

    Raises:
        MuseError: no guides, or weights that are not one positive number for each.
    """

    def __init__(self, guides: Sequence[Guide], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if not guides:
            raise MuseError("A GuideEnsemble without guides is not allowed. Give one or more.")
        weights = [1.0] * len(guides) if weights is None else list(weights)
        if len(weights) != len(guides) or not all(weight > 0 for weight in weights):
            raise MuseError(
                f"weights = {weights} is not allowed for {len(guides)} guides. Give one number "
                "above 0 for each."
            )
        self.guides = nn.ModuleList(guides)
        shares = torch.tensor(weights, dtype=torch.float64)  # numbers below: a device may lack it
        self.log_shares: list[float] = (shares / shares.sum()).log().tolist()

    def forward(self, image: Tensor) -> Tensor:
        """Log-probabilities (B, 8) in the order of `EMOTIONS`, of pictures (B, 3, H, W)."""
        pairs = zip(self._members(), self.log_shares, strict=True)
        each = [guide.read(image).log_softmax(-1) + share for guide, share in pairs]
        return torch.stack(each).logsumexp(0)

    def _members(self) -> list[Guide]:
        return [guide for guide in self.guides if isinstance(guide, Guide)]
