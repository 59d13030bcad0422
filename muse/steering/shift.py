"""One emotion vector under the whole text, in place of tokens beside it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from muse.backbones import Backbone
from muse.core.types import Cond, Tensors
from muse.steering.rules import StepRule
from muse.steering.tokens import TokenOptimization


class TextShift(TokenOptimization):
    r"""Search for one vector s that is added to every state of the text: :math:`c_{emo} = T(P) +
    1 s^\top`, where the paper appends S (`TokenOptimization`). All else of the search is the same.

    A text encoder fills what a prompt leaves of its context with states that sum the prompt up: 16
    of muse-mini's 24, some 70 of Stable Diffusion's 77. A few tokens at the end of these are
    outvoted, and must become as large as they are before they are heard, in directions that the
    model never saw: pictures blot. What moves all states alike is heard while it is small.

    Args:
        scale: standard deviation of the random s, in the text's root mean square.
        lr: learning rate of `Adam`; None is 0.1.
        decay_over, rule, units, template: as of `TokenOptimization`.

    Raises:
        MuseError: scale or lr not above 0, a template without ``{emotion}``, or a rule beside what
            is said of Adam.
    """

    rate = 0.1

    def __init__(
        self,
        scale: float = 0.02,
        lr: float | None = None,
        decay_over: Literal["step", "iteration"] = "step",
        rule: StepRule | None = None,
        units: Literal["whole", "dimensions"] = "whole",
        template: str | None = None,
    ) -> None:
        super().__init__(1, scale, lr, decay_over, rule, units, template)

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The latent as it is, and the text's states moved by s."""
        text = cond["tokens"]
        return x, {**cond, "tokens": text + state["tokens"].to(text)}
