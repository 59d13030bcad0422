"""Running a call's rows: the callback after each step, the progress bar, and what to warn of."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Denoised, MuseError
from muse.core.watching import Watcher
from muse.runs import Memory, make
from muse.sampling import Sampler
from muse.tasks.progress import RowProgress

Callback: TypeAlias = Callable[[Any, int, Tensor, dict[str, Any]], Mapping[str, Any] | None]
"""``callback(pipe, step, timestep, callback_kwargs)``, which may return other ``latents``."""


class StepEnds(Watcher):
    """What happens after a step: the caller's callback is asked.

    Args:
        pipe: what the callback is shown as the pipeline.
        callback: the caller's, or None.
        watched: which tensors it is given, ``latents`` or none.
        sampler: for the timesteps.
        rows: job id -> the row that the callback is told.

    Raises:
        MuseError: a tensor that can't be watched.
    """

    def __init__(
        self,
        pipe: Any,
        callback: Callback | None,
        watched: Sequence[str],
        sampler: Sampler,
        rows: Mapping[str, int],
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
        self.rows = rows

    @property
    def stopped(self) -> bool:
        """Whether the caller has set ``pipe._interrupt``, which is how diffusers' are stopped."""
        return bool(self.pipe.interrupt)

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> Tensor:
        """The latent (1, ...) that the row goes on with."""
        if self.callback is not None:
            given = {"row": self.rows[job.id], **({"latents": latent} if self.watched else {})}
            told = self.callback(self.pipe, step, self.timesteps[step], given) or {}
            new: object = told.get("latents", latent) if isinstance(told, Mapping) else told
            if not isinstance(new, Tensor) or new.shape != latent.shape:
                shape = tuple(new.shape) if isinstance(new, Tensor) else repr(new)
                raise MuseError(
                    f"the callback's latents are {shape}. Return {tuple(latent.shape)}, or nothing."
                )
            latent = new
        return latent


class Results(Memory):
    """Results of a call, all of which must be well."""

    def save(self, result: Result, backbone: Any) -> None:
        """Keep it.

        Raises:
            MuseError: it failed.
        """
        if result.failure is not None:
            raise MuseError(f"{result.job.prompt!r} failed: {result.failure}")
        super().save(result, backbone)


def run(
    sampler: Sampler, jobs: Sequence[Job], slots: int, step_ends: StepEnds, visible: bool
) -> list[Result]:
    """The results in the order of the jobs; where `step_ends` has stopped them, as far as each has
    come.

    Raises:
        MuseError: a picture that failed.

    Warns:
        UserWarning: words of a prompt that the model can't read; pictures never steered.
    """
    negatives = [job.negative_prompt or "" for job in jobs]
    for line in sampler.remarks((job.prompt for job in jobs), negatives):
        warnings.warn(line, stacklevel=3)
    sink = Results()
    with RowProgress(len(jobs), len(jobs) * len(sampler.setup.grid), visible) as progress:
        make(sampler, jobs, sink, slots, (step_ends, progress))
    done = [sink.results[job.id] for job in jobs]
    wanted = [result for result in done if result.trace.intensity]
    never = [result for result in wanted if result.trace.start_step is None]
    if never and not step_ends.stopped:
        told = f"{len(never)} of {len(jobs)} pictures were never steered"
        warnings.warn(f"{told}: {sampler.timing.remedy}.", stacklevel=3)
    return done
