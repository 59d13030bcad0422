"""One picture's way from noise to image: the paper's loop, as a generator of asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from muse.core.asks import (
    Ask,
    Evaluate,
    Evaluation,
    Fork,
    Judge,
    Judgement,
    Observation,
    Observe,
    Predict,
    Unroll,
)
from muse.core.emotions import EMOTIONS, distribution
from muse.core.frames import Frame
from muse.core.intensity import dosed, without
from muse.core.jobs import Job
from muse.core.results import Cost, Result, Trace
from muse.core.types import Cond, Denoised, Goal, MuseError, Tensors
from muse.core.watching import Stopping, Watchers
from muse.latents import Start
from muse.sampling.counting import counted
from muse.sampling.passing import passed
from muse.sampling.returned import returned, row_of
from muse.sampling.setup import At, Setup
from muse.sampling.starting import begun, held
from muse.schedulers import Moment, Never, TimingPolicy
from muse.steering import Steered, Step


class PictureRow:
    """One job in flight: its condition, latch, steering state and trace.

    Args:
        setup_of: says what the job is made with, none of it ever changed.
        job: what to make.
        watchers: who looks on.
    """

    setup: Setup
    timing: TimingPolicy
    start: Start

    def __init__(self, setup_of: Callable[[Job], Setup], job: Job, watchers: Watchers) -> None:
        self.setup_of = setup_of
        self.job = job
        self.watchers = watchers
        self.trace = Trace()
        self.latch: Any = None
        self.before: Tensor | None = None
        self.goal: Goal | None = None
        self.state: Tensors = {}
        self.stream = job.tokens()
        self.null: Cond | None = None
        self.frame: Frame | None = None
        self.whole = False
        self.rest = self.resting = 0  # steps to rest after the last look, and how many are left
        self.quiet = False  # whether the last look found nothing to do

    def run(self) -> Generator[list[Ask], list[Any], Result]:
        """From the job to its result; a user's mistake that shows here fails this job alone."""
        begun, cost = time.perf_counter(), Cost()
        try:
            path, seen = yield from counted(passed(self.made(), self.framed), cost)
        except MuseError as error:
            seconds, why = time.perf_counter() - begun, str(error)
            return Result(self.job, None, {}, self.trace, seconds, failure=why, cost=cost)
        assert seen.logits is not None
        probabilities = dict(zip(EMOTIONS, seen.logits.softmax(-1)[0].tolist(), strict=True))
        drawn = torch.cat(path) if self.setup.answers.backbone.has_points else None
        seconds = time.perf_counter() - begun
        made = seen.image, probabilities, self.trace, seconds, drawn
        return Result(self.job, *made, latent=path[-1], whole=self.whole, cost=cost)

    def made(self) -> Generator[list[Ask], list[Any], tuple[list[Tensor], Observation]]:
        """The latents of its way, and what is seen at the end.

        Raises:
            MuseError: a mistake of the user's, or a picture that is not finite.
        """
        self.prepare(self.setup_of(self.job))
        path = yield from self.denoise()
        frame = None if self.frame is None else replace(self.frame, box=None)
        [seen] = yield [
            Observe(path[-1], self.job.prompt, final=True, similarity=False, frame=frame)
        ]
        if not seen.image.isfinite().all():
            raise MuseError("The picture is not finite. Try a lower guidance_scale.")
        return path, seen

    def prepare(self, setup: Setup) -> None:
        """Take what the row is made with."""
        if not setup.answers.steering.scales_apart:
            setup = replace(setup, guidance=replace(setup.guidance, emotion=None))
        self.setup = setup
        plain = self.job.target is None or setup.intensity == 0
        self.timing = Never() if plain else setup.timing
        self.trace.intensity = None if self.job.target is None else setup.intensity
        self.latch = self.timing.init()

    def denoise(
        self,
        given: Start | None = None,
        keep: bool = False,
        until: int | None = None,
        noise: torch.Generator | None = None,
    ) -> Generator[list[Ask], list[Any], list[Tensor]]:
        """Sec. IV of the paper for one picture, from a start that is given or the source's, to the
        last node or the one named by `until`; the latents of all nodes, or the last alone where
        nobody draws them or wants to `keep` them. `noise` is the solver's, the job's own if None.
        """
        setup, grid = self.setup, self.setup.grid
        keep = keep or setup.answers.backbone.has_points
        cond = setup.embed(self.job.prompt, False, setup.size)
        if setup.guidance.reads_null:
            self.null = setup.embed(setup.negative_prompt, True, setup.size)
        self.start = given or (yield from self.begun(cond))
        x, i = self.start.x, self.start.node
        path, history, noise = [x], setup.solver.init(), noise or self.job.steps_noise()
        last, cut = len(grid) if until is None else until, False
        while i < last and not self.watchers.stopped:
            at = At(x, i, cond, self.null_at(i), partial(self.advance, history, i, noise))
            steered = yield from self.step(at)
            if steered.denoised is None:  # it has moved by itself
                path = path[:-1] if steered.node == i else path
                x, i = self.moved(steered, self.start.x)
                cut = self.watchers.stopped  # and so, perhaps, were the rows within
                history = setup.solver.init()
            else:
                x, history = self.advance(history, i, noise, steered.denoised)
                i += 1
                x = yield from self.watched(self.start.blended(x, i), i - 1, steered.denoised)
            path = [*path, x] if keep else [x]
        self.whole = i == len(grid) and not cut
        return path

    def advance(
        self, history: Any, i: int, noise: torch.Generator, denoised: Denoised
    ) -> tuple[Tensor, Any]:
        """The solver's step from node i: the latent, and its state."""
        solver = self.setup.solver
        made: tuple[Tensor, Any] = returned(
            solver, solver(denoised, history, self.setup.grid, i, noise), tuple
        )
        return made

    def begun(self, cond: Cond) -> Generator[list[Ask], list[Any], Start]:
        """Where it starts, with the job's mask."""
        start = yield from begun(self.setup, self.job, cond)
        if self.watchers.stopped:
            return start
        twin = (
            None if isinstance(self.timing, Never) else partial(self.plainly().denoise, keep=True)
        )
        start, self.frame = yield from held(self.setup, self.job, start, twin)
        return start

    def framed(self, ask: Ask) -> Ask:
        """An ask that looks at something, with the frame around that."""
        if not isinstance(ask, Observe | Evaluate | Judge | Unroll) or ask.frame is not None:
            return ask
        return replace(ask, frame=self.frame)

    def plainly(self) -> PictureRow:
        """The plain row of the same settings, which nobody watches."""
        watchers = Watchers([Stopping(self.watchers)])
        inner = PictureRow(self.setup_of, replace(self.job, target=None), watchers)
        inner.prepare(self.setup)
        return inner

    def null_at(self, i: int) -> Cond | None:
        """The unconditional branch's condition at node i, None without guidance."""
        own = self.start.nulls if self.null is not None else ()
        return own[i - self.start.node] if own else self.null

    def moved(self, steered: Steered, first: Tensor) -> tuple[Tensor, int]:
        """Where a steering has moved by itself."""
        x, node, steps = steered.x, steered.node, len(self.setup.grid)
        assert x is not None
        assert node is not None
        if x.shape != first.shape or not self.start.node <= node <= steps:
            name = type(self.setup.answers.steering).__name__
            raise MuseError(
                f"{name} moved to a latent {tuple(x.shape)} at node {node}. Give "
                f"{tuple(first.shape)} at a node from {self.start.node} to {steps}."
            )
        return self.start.blended(x.to(first), node), node

    def watched(
        self, x: Tensor, i: int, denoised: Denoised
    ) -> Generator[list[Ask], list[Any], Tensor]:
        """Show a step to the watchers; the latent to go on with."""
        picture = None
        if self.watchers.pictured:
            look = Observe(denoised.x0, self.job.prompt, logits=False, similarity=False)
            [seen] = yield [look]
            picture = seen.image
        return self.watchers.stepped(self.job, i, x, denoised, picture).to(x)

    def step(self, at: At) -> Generator[list[Ask], list[Any], Steered]:
        """The prediction that a step is taken with, steered or plain."""
        guidance, done = self.setup.guidance, at.i - self.start.node
        steer, at = yield from self.look(at)
        if steer:
            steered = yield from self.steer(at)
        else:
            assert at.plain is not None  # it was needed
            self.before = guidance.seen(at.plain, at.unconditional)
            steered = Steered(guidance.mixed(at.plain, at.unconditional), self.state)
        counted = self.trace.iterations  # by the steering, where it has searched
        if len(counted) == done and steered.denoised is not None:
            counted.append(0)
        return steered

    def look(self, at: At) -> Generator[list[Ask], list[Any], tuple[bool, At]]:
        """WHEN (Sec. IV-B): whether a step is steered; and what had to be predicted for it: the
        unconditional branch, and the plain one to be looked at, to be the step itself, or because
        steering needs it; a step that rests asks for what it needs by itself.
        """
        moment, steering = Moment(at.i, len(self.setup.grid)), self.setup.answers.steering
        looks, steer = self.timing.needs_similarity(self.latch), False
        if not looks:
            steer, self.latch = self.timing(self.latch, moment)
        apart = self.setup.guidance.emotion is not None
        needs = steer and not self.unlooked(at.i)
        plain = not steer or (needs and (apart or steering.needs_plain))
        null = plain or (needs and steering.needs_unconditional)
        at = yield from self.predicted(at, null, plain)
        if looks:
            seen = yield from self.ahead(at)
            [observed] = yield [Observe(seen, self.job.prompt, logits=False)]
            self.trace.similarity.append(observed.similarity)
            moment = replace(moment, similarity=observed.similarity)
            steer, self.latch = self.timing(self.latch, moment)
        return steer, at

    def predicted(
        self, at: At, unconditional: bool = True, plain: bool = True
    ) -> Generator[list[Ask], list[Any], At]:
        """The same place with predictions that were not there yet, as far as they are wanted."""
        conds = {
            "unconditional": at.null if unconditional and at.unconditional is None else None,
            "plain": at.cond if plain and at.plain is None else None,
        }
        asked = {name: cond for name, cond in conds.items() if cond is not None}
        if not asked:
            return at
        node = self.setup.grid[at.i]
        found = yield [Predict(at.x, node, cond) for cond in asked.values()]
        return replace(at, **dict(zip(asked, found, strict=True)))

    def ahead(self, at: At) -> Generator[list[Ask], list[Any], Tensor]:
        """The x0 that timing looks at: the one-step prediction of a step, or, with a look-ahead, of
        a later step that the plain model is rolled on to.
        """
        grid, guidance = self.setup.grid, self.setup.guidance
        for later in range(at.i, min(at.i + self.timing.look_ahead, len(grid) - 1)):
            assert at.plain is not None
            x = grid.advance(guidance.mixed(at.plain, at.unconditional), later)
            x = self.start.blended(x, later + 1)
            there = At(x, later + 1, at.cond, self.null_at(later + 1), at.advance)
            at = yield from self.predicted(there)
        assert at.plain is not None
        return guidance.seen(at.plain, at.unconditional)

    def steer(self, at: At) -> Generator[list[Ask], list[Any], Steered]:
        """HOW (Sec. IV-A): let the steering find the prediction for a step."""
        setup, steering = self.setup, self.setup.answers.steering
        looks = not self.unlooked(at.i)
        if self.goal is None:
            if self.before is None:  # steered from the first step: the present one is read
                at = yield from self.predicted(at)
                assert at.plain is not None
                self.before = setup.guidance.seen(at.plain, at.unconditional)
            self.goal = yield from self.begin(at, self.before)
            self.state = steering.init(at.x, at.cond, self.stream)
        dose = abs(setup.intensity)
        if dose < 1:
            at = yield from self.predicted(at)
        step = self.standing(at, self.goal)
        made = (steering if looks else steering.follow)(step, self.state)
        steered: Steered = returned(steering, (yield from row_of(steering, made)), Steered)
        if looks:
            self.quiet = steered.quiet
            self.rest = self.resting = setup.rests.next(self.rest, self.quiet)
        elif self.resting:
            self.resting -= 1
        self.state = steered.state
        return steered if dose == 1 else replace(steered, denoised=self.dosed(at, steered, dose))

    def unlooked(self, i: int) -> bool:
        """Whether a steered step is not looked at; the first one is."""
        late = i / len(self.setup.grid) >= self.setup.rests.look_until
        return self.goal is not None and (self.resting > 0 or late)

    def dosed(self, at: At, steered: Steered, dose: float) -> Denoised:
        """What a step is taken with where only a dose of the steering is wanted."""
        if steered.denoised is None:
            name = type(self.setup.answers.steering).__name__
            raise MuseError(f"{name} moved by itself, where there is no intensity. Use 0 or 1.")
        assert at.plain is not None
        plain = self.setup.guidance.mixed(at.plain, at.unconditional)
        return dosed(plain, steered.denoised, dose)

    def standing(self, at: At, goal: Goal) -> Step:
        """What a steering is told of where the row stands."""
        setup, start = self.setup, self.start
        source = None
        if start.path:
            latent = start.path[at.i - start.node].to(at.x)
            source = Predict(latent, setup.grid[at.i], start.path_cond or at.cond)
        return Step(
            job=self.job,
            x=at.x,
            i=at.i,
            grid=setup.grid,
            cond=at.cond,
            null=at.null,
            unconditional=at.unconditional,
            plain=at.plain,
            goal=goal,
            guidance=setup.guidance,
            trace=self.trace,
            generator=self.stream,
            search=partial(setup.search.run, quiet=self.quiet),
            satisfied=setup.search.satisfied,
            advance=lambda denoised: start.blended(at.advance(denoised)[0], at.i + 1),
            onward=lambda x, i, *more: self.onward(start.blended(x, i), i, *more),
            embed=lambda prompt: setup.embed(prompt, False, setup.size),
            inject=torch.no_grad()(lambda v, *more: v.inject(setup.answers.backbone, at.x, *more)),
            worded=setup.worded,
            source=source,
            edits=setup.latents.needs_picture,
            feature_names=setup.answers.backbone.feature_names,
            tell=lambda iteration, found: self.iterated(at.i, iteration, found),
            pictured=self.watchers.pictured,
            tolerance=setup.search.tolerance,
        )

    def onward(
        self, x: Tensor, i: int, until: int | None = None, noise: torch.Generator | None = None
    ) -> Generator[list[Ask], list[Any], tuple[Tensor, Observation]]:
        """Where the plain model leads from a latent at node i, as far as node `until`: the latent
        there, and what is seen of it; before the last node, in the prediction that led to it.
        """
        taken = i - self.start.node
        path, nulls = self.start.path[taken:], self.start.nulls[taken:]
        there, row = replace(self.start, x=x, node=i, path=path, nulls=nulls), self.plainly()
        [*_, last] = yield from row.denoise(there, until=until, noise=noise)
        look = last if row.whole or row.before is None else row.before  # none: stopped at once
        [seen] = yield [Observe(look, self.job.prompt, similarity=False, final=row.whole)]
        return last, seen

    def begin(self, at: At, before: Tensor) -> Generator[list[Ask], list[Any], Goal]:
        """WHICH (Sec. IV-C): the goal, with the inherent emotion as the guide reads it in
        `before`, the prediction of the step before the threshold was passed.
        """
        loss, compared = self.setup.answers.loss, bool(self.trace.similarity)
        reads = loss.needs_similarity and not compared
        [was] = yield [Observe(before, self.job.prompt, similarity=reads)]
        assert self.job.target is not None  # a plain job is never steered
        inherent = EMOTIONS[int(was.logits.argmax())]
        wanted = inherent in self.job.target
        self.trace.start_step = at.i
        self.trace.inherent = None if wanted else inherent
        similarity = self.trace.similarity[-1] if compared else was.similarity
        target = distribution(self.job.target).to(was.logits)
        goal = Goal(
            target,
            distribution({} if wanted else {inherent: 1.0}).to(was.logits),
            None if similarity is None else was.logits.new_tensor([similarity]),
            loss.similar_to(target),
        )
        return goal if self.setup.intensity > 0 else (yield from self.lessened(at, goal))

    def lessened(self, at: At, goal: Goal) -> Generator[list[Ask], list[Any], Goal]:
        """The goal where less of the emotion is wanted: what the guide reads without it in the
        picture that the plain model makes from here (of DDIM the plain twin, of a solver with noise
        another draw). The inherent emotion is part of that, and not pushed from.
        """
        if bool((goal.target > 0).all()):
            raise MuseError(
                "An intensity below 0 leaves the other emotions, and the target has all eight. "
                "Take one out of it, or use an intensity of 0 to 1."
            )
        [[(_, plain)]] = yield [Fork([self.onward(at.x, at.i)])]
        rest = without(plain.logits, goal.target)
        return replace(goal, target=rest, inherent=torch.zeros_like(rest), named=goal.target)

    def iterated(self, i: int, iteration: int, found: Evaluation | Judgement) -> None:
        """Tell the watchers of an iterate."""
        terms = {"total": found.total, **found.terms}
        picture = found.picture if isinstance(found, Evaluation) else None
        self.watchers.iterated(self.job, i, iteration, picture, terms)
