r"""The sampler: independent rows, shared model calls.

A picture in flight is a *row* (`row`): a generator that reads like the paper's loop for one picture
and yields what it needs. The *engine* (`engine`) gathers what all rows ask, lets `answers` answer
it in shared calls, sends the answers back, and starts a waiting job where a row has finished. No
row waits for its neighbours, and none can see them.

How the three questions make the known methods:

====================  =====================  =================  ======================
method                HOW (steering)         WHEN (timing)      WHICH (loss)
====================  =====================  =================  ======================
MUSE                  `TokenOptimization`    `ClipThreshold`    `MultiEmotionLoss`
token search          `TokenOptimization`    `Always`           weights 0
prompt only           `NoSteering`           `Never`            any
====================  =====================  =================  ======================

Predictions u of the negative prompt, c of the prompt and :math:`c_S` of prompt and S are mixed as
:math:`u + w\,(c_S - u)`, or, with an `emotion_scale`, :math:`u + w\,(c - u) + w_s\,(c_S - c)`. With
w = 1 that guides S alone: negative-prompt inversion (Miyake et al. 2023, u of the prompt itself).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from torch import Tensor, nn

from muse.backbones import Backbone
from muse.core.asks import Ask, Evaluate, Row
from muse.core.emotions import order_of
from muse.core.jobs import Job
from muse.core.memory import memory_told
from muse.core.results import Progress, Result
from muse.core.types import MuseError
from muse.guides import Guide, Similarity
from muse.latents import LatentSource
from muse.losses import EmotionLoss
from muse.sampling.answers import Answers
from muse.sampling.engine import run
from muse.sampling.prompts import EncodedPrompts
from muse.sampling.row import PictureRow, Setup, StepEnd
from muse.sampling.search import Search
from muse.sampling.slots import Slots
from muse.schedulers import TimingPolicy
from muse.steering import Steering


class Sampler(nn.Module):
    """Makes pictures of jobs with frozen parts.

    Args:
        backbone: the diffusion model.
        guide: the emotion classifier that steers.
        steering: HOW.
        timing: WHEN.
        loss: WHICH.
        latents: where x_T comes from.
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
        size: height and width in pixels; None takes the backbone's own.

    Raises:
        MuseError: an option out of range, a guide of other labels, or no similarity where one
            is read.
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
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        order_of(guide.labels)
        reads = timing.needs_similarity(timing.init()) or loss.needs_similarity
        if reads and similarity is None:
            raise MuseError("The timing or the loss reads a similarity. Give one: `similarity`.")
        if emotion_scale is not None and not emotion_scale > 0:
            raise MuseError(
                f"emotion_scale = {emotion_scale:g} is not allowed. Use a number above 0, or null."
            )
        if guidance_scale is None:
            guidance_scale = backbone.default_guidance_scale
        scales = guidance_scale, guided_x0, emotion_scale
        similarity = similarity if reads else None
        self.answers = Answers(backbone, guide, steering, loss, similarity, *scales)
        self.timing = timing
        self.latents = latents
        size = size or backbone.size
        self.prompts = EncodedPrompts(backbone, size)
        self.setup = Setup(
            self.answers,
            timing,
            latents,
            Search(max_iterations, tolerance, stop_on, keep),
            backbone.time_grid(steps, size),
            negative_prompt,
            size,
            self.prompts,
        )

    @property
    def backbone(self) -> Backbone:
        """The diffusion model."""
        return self.answers.backbone

    def sample(
        self,
        jobs: Iterable[Job],
        slots: int | Slots = 8,
        progress: Progress | None = None,
        step_end: StepEnd | None = None,
        negative_prompts: Mapping[str, str] | None = None,
    ) -> Iterator[Result]:
        """Make the pictures of `jobs`, at most `slots` in flight, and yield each as it is done.
        Jobs are taken from the iterable as slots get free. Where memory runs out, calls are halved.

        `progress` is counted on from where it stands; `step_end` is called after every step;
        `negative_prompts` by job id take the place of the sampler's own.

        Raises:
            MuseError: out of memory with a single picture.
        """
        progress, own = progress or Progress(), negative_prompts or {}
        taken = slots if isinstance(slots, Slots) else Slots(slots)

        def answer(asks: list[Ask]) -> list[Any]:
            replies = taken.answer(asks, self.answers)
            progress.iterations += sum(isinstance(a, Evaluate) and a.iteration > 0 for a in asks)
            progress.changed()
            return replies

        def row(job: Job) -> Row[Result]:
            negative = own.get(job.id, self.setup.negative_prompt)
            setup = replace(self.setup, negative_prompt=negative)
            return PictureRow(setup, job, progress, step_end).run()

        with memory_told():
            for result in run(map(row, jobs), answer, lambda: taken.rows):
                progress.rows += 1
                progress.changed()
                yield result

    def remarks(
        self, prompts: Iterable[str], negative_prompts: Iterable[str] | None = None
    ) -> list[str]:
        """What a person should know about how model and similarity read `prompts`, and the model
        the negative ones (by default the sampler's own), or that they aren't used; a line each.
        """
        similarity, lines = self.answers.similarity, []
        for prompt in dict.fromkeys(prompts):
            lines += self.backbone.remarks(prompt)
            lines += similarity.remarks(prompt) if similarity is not None else []
        for negative in dict.fromkeys(negative_prompts or [self.setup.negative_prompt]):
            if negative and self.answers.guides_prompt:
                found = self.backbone.remarks(negative)
                lines += [line.replace("Prompt", "Negative prompt", 1) for line in found]
            elif negative:
                lines.append(
                    f"Negative prompt {negative!r} does nothing at guidance_scale 1. Use another "
                    "guidance_scale, or leave it out."
                )
        return lines

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As torch's, which `to` and the like go through; afterwards prompts are encoded anew."""
        self.prompts.clear()
        return super()._apply(fn, recurse)
