"""What a row may ask of the parts that rows share, and the answers.

A row is a generator (`muse.sampling.sampler`): it yields a list of asks and is sent the list of
answers. Asks of many rows are answered in one batched call (`muse.sampling.answers`).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from torch import Tensor

from muse.core.types import Cond, Denoised, Goal, Node, Rows

T = TypeVar("T")


@dataclass(frozen=True)
class Predict:
    """Ask for the model's prediction, without gradient; answered by a `Denoised`."""

    x: Tensor
    node: Node
    cond: Cond


@dataclass(frozen=True)
class Observe:
    """Ask what guide and similarity see in a predicted x0, without gradient; answered by an
    `Observation`. The `final` one is decoded in full, others as the backbone previews them.
    """

    x0: Tensor
    prompt: str
    final: bool = False


@dataclass(frozen=True)
class Evaluate:
    """Ask for a steered prediction, its loss, and the state one optimiser step on; answered by
    an `Evaluation`.

    Attributes:
        x, node, cond: the latent, its time, the text condition without S.
        unconditional: this step's unconditional prediction, or None without guidance.
        state: the steering state.
        goal: what the loss wants.
        prompt: for the similarity.
        step, iteration: indices i and k, from 0.
        last: whether the search ends here whatever comes out, so that no gradient is needed.
        plain: this step's prediction without S, or None where S has no scale of its own.
    """

    x: Tensor
    node: Node
    cond: Cond
    unconditional: Denoised | None
    state: Rows
    goal: Goal
    prompt: str
    step: int
    iteration: int = 0
    last: bool = False
    plain: Denoised | None = None


Ask: TypeAlias = Predict | Observe | Evaluate
Row: TypeAlias = Generator[list[Ask], list[Any], T]
"""A computation of one row that yields asks, is sent answers, and returns a T."""


@dataclass(frozen=True)
class Observation:
    """A decoded picture (1, 3, H, W), its emotion logits (1, K) in the order of `EMOTIONS`, and
    its similarity to the prompt, or None where no part reads one.
    """

    image: Tensor
    logits: Tensor
    similarity: float | None


@dataclass(frozen=True)
class Evaluation:
    """One inner iteration.

    Attributes:
        prediction: the model's under S, conditional and unmixed, one row.
        state: the S that made it.
        proposal: the state one optimiser step on.
        total: the loss.
        terms: its parts by name.
        probabilities: of the emotions, in the order of `EMOTIONS`.
        finite: whether the prediction and the loss are finite.
        steppable: whether the gradient is too, so that `proposal` can be used; False where none
            was needed.
    """

    prediction: Denoised
    state: Rows
    proposal: Rows
    total: float
    terms: dict[str, float]
    probabilities: list[float]
    finite: bool
    steppable: bool
