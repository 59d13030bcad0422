"""What came of a job: its picture, and how it came to be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from muse.core.asks import Evaluation, Judgement
from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.types import Goal


@dataclass
class Trace:
    """How a row was made, filled as it runs.

    Attributes:
        start_step: the first steered step, or None where steering never began.
        intensity: how strongly the emotion was wanted, -1 to 1; None of a plain row.
        similarity: of the predicted picture to its prompt, one per step until steering began.
        inherent: the emotion that was there before, or None.
        iterations: optimiser steps taken in each sampling step, as far as it was taken one by one:
            a steering that leads the row on by itself ends the list with what it has tried.
        inner: one entry per inner iteration: step, iteration, total, each loss term, and the
            probabilities of the target, the inherent (nan where there was none) and the similar
            emotions.
        notes: what went wrong on the way and was survived, in words.
    """

    start_step: int | None = None
    intensity: float | None = None
    similarity: list[float] = field(default_factory=list)
    inherent: str | None = None
    iterations: list[int] = field(default_factory=list)
    inner: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _told: tuple[Goal, list[str], list[str]] | None = field(default=None, repr=False, compare=False)

    def note(self, step: int, iteration: int, goal: Goal, found: Evaluation | Judgement) -> None:
        """Append one inner iteration: what was found at an iterate."""
        if self._told is None or self._told[0] is not goal:
            named = goal.target if goal.named is None else goal.named
            self._told = goal, _named(named), _named(goal.similar)
        _, targets, similar = self._told
        p = dict(zip(EMOTIONS, found.probabilities, strict=True))
        values = {
            "step": step,
            "iteration": iteration,
            "total": found.total,
            **{f"loss_{name}": value for name, value in found.terms.items()},
            "p_target": sum(p[name] for name in targets),
            "p_inherent": p[self.inherent] if self.inherent else math.nan,
            "p_similar": sum(p[name] for name in similar),
        }
        for name, value in values.items():
            self.inner.setdefault(name, []).append(value)


@dataclass
class Cost:
    """What a row has asked the model for, rows within the row included, filled as it runs: passes
    of one row through the networks, whatever else shared the call.

    Attributes:
        predictions: through the denoiser without gradient; a guided prediction is two.
        gradients: through the denoiser and back.
        decodings: through the decoder without gradient.
        decoder_gradients: through the decoder and back.
    """

    predictions: int = 0
    gradients: int = 0
    decodings: int = 0
    decoder_gradients: int = 0


@dataclass(frozen=True)
class Result:
    """A finished row.

    Attributes:
        job: what was asked for.
        image: the decoded picture, (1, 3, H, W) in about [0, 1] (points (1, d) for the toy), or
            None where the job failed.
        probabilities: emotion -> probability of the final picture, by the guide.
        trace: how it came to be.
        seconds: from the row's start to its end, its neighbours' share of the machine included.
        path: the latents of every step, (steps + 1, ...), where the backbone draws them.
        failure: why the job failed, in one line, or None.
        latent: the last latent, (1, ...), which `image` is decoded from; None where the job failed.
        whole: whether all steps were taken: a watcher may stop rows before.
        cost: what it took.
    """

    job: Job
    image: Tensor | None
    probabilities: dict[str, float]
    trace: Trace
    seconds: float
    path: Tensor | None = None
    failure: str | None = None
    latent: Tensor | None = None
    whole: bool = True
    cost: Cost = field(default_factory=Cost)


def _named(weights: Tensor | None) -> list[str]:
    """The emotions that have a weight, of one row."""
    if weights is None:
        return []
    return [name for name, weight in zip(EMOTIONS, weights[0].tolist(), strict=True) if weight]
