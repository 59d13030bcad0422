"""Running a call's rows: the callback after each step, the progress bar, and what to warn of."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import MuseError
from muse.sampling import Sampler
from muse.tasks.progress import RowProgress

Callback: TypeAlias = Callable[[Any, int, Tensor, dict[str, Any]], Mapping[str, Any] | None]
"""``callback(pipe, step, timestep, callback_kwargs)``, which may return other ``latents``."""


class StepEnds:
    """What happens after a step: the caller's callback is asked, and the latents are kept.

    Args:
        pipe: what the callback is shown as the pipeline.
        callback: the caller's, or None.
        watched: which tensors it is given, ``latents`` or none.
        sampler: for the timesteps.

    Raises:
        MuseError: a tensor that can't be watched.
    """

    def __init__(
        self, pipe: Any, callback: Callback | None, watched: Sequence[str], sampler: Sampler
    ) -> None:
        if set(watched) - {"latents"}:
            raise MuseError(
                f"callback_on_step_end_tensor_inputs = {list(watched)} is not allowed. "
                "Use ['latents'] or []."
            )
        self.pipe = pipe
        self.callback = callback
        self.watched = watched
        self.timesteps = sampler.setup.grid.timesteps
        self.latents: dict[int, Tensor] = {}

    @property
    def stopped(self) -> bool:
        """Whether the caller has set ``pipe._interrupt``, which is how diffusers' are stopped."""
        return bool(self.pipe.interrupt)

    def __call__(self, job: Job, step: int, x: Tensor) -> Tensor:
        """The latent (1, ...) that the row goes on with."""
        row = int(job.id)
        if self.callback is not None:
            given = {"row": row, **({"latents": x} if self.watched else {})}
            told = self.callback(self.pipe, step, self.timesteps[step], given) or {}
            new = told.get("latents", x)
            if new.shape != x.shape:
                raise MuseError(
                    f"the callback's latents are {tuple(new.shape)}. Return {tuple(x.shape)}."
                )
            x = new.to(x)
        self.latents[row] = x
        return x


def run(
    sampler: Sampler,
    jobs: Sequence[Job],
    negative_prompts: Sequence[str],
    slots: int,
    step_end: StepEnds,
    visible: bool,
) -> list[Result]:
    """The results in the order of the jobs, whose ids are their places in it, as are those of the
    negative prompts; where `step_end` has stopped them, as far as each has come.

    Raises:
        MuseError: a picture that failed.

    Warns:
        UserWarning: words of a prompt that the model can't read; pictures never steered.
    """
    for line in sampler.remarks((job.prompt for job in jobs), negative_prompts):
        warnings.warn(line, stacklevel=3)
    negatives = {job.id: negative for job, negative in zip(jobs, negative_prompts, strict=True)}
    results: dict[int, Result] = {}
    with RowProgress(len(jobs), len(sampler.setup.grid), visible) as progress:
        for result in sampler.sample(jobs, slots, progress, step_end, negatives):
            if result.failure is not None:
                raise MuseError(f"{result.job.prompt!r} failed: {result.failure}")
            results[int(result.job.id)] = result
    done = [results[row] for row in range(len(jobs))]
    never = [result for result in done if result.job.target and result.trace.start_step is None]
    if never and not step_end.stopped:
        told = f"{len(never)} of {len(jobs)} pictures were never steered"
        warnings.warn(f"{told}: {sampler.timing.remedy}.", stacklevel=3)
    return done
