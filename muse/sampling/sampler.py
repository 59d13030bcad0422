r"""The sampler: independent rows, shared model calls.

A picture in flight is a *row* (`row`): a generator that reads like the paper's loop for one picture
and yields what it needs. The *engine* (`engine`) gathers what all rows ask, lets `answers` answer
what most of them wait for in a shared call, sends the answers back, and starts a waiting job where
a row has finished. No row sees its neighbours.

How the three questions make the known methods:

====================  =====================  =================  ======================
method                HOW (steering)         WHEN (timing)      WHICH (loss)
====================  =====================  =================  ======================
MUSE                  `TokenOptimization`    `ClipThreshold`    `MultiEmotionLoss`
token search          `TokenOptimization`    `Always`           weights 0
prompt only           `NoSteering`           `Never`            any
====================  =====================  =================  ======================

`muse.core.types.Guidance` says how predictions are mixed. With a guidance scale of 1 and an emotion
scale S alone is guided: negative-prompt inversion (Miyake et al. 2023, u of the prompt itself).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, Self

from torch import Tensor, nn

from muse.backbones import Backbone
from muse.core.asks import Ask, Row
from muse.core.emotions import order_of
from muse.core.errors import check_choice
from muse.core.intensity import check_intensity
from muse.core.jobs import Job
from muse.core.memory import memory_told
from muse.core.results import Result
from muse.core.types import Guidance, MuseError
from muse.core.watching import Watcher, Watchers
from muse.guides import Guide, Similarity
from muse.latents import LatentSource
from muse.losses import EmotionLoss
from muse.sampling.answers import Answers
from muse.sampling.engine import run
from muse.sampling.prompts import EncodedPrompts
from muse.sampling.row import PictureRow
from muse.sampling.search import Rests, Search
from muse.sampling.setup import Setup
from muse.sampling.slots import Slots
from muse.sampling.stacking import kind_of
from muse.schedulers import DDIM, Solver, TimingPolicy
from muse.steering import Steering


class Sampler(nn.Module):
    """Makes pictures of jobs with frozen parts.

    Nothing of a part is changed: while pictures are made, all are in evaluation mode and take no
    gradients to their weights; afterwards they are as they were.

    Args:
        backbone: the diffusion model.
        guide: the emotion classifier that steers.
        steering: HOW.
        timing: WHEN.
        loss: WHICH.
        latents: where rows start.
        similarity: of a picture to its prompt; needed where timing or loss reads it.
        steps: sampling steps.
        guidance_scale: of classifier-free guidance; 1 does without (the paper's omega is one
            less), None takes the backbone's own.
        emotion_scale: of what S adds, above 0; None guides prompt and S by one scale (the paper).
            A steered step then needs the plain prediction too.
        guided_x0: whether guide and similarity see the guided mix or the conditional prediction.
        negative_prompt: for the unconditional branch.
        max_iterations: optimiser steps at most, in each sampling step.
        tolerance: a step's search ends below this loss (the total can be negative).
        stop_on: which loss that is, ``total`` (the paper) or ``target``. With the paper's
            weights the total passes 1e-4 at a target probability of 0.987, without at 0.9999.
        keep: the iterate that a step accepts: ``best`` by that loss, or ``last`` (the paper).
        longest_rest: after a steered step whose first look found the loss below the tolerance the
            next one is predicted and not looked at, then two, four, up to this many; 0: none.
        look_until: the share of the steps after which none is looked at, in (0, 1].
        size: height and width in pixels; None takes the backbone's own.
        scheduler: how a latent moves from node to node; ``pipeline`` takes over the model's own
            scheduler where it is one of ours, None is `DDIM`. The nodes are the model's in any
            case.
        intensity: how strongly the emotion is wanted (`muse.core.intensity`), for jobs that don't
            say it: 0 is the plain picture, 1 (or None) all of the emotion, and below 0, down to -1,
            the plain picture loses what it has of it. Between, every steered step needs its plain
            prediction too; below 0 a row makes the plain picture first.
        mask_view: what guide and similarity look at while a job with a mask is made: the ``whole``
            picture (or None), with what stands around the mask, or the part ``inside``, the
            smallest one of the picture's proportions that holds the mask, at the picture's size.

    Raises:
        MuseError: an option out of range, a guide of other labels, no similarity where one is read,
            a scheduler that the latents can't go with, or that isn't one of ours, a backbone or
            latents that the steering can't go with.
    """

    def __init__(
        self,
        backbone: Backbone,
        guide: Guide,
        steering: Steering,
        timing: TimingPolicy,
        loss: EmotionLoss,
        latents: LatentSource,
        similarity: Similarity | None = None,
        steps: int = 50,
        guidance_scale: float | None = None,
        emotion_scale: float | None = None,
        guided_x0: bool = True,
        negative_prompt: str = "",
        max_iterations: int = 5,
        tolerance: float = 1e-4,
        stop_on: Literal["total", "target"] = "total",
        keep: Literal["best", "last"] = "best",
        longest_rest: int = 0,
        look_until: float = 1.0,
        size: tuple[int, int] | None = None,
        scheduler: Solver | Literal["pipeline"] | None = None,
        intensity: float | None = None,
        mask_view: Literal["whole", "inside"] | None = None,
    ) -> None:
        super().__init__()
        _check_parts(
            backbone=(backbone, Backbone),
            guide=(guide, Guide),
            steering=(steering, Steering),
            timing=(timing, TimingPolicy),
            loss=(loss, EmotionLoss),
            latents=(latents, LatentSource),
        )
        order_of(guide.labels)
        # Whether a timing will look at all only its class says: one may begin to later.
        looks = type(timing).needs_similarity is not TimingPolicy.needs_similarity
        reads = looks or loss.needs_similarity
        if reads and similarity is None:
            raise MuseError("The timing or the loss reads a similarity. Give one: `similarity`.")
        if guidance_scale is None:
            guidance_scale = backbone.default_guidance_scale
        self.answers = Answers(backbone, guide, steering, loss, similarity if reads else None)
        self.timing = timing
        self.latents = latents
        self.solver = backbone.solver() if scheduler == "pipeline" else scheduler or DDIM()
        _check_parts(scheduler=(self.solver, Solver))
        latents.check(self.solver)
        steering.check(backbone, latents)
        size = size or backbone.size
        self.prompts = EncodedPrompts(backbone, size)
        self.steps = steps
        common = Setup(
            self.answers,
            timing,
            latents,
            self.solver,
            Search(max_iterations, tolerance, stop_on, keep),
            Rests(longest_rest, look_until),
            backbone.time_grid(steps, size),
            Guidance(guidance_scale, emotion_scale, guided_x0),
            negative_prompt,
            size,
            self.prompts,
            mask_view=_view(mask_view),
        )
        self.setup = common if intensity is None else self._at(intensity, common)

    @property
    def backbone(self) -> Backbone:
        """The diffusion model."""
        return self.answers.backbone

    def setup_of(self, job: Job) -> Setup:
        """What a job's row is made with: what the job says itself, and else the sampler's.

        Raises:
            MuseError: a size or a number of steps that the backbone refuses.
        """
        common, own = self.setup, dict[str, Any]()
        worded = not self.prompts.given(job)
        if not worded or self.prompts.given(job, negative=True):
            own |= {"embed": self.prompts.of(job), "worded": worded}
        if job.size is not None or job.steps is not None:
            own["size"] = size = job.size or common.size
            self.backbone.latent_shape(size)
            steps = self.steps if job.steps is None else job.steps
            own["grid"] = self.backbone.time_grid(steps, size)
        if job.guidance_scale is not None:
            own["guidance"] = replace(common.guidance, scale=job.guidance_scale)
        if job.negative_prompt is not None:
            own["negative_prompt"] = job.negative_prompt
        setup = replace(common, **own) if own else common
        return setup if job.intensity is None else self._at(job.intensity, setup)

    def _at(self, intensity: float, setup: Setup) -> Setup:
        """What a row is made with at an intensity.

        Raises:
            MuseError: one out of range, or a steering that knows none.
        """
        steering, given = self.answers.steering, check_intensity(intensity)
        name = type(steering).__name__
        if given not in (0, 1) and not steering.predicts:
            raise MuseError(
                f"intensity = {given:g} lies between two predictions of one latent, and {name} "
                "moves to others by itself. Use 0 or 1, or another steering."
            )
        if given < 0 and not steering.reads_goal:
            raise MuseError(
                f"intensity = {given:g} needs a steering that follows the loss, and {name} doesn't."
                " Use 0 to 1, or another steering."
            )
        return replace(setup, intensity=float(intensity))

    def sample(
        self, jobs: Iterable[Job], slots: int | Slots = 8, watchers: Sequence[Watcher] = ()
    ) -> Generator[Result, None, None]:
        """Make the pictures of `jobs` and yield each as it is done. Twice as many as share a call
        are in flight, so that calls are full; jobs are taken from the iterable as others end. Where
        memory runs out, calls are halved.

        Args:
            jobs: what to make.
            slots: how many pictures share a model call.
            watchers: who looks on.

        Raises:
            MuseError: out of memory with a single picture.
        """
        taken = slots if isinstance(slots, Slots) else Slots(slots)
        watching = Watchers(watchers)

        def answer(asks: list[Ask]) -> list[Any]:
            replies = taken.answer(asks, self.answers)
            watching.answered()
            return replies

        def row(job: Job) -> Row[Result]:
            return PictureRow(self.setup_of, job, watching).run()

        with memory_told(), frozen(self):
            for result in run(map(row, jobs), answer, lambda: taken.rows, kind_of, taken.ahead):
                watching.finished(result)
                yield result

    def remarks(
        self, prompts: Iterable[str], negative_prompts: Iterable[str] | None = None
    ) -> list[str]:
        """What a person should know about how model and similarity read `prompts`, and the model
        the negative ones (by default the sampler's own), and which settings aren't used; a line
        each.
        """
        similarity, lines = self.answers.similarity, []
        for prompt in dict.fromkeys(prompts):
            lines += self.backbone.remarks(prompt)
            words = self.backbone.words(prompt)
            lines += similarity.remarks(words) if similarity is not None else []
        for negative in dict.fromkeys(negative_prompts or [self.setup.negative_prompt]):
            if negative and self.setup.guidance.reads_null:
                found = self.backbone.remarks(negative)
                lines += [line.replace("Prompt", "Negative prompt", 1) for line in found]
            elif negative:
                lines.append(
                    f"Negative prompt {negative!r} does nothing at guidance_scale 1. Use another "
                    "guidance_scale, or leave it out."
                )
        steering, scale = self.answers.steering, self.setup.guidance.emotion
        if scale is not None and not steering.scales_apart:
            lines.append(
                f"emotion_scale {scale:g} does nothing with {type(steering).__name__}, which has a "
                "strength of its own. Set it to null."
            )
        return lines

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As torch's, which `to` and the like go through; afterwards prompts are encoded anew."""
        self.prompts.clear()
        return super()._apply(fn, recurse)


def _check_parts(**parts: tuple[object, type]) -> None:
    """Refuse what is no part of its kind: a class in place of one of its own, a name, None."""
    for name, (part, kind) in parts.items():
        if not isinstance(part, kind):
            told = f"the class {part.__name__}" if isinstance(part, type) else repr(part)
            raise MuseError(f"{name} is {told}. Give a {kind.__name__}.")


def _view(given: str | None) -> Literal["whole", "inside"]:
    check_choice("mask_view", given or "whole", ("whole", "inside"))
    return "inside" if given == "inside" else "whole"


_HELD: dict[int, list[Any]] = {}
"""Parts and weights that are frozen right now, each with how often: samplers may share them."""


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside, a module is in evaluation mode and its weights take no gradient; afterwards, once
    nobody needs it so any more, all is as it was.
    """
    learning: list[Any] = [p for p in module.modules() if p.training or id(p) in _HELD]
    # Weights that were loaded in inference mode take none, and can't be told to again.
    weights = (weight for weight in module.parameters() if not weight.is_inference())
    learning += [w for w in weights if w.requires_grad or id(w) in _HELD]
    for one in learning:
        _HELD.setdefault(id(one), [one, 0])[1] += 1
        _let_learn(one, False)
    try:
        yield
    finally:
        for one in learning:
            _HELD[id(one)][1] -= 1
            if not _HELD[id(one)][1]:
                del _HELD[id(one)]
                _let_learn(one, True)


def _let_learn(one: nn.Module | Tensor, learning: bool) -> None:
    if isinstance(one, nn.Module):
        one.training = learning
    else:
        one.requires_grad_(learning)
