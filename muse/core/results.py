"""What came of a job: its picture, and how it came to be; and how far a run is."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from muse.core.jobs import Job


@dataclass
class Trace:
    """How a row was made, filled as it runs.

    Attributes:
        start_step: the first steered step, or None where steering never began.
        similarity: of the predicted picture to its prompt, one per step until steering began.
        inherent: the emotion that was there before, or None.
        iterations: optimiser steps taken in each sampling step.
        inner: one entry per inner iteration: step, iteration, total, each loss term, and the
            probabilities of the target, the inherent and the similar emotions.
        notes: what went wrong on the way and was survived, in words.
    """

    start_step: int | None = None
    similarity: list[float] = field(default_factory=list)
    inherent: str | None = None
    iterations: list[int] = field(default_factory=list)
    inner: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, **values: float) -> None:
        """Append one inner iteration."""
        for name, value in values.items():
            self.inner.setdefault(name, []).append(value)


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
    """

    job: Job
    image: Tensor | None
    probabilities: dict[str, float]
    trace: Trace
    seconds: float
    path: Tensor | None = None
    failure: str | None = None


@dataclass
class Progress:
    """How far a run is. The sampler counts here and then calls `changed`, which a progress bar
    overrides.

    Attributes:
        rows: pictures finished.
        steps: sampling steps taken.
        iterations: optimiser steps that were looked at, as in `Trace.iterations`.
    """

    rows: int = 0
    steps: int = 0
    iterations: int = 0

    def changed(self) -> None:
        """Called after every round of shared calls, and after every picture."""
