"""What can be seen of pictures while they are made: a `Watcher` that a page reads from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.types import Denoised
from muse.core.watching import Watcher
from muse.sampling import Sampler

RECENT = 6
"""Steps whose time tells how long the others will take."""
EARLY = 0.2
"""Share of an order's steps that tell nothing yet: the first aren't steered, and take a fraction of
the others' time.
"""


class Cancelled(Exception):  # noqa: N818  (a wish, no error)
    """A visitor doesn't want a picture any more."""


@dataclass(frozen=True)
class Shot:
    """One picture as far as it has come.

    Attributes:
        step: steps taken.
        steps: of how many.
        picture: what it is heading for.
        probabilities: emotion -> probability, by the guide; empty where it isn't asked.
    """

    step: int = 0
    steps: int = 0
    picture: Image.Image | None = None
    probabilities: Mapping[str, float] | None = None


class Live(Watcher):
    """Keeps the latest shot of each picture of one visitor's order, and ends the order where the
    visitor cancels it: at the next shared call, wherever its rows are.

    Shots are written by the thread that makes pictures and read by others.

    Args:
        clock: seconds, from anywhere.
    """

    wants_pictures: ClassVar[bool] = True

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.shots: dict[str, Shot] = {}
        self.sampler: Sampler | None = None
        self.calls = 0
        self._cancelled = threading.Event()
        self._read: frozenset[str] = frozenset()
        self._times: list[float] = []

    def look_at(self, sampler: Sampler, steps: Mapping[str, int], read: frozenset[str]) -> None:
        """Begin.

        Args:
            sampler: whose guide and backbone read and draw the pictures.
            steps: job id -> how many it will take, in the order in which they are shown.
            read: whose emotions the guide shall tell.
        """
        self.sampler, self._read = sampler, self._read | read
        self.shots = {**self.shots, **{id: Shot(steps=count) for id, count in steps.items()}}
        self._times.append(self.clock())

    def cancel(self) -> None:
        """End the order."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was ended."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Stop here where the order was ended.

        Raises:
            Cancelled: it was.
        """
        if self.cancelled:
            raise Cancelled

    def answered(self) -> None:
        """Between two shared calls."""
        self.calls += 1
        self.check()

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> None:
        """Keep what there is to see."""
        assert self.sampler is not None
        assert picture is not None
        shot = self.shots[job.id]
        probabilities = shot.probabilities
        if job.id in self._read:
            with torch.no_grad():
                logits = self.sampler.answers.guide.read(picture)
            probabilities = dict(zip(EMOTIONS, logits.softmax(-1)[0].tolist(), strict=True))
        drawn = self.sampler.backbone.render(picture[0])
        self.shots[job.id] = replace(
            shot, step=step + 1, picture=drawn, probabilities=probabilities
        )
        self._times = [*self._times[-RECENT:], self.clock()]

    @property
    def steps_left(self) -> int:
        """Of all pictures together."""
        return sum(shot.steps - shot.step for shot in list(self.shots.values()))

    @property
    def seconds_left(self) -> float | None:
        """As long as the last steps took each, times the steps that are left; None as long as that
        can't be told.
        """
        times, all_steps = self._times, sum(shot.steps for shot in list(self.shots.values()))
        if len(times) < 2 or self.steps_left > (1 - EARLY) * all_steps:
            return None
        return (times[-1] - times[0]) / (len(times) - 1) * self.steps_left
