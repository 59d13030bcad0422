"""One picture's way from noise to image: the paper's loop, as a generator of asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from muse.backbones.base import Size
from muse.core.asks import Ask, Evaluate, Observe, Predict
from muse.core.emotions import EMOTIONS, distribution
from muse.core.jobs import Job
from muse.core.results import Progress, Result, Trace
from muse.core.types import Cond, Denoised, Goal, MuseError, Node
from muse.latents import LatentSource
from muse.sampling.answers import Answers
from muse.sampling.search import Search
from muse.schedulers import Moment, Never, TimeGrid, TimingPolicy

StepEnd: TypeAlias = Callable[[Job, int, Tensor], Tensor]
"""Called after each sampling step of a row, with its job, the step's index from 0 and the latent
(1, ...) that it led to; returns the latent to go on with, of the same shape. Where it has an
attribute ``stopped`` that is true, no row takes another step, and what each has so far is decoded.
"""


@dataclass(frozen=True)
class Setup:
    """What all rows of a run share; `muse.sampling.sampler.Sampler` says what each part is."""

    answers: Answers
    timing: TimingPolicy
    latents: LatentSource
    search: Search
    grid: TimeGrid
    negative_prompt: str
    size: Size
    embed: Callable[[str, bool], Cond]


class PictureRow:
    """One job in flight: its condition, latch, emotion tokens and trace.

    Args:
        setup: what it shares with other rows, none of it ever changed.
        job: what to make.
        progress: told of every step.
        step_end: called after every step, or None.
    """

    def __init__(
        self, setup: Setup, job: Job, progress: Progress, step_end: StepEnd | None = None
    ) -> None:
        self.setup = setup
        self.job = job
        self.progress = progress
        self.step_end = step_end
        self.trace = Trace()
        self.timing = Never() if job.target is None else setup.timing
        self.latch = self.timing.init()
        self.before: Tensor | None = None
        self.ask: Evaluate | None = None

    def run(self) -> Generator[list[Ask], list[Any], Result]:
        """From the job to its result; a user's mistake that shows here fails this job alone."""
        begun = time.perf_counter()
        try:
            path = yield from self.denoise()
            [seen] = yield [Observe(path[-1], self.job.prompt, final=True)]
            if not seen.image.isfinite().all():
                raise MuseError("The picture is not finite. Try a lower guidance_scale.")
        except MuseError as error:
            seconds = time.perf_counter() - begun
            return Result(self.job, None, {}, self.trace, seconds, failure=str(error))
        probabilities = dict(zip(EMOTIONS, seen.logits.softmax(-1)[0].tolist(), strict=True))
        drawn = torch.cat(path) if self.setup.answers.backbone.has_points else None
        seconds = time.perf_counter() - begun
        return Result(self.job, seen.image, probabilities, self.trace, seconds, drawn)

    def denoise(self) -> Generator[list[Ask], list[Any], list[Tensor]]:
        """Sec. IV of the paper for one picture; the latents of all nodes, or the
        last alone where nobody draws them.
        """
        setup, backbone = self.setup, self.setup.answers.backbone
        cond = setup.embed(self.job.prompt, False)
        null: Cond | None = None
        if setup.answers.guides_prompt:
            null = setup.embed(setup.negative_prompt, True)
        x = yield from setup.latents(self.job, backbone, setup.grid, cond, setup.size)
        path = [x]
        for i in range(len(setup.grid)):
            if getattr(self.step_end, "stopped", False):
                break
            steer, unconditional, plain = yield from self.look(x, i, cond, null)
            if plain is None or steer:
                denoised = yield from self.steer(x, i, cond, unconditional, plain)
            else:
                self.trace.iterations.append(0)
                denoised = setup.answers.guided(plain, unconditional)
                self.before = setup.answers.seen(plain, unconditional)
            x = setup.grid.advance(denoised, i)
            x = x if self.step_end is None else self.step_end(self.job, i, x)
            path = [*path, x] if backbone.has_points else [x]
            self.progress.steps += 1
        return path

    def look(
        self, x: Tensor, i: int, cond: Cond, null: Cond | None
    ) -> Generator[list[Ask], list[Any], tuple[bool, Denoised | None, Denoised | None]]:
        """WHEN (Sec. IV-B): whether step i is steered, the unconditional prediction, and the
        plain one where it had to be made: to be looked at, to be the step itself, or because
        S is guided at a scale of its own.
        """
        node, moment = self.setup.grid[i], Moment(i, len(self.setup.grid))
        looks = self.timing.needs_similarity(self.latch)
        steer = False
        if not looks:
            steer, self.latch = self.timing(self.latch, moment)
        needed = not steer or self.setup.answers.emotion_scale is not None
        unconditional, plain = yield from self.predict(x, node, null, cond if needed else None)
        if looks and plain is not None:
            seen = yield from self.ahead(i, cond, null, plain, unconditional)
            [observed] = yield [Observe(seen, self.job.prompt)]
            self.trace.similarity.append(observed.similarity)
            moment = replace(moment, similarity=observed.similarity)
            steer, self.latch = self.timing(self.latch, moment)
        return steer, unconditional, plain

    def predict(
        self, x: Tensor, node: Node, *conds: Cond | None
    ) -> Generator[list[Ask], list[Any], list[Denoised | None]]:
        """The prediction under each condition, None where there is none."""
        replies = iter((yield [Predict(x, node, cond) for cond in conds if cond is not None]))
        return [None if cond is None else next(replies) for cond in conds]

    def ahead(
        self, i: int, cond: Cond, null: Cond | None, plain: Denoised, unconditional: Denoised | None
    ) -> Generator[list[Ask], list[Any], Tensor]:
        """The x0 that timing looks at: the one-step prediction of step i, or, with a look-ahead,
        of a later step that the plain model is rolled on to.
        """
        setup, prediction = self.setup, plain
        for later in range(i, min(i + self.timing.look_ahead, len(setup.grid) - 1)):
            x = setup.grid.advance(setup.answers.guided(prediction, unconditional), later)
            unconditional, rolled = yield from self.predict(x, setup.grid[later + 1], null, cond)
            assert rolled is not None  # of `cond`, which is there
            prediction = rolled
        return setup.answers.seen(prediction, unconditional)

    def steer(
        self,
        x: Tensor,
        i: int,
        cond: Cond,
        unconditional: Denoised | None,
        plain: Denoised | None,
    ) -> Generator[list[Ask], list[Any], Denoised]:
        """HOW (Sec. IV-A): search S at step i, and accept a prediction for the step."""
        setup, node = self.setup, self.setup.grid[i]
        if self.ask is None:
            if self.before is None:  # steered from the first step: the present one is read
                if plain is None:
                    [plain] = yield [Predict(x, node, cond)]
                self.before = setup.answers.seen(plain, unconditional)
            self.ask = yield from self.begin(x, i, cond, self.before)
        apart = None if setup.answers.emotion_scale is None else plain
        ask = replace(self.ask, x=x, node=node, unconditional=unconditional, plain=apart, step=i)
        accepted = yield from setup.search.run(ask, self.trace)
        if accepted is None:  # not finite from the start: this step is the plain model's
            if plain is None:
                [plain] = yield [Predict(x, node, cond)]
            return setup.answers.guided(plain, unconditional)
        steering = setup.answers.steering
        self.ask = replace(ask, state=steering.carry(accepted.state))
        denoised = setup.answers.guided(accepted.prediction, unconditional, apart)
        return steering.finish(denoised, accepted.state)

    def begin(
        self, x: Tensor, i: int, cond: Cond, before: Tensor
    ) -> Generator[list[Ask], list[Any], Evaluate]:
        """WHICH (Sec. IV-C): the goal, with the inherent emotion as the guide reads it in
        `before`, the prediction of the step before the threshold was passed; and the first S.
        """
        [was] = yield [Observe(before, self.job.prompt)]
        assert self.job.target is not None  # a plain job is never steered
        inherent = EMOTIONS[int(was.logits.argmax())]
        wanted = inherent in self.job.target
        self.trace.start_step = i
        self.trace.inherent = None if wanted else inherent
        similarity = self.trace.similarity[-1] if self.trace.similarity else was.similarity
        goal = Goal(
            distribution(self.job.target).to(was.logits),
            distribution({} if wanted else {inherent: 1.0}).to(was.logits),
            None if similarity is None else was.logits.new_tensor([similarity]),
        )
        state = self.setup.answers.steering.init(x, cond, self.job.tokens())
        node = self.setup.grid[i]
        return Evaluate(x, node, cond, None, state, goal, self.job.prompt, i)
