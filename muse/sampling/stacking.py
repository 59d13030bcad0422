"""Asks of one kind side by side in a batch, and batches apart again."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from muse.core.asks import Ask, Fork, Judge, Match, Observe, Predict, Unroll
from muse.core.frames import Frame
from muse.core.types import Denoised, Goal, Guidance, LossTerms, Reading


def kind_of(ask: Ask) -> Hashable:
    """Asks of equal kind share a call."""
    if isinstance(ask, Fork):
        raise TypeError("A Fork stands alone in its list: the engine answers it.")
    if isinstance(ask, Observe):
        return Observe, _shape(ask.x0), ask.final
    if isinstance(ask, Judge):
        return Judge, _shape(ask.x0), _shape(ask.noise)
    common = type(ask), _shape(ask.x), _shapes(ask.cond)
    if isinstance(ask, Match):
        return common
    if isinstance(ask, Predict):
        return *common, ask.take, _shapes(ask.give)
    if isinstance(ask, Unroll):
        return *common, _shapes(ask.null), len(ask.nodes), ask.guidance, ask.gradient
    there = ask.unconditional is None, ask.plain is None, _shapes(ask.null)
    # The way back costs as much as the way there: rows that end here don't go it with the others.
    return *common, _shapes(ask.state), id(ask.variation), there, _shape(ask.noise), ask.gradient


def rows_of(asks: Sequence[Ask]) -> int:
    """How many rows ask: both branches of a guided prediction show one latent."""
    latents: list[Any] = asks  # type: ignore[assignment]
    return len({id(ask.x0 if isinstance(ask, Observe | Judge) else ask.x) for ask in latents})


def _shapes(tensors: Mapping[str, Tensor] | None) -> Hashable:
    if tensors is None:
        return None
    return tuple((name, _shape(value)) for name, value in tensors.items())


def _shape(tensor: Tensor | None) -> Hashable:
    return None if tensor is None else (tensor.shape, tensor.dtype)


def split_denoised(denoised: Denoised) -> list[Denoised]:
    """One row each, without gradient."""
    x0, eps = denoised.x0.detach().split(1), denoised.eps.detach().split(1)
    return [Denoised(*row) for row in zip(x0, eps, strict=True)]


def join_denoised(rows: Sequence[Denoised | None]) -> Denoised | None:
    """All rows in one, None where there are none: asks of one kind have all, or none."""
    given = [row for row in rows if row is not None]
    if not given:
        return None
    return Denoised(torch.cat([r.x0 for r in given]), torch.cat([r.eps for r in given]))


def stack_goals(goals: Sequence[Goal]) -> Goal:
    """The goals of B rows as one; what traces alone read stays behind."""
    similarity = [goal.similarity for goal in goals if goal.similarity is not None]
    return Goal(
        torch.cat([goal.target for goal in goals]),
        torch.cat([goal.inherent for goal in goals]),
        torch.cat(similarity) if similarity else None,
    )


def repeat_goals(goal: Goal, times: int) -> Goal:
    """Each row's goal `times` in turn, (B n, ...)."""
    similarity = goal.similarity
    return Goal(
        goal.target.repeat_interleave(times, 0),
        goal.inherent.repeat_interleave(times, 0),
        None if similarity is None else similarity.repeat_interleave(times, 0),
    )


def smoothed(reading: Reading, loss: LossTerms, times: int) -> tuple[Reading, LossTerms]:
    """Of each row's `times` readings their mean probabilities, the loss of their mean likelihood,
    and the mean of each term: B rows of B n.
    """
    mean_likelihood = (-loss.total).view(-1, times).logsumexp(1) - math.log(times)
    logits = reading.logits.log_softmax(-1).unflatten(0, (-1, times)).logsumexp(1)
    similarity = reading.similarity
    if similarity is not None:
        similarity = similarity.view(-1, times).mean(1)
    terms = {name: term.view(-1, times).mean(1) for name, term in loss.terms.items()}
    return Reading(logits, similarity), LossTerms(-mean_likelihood, terms)


def framed(
    how: Callable[[Frame, Tensor], Tensor], rows: Tensor, frames: Sequence[Frame | None]
) -> Tensor:
    """Rows (B, ...), those that have a frame as it makes them, each by itself."""
    if not any(frames):
        return rows
    each = zip(rows.split(1), frames, strict=True)
    return torch.cat([row if frame is None else how(frame, row) for row, frame in each])


def seen_by_rows(
    guidances: Sequence[Guidance],
    prediction: Denoised,
    unconditional: Denoised | None,
    plain: Denoised | None,
) -> Tensor:
    """The x0 that guide and similarity look at, (B, ...), each row by its own guidance."""
    if len(set(guidances)) == 1:
        return guidances[0].seen(prediction, unconditional, plain)
    rows = (prediction, unconditional, plain)
    return torch.cat(
        [
            guidance.seen(*(None if part is None else _row(part, b) for part in rows))  # type: ignore[arg-type]
            for b, guidance in enumerate(guidances)
        ]
    )


def _row(denoised: Denoised, b: int) -> Denoised:
    return Denoised(denoised.x0[b : b + 1], denoised.eps[b : b + 1])


def is_finite(*values: Tensor) -> Tensor:
    """Which rows are, (B,)."""
    each: list[Any] = [value.detach().flatten(1).isfinite().all(1) for value in values]
    return torch.stack(each).all(0)
