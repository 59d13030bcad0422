"""Moving the prompt's own embedding, now and then."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.asks import Ask, Predict
from muse.core.errors import check_counts
from muse.core.jobs import Job
from muse.core.types import Cond, Tensors, per_row
from muse.steering.base import Steered, Steering, Step
from muse.steering.by_latent import check_strengths
from muse.steering.word import checked, prompts_of, worded


class TextUpdate(Steering):
    r"""DATE (Na et al. 2025): the text embedding follows the gradient every few steps.

    :math:`c \leftarrow c - \rho \frac{\nabla_c L(x_0(x, c))}{|\nabla_c L(x_0(x, c))|}` at every
    n-th steered step, the gradient through the conditional branch, its norm over all of c; the step
    is then taken with the new c, which is kept for the steps after it.

    Published for Stable Diffusion 1.5: 50 steps of DDIM, CFG 8, every 10th step, one update, rate
    0.5 (the authors' README; their text states have a root mean square of about 1).

    Args:
        rate: rho, 0 or more, in units of the text states' root mean square.
        every: n, 1 or more.
        updates: how often, each time, 1 or more.
        restart: whether each update begins with the prompt's own embedding.
        template: of the prompt whose embedding is moved, as `EmotionWord`'s, such as ``{prompt},
            {emotion}``; None is the job's prompt, as published.

    Raises:
        MuseError: one of them out of range, or a template without ``{emotion}``.
    """

    def __init__(
        self,
        rate: float = 0.5,
        every: int = 10,
        updates: int = 1,
        restart: bool = False,
        template: str | None = None,
    ) -> None:
        super().__init__()
        check_strengths(rate=rate)
        check_counts(every=every, updates=updates)
        self.rate, self.every, self.updates, self.restart = rate, every, updates, restart
        self.template = None if template is None else checked(template)

    def prompts(self, job: Job) -> Sequence[str]:
        """The one with the word, where there is a template."""
        return prompts_of(self.template, job)

    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Tensors:
        """The prompt's text states (1, L, d), at least in float32, and how many steps have been."""
        tokens = cond["tokens"]
        wide = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        return {"tokens": wide, "count": torch.zeros(1, dtype=torch.long)}

    def variables(self, state: Tensors) -> tuple[str, ...]:
        """The text states."""
        return ("tokens",)

    def inject(
        self, backbone: Backbone, x: Tensor, cond: Cond, state: Tensors
    ) -> tuple[Tensor, Cond]:
        """The state's text states in place of the prompt's."""
        return x, replaced(cond, state["tokens"])

    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor
    ) -> Tensors:
        """One update of each row."""
        slope, tokens = gradient["tokens"], state["tokens"]
        length = slope.flatten(1).norm(dim=1).clamp(min=1e-12)
        unit = tokens.flatten(1).square().mean(1).sqrt()
        return {**state, "tokens": tokens - self.rate * per_row(unit / length, slope) * slope}

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """Updates, where it is their turn, and a prediction with what has become of the text."""
        step = worded(step, self.template)
        count = int(state["count"])
        turn = count % self.every == 0
        now = state
        if turn and (self.restart or count == 0):
            now = {**state, "tokens": step.cond["tokens"].to(state["tokens"])}
        for k in range(self.updates if turn else 0):
            [found] = yield [step.evaluate(self, now, iteration=k)]
            step.note(k, found)
            if not found.steppable:
                break
            now = found.proposal
        cond = replaced(step.cond, now["tokens"])
        [prediction] = yield [Predict(step.x, step.node, cond)]
        step.trace.iterations.append(self.updates if turn else 0)
        guided = step.guidance.mixed(prediction, step.unconditional, step.plain)
        return Steered(guided, {**now, "count": state["count"] + 1})

    def follow(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The prediction under the text as it is."""
        cond = replaced(worded(step, self.template).cond, state["tokens"])
        guided = yield from step.guided(cond)
        return Steered(guided, {**state, "count": state["count"] + 1})


def replaced(cond: Cond, tokens: Tensor) -> Cond:
    """A condition with other text states."""
    return {**cond, "tokens": tokens.to(cond["tokens"].dtype)}
