"""The paper's steering: emotion tokens beside the prompt, searched for by gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.errors import check_choice
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError, Tensors
from muse.steering.base import Step
from muse.steering.optimization import Optimization
from muse.steering.rules import Adam, StepRule, above_zero
from muse.steering.word import checked, prompts_of, worded

LEAST = 1e-3
"""Of a dimension's unit, in that of all."""


class TokenOptimization(Optimization):
    r"""Search for emotion tokens S beside the prompt: the paper's steering.

    :math:`c_{emo} = T(P) \oplus S` (Sec. IV-A, Eq. 8); S is carried on from step to step.

    Embeddings differ in size between text encoders, so `scale`, and the steps of the rule, are in
    units of the condition's root mean square; the paper's rate is the case of 1. They differ in
    shape, too: with ``units = dimensions`` each dimension has its own, over the condition's tokens,
    so that a model whose embedding is stretched (and whose weights undo that) is searched alike. S
    is kept in float32 (the exact toy's float64).

    Args:
        tokens: how many, M.
        scale: standard deviation of the random S.
        lr: learning rate of `Adam`, the paper's rule; None is the paper's, 0.01.
        decay_over: what Adam's rate falls over.
        rule: how far S is moved, in place of `Adam(lr, decay_over)`, which None is.
        units: root mean squares of the ``whole`` condition, or of its ``dimensions``.
        template: of what S stands beside, as `EmotionWord`'s, such as ``{prompt}, {emotion}``: the
            search starts from what the word does, and adds what it lacks. None is the job's prompt,
            as in the paper; so is a prompt that comes as embeddings, for which there are no words.

    Raises:
        MuseError: tokens below 1, scale or lr not above 0, a template without ``{emotion}``, or a
            rule beside what is said of Adam.
    """

    rate: float = 0.01
    """Adam's learning rate where none is given."""

    def __init__(
        self,
        tokens: int = 4,
        scale: float = 0.02,
        lr: float | None = None,
        decay_over: Literal["step", "iteration"] = "step",
        rule: StepRule | None = None,
        units: Literal["whole", "dimensions"] = "whole",
        template: str | None = None,
    ) -> None:
        super().__init__()
        if tokens < 1:
            raise MuseError(f"tokens = {tokens} is not allowed. Use 1 or more.")
        above_zero(scale=scale)
        check_choice("units", units, ("whole", "dimensions"))
        if rule is not None:
            check_unsaid(rule, lr, decay_over)
        adam = Adam(self.rate if lr is None else lr, decay_over)
        self.tokens = tokens
        self.scale = scale
        self.lr = adam.lr if rule is None else None
        self.decay_over, self.rule = decay_over, rule
        self.units = units
        self.stepper = rule or adam
        self.template = None if template is None else checked(template)

    def prompts(self, job: Job) -> Sequence[str]:
        """The one with the word, where there is a template."""
        return prompts_of(self.template, job)

    def told(self, step: Step) -> Step:
        """With the condition of that prompt; the job's own where less of the emotion is wanted, or
        where it came as embeddings.
        """
        return worded(step, self.template)

    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Tensors:
        """Random S (1, M, d), the unit (1, 1, 1) or (1, 1, d), and the rule's state."""
        text = cond["tokens"]
        dtype = torch.promote_types(text.dtype, torch.float32)
        whole = text.to(dtype).square().mean((1, 2), keepdim=True).sqrt()
        unit = whole
        if self.units == "dimensions":
            # One that all tokens leave at zero would never be searched.
            each = text.to(dtype).square().mean(1, keepdim=True).sqrt()
            unit = torch.maximum(each, LEAST * whole)
        noise = torch.randn(1, self.tokens, text.shape[-1], generator=generator)
        tokens = self.scale * unit * noise.to(unit)
        return {"tokens": tokens, "unit": unit, **self.stepper.init(tokens)}

    def variables(self, state: Tensors) -> tuple[str, ...]:
        """S alone."""
        return ("tokens",)

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The latent as it is, and the condition with S appended."""
        return x, backbone.extend(cond, state["tokens"])

    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> Tensors:
        """One step of the rule on S / unit."""
        tokens, unit = state["tokens"], state["unit"]
        move, after = self.stepper(gradient["tokens"] * unit, state, loss, i, k)
        return {"tokens": tokens + unit * move, "unit": unit, **after}

    def tries(self, state: Tensors) -> bool:
        """As the rule says."""
        return self.stepper.tries(state)

    def tried(self, state: Tensors, loss: Tensor) -> Tensors:
        """The rule's next move on S / unit."""
        move, after = self.stepper.tried(state, loss)
        return {**state, **after, "tokens": state["tokens"] + state["unit"] * move}


def check_unsaid(rule: StepRule, lr: float | None, decay_over: str) -> None:
    """Refuse what is said of Adam, which another rule would not look at.

    Raises:
        MuseError: an lr, or a decay_over that isn't its default.
    """
    for name, said, unsaid in (("lr", lr, None), ("decay_over", decay_over, "step")):
        if said != unsaid:
            raise MuseError(
                f"{name} = {said} is Adam's, and the rule is {type(rule).__name__}. Set "
                f"steering.rule to null, or steering.{name} to {unsaid or 'null'}."
            )
