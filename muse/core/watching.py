"""Who looks on while pictures are made: progress bars, callbacks, pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Denoised


class Watcher:
    """Looks on. A subclass writes the methods that it cares about; by default all do nothing, and
    where there is no watcher nothing is done for one.
    """

    wants_pictures: ClassVar[bool] = False
    """Whether it is shown pictures; each step's is decoded for it alone."""

    @property
    def stopped(self) -> bool:
        """Whether no row shall take another step: what each has so far is decoded. A run in a
        folder keeps no such picture, and makes it at its next start.
        """
        return False

    def iterated(
        self,
        job: Job,
        step: int,
        iteration: int,
        picture: Tensor | None,
        terms: Mapping[str, float],
    ) -> None:
        """A search has looked at an iterate.

        Args:
            job: whose row it is.
            step: the sampling step, from 0.
            iteration: the inner iteration, from 0.
            picture: as it was previewed, (1, 3, H, W) in about [0, 1]; None unless one
                `wants_pictures`.
            terms: the loss (``total``) and its terms, by name.
        """

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> Tensor | None:
        """A row has taken a step.

        Args:
            job: whose row it is.
            step: which one, from 0.
            latent: that it led to, (1, ...).
            denoised: the prediction that it was taken with.
            picture: its x0 as it is previewed, the picture so far, (1, 3, H, W) in about [0, 1];
                None unless one `wants_pictures`.

        Returns:
            another latent of that shape to go on with, or None. A run in a folder doesn't heed it:
            its settings alone decide its pictures.
        """
        return None

    def answered(self) -> None:
        """A call that rows share has been made."""

    def finished(self, result: Result) -> None:
        """A row has ended."""


class Watchers(Watcher):
    """Several as one.

    Args:
        each: the watchers, asked in this order.
        heeded: whether latents that they return are gone on with.
    """

    def __init__(self, each: Sequence[Watcher], heeded: bool = True) -> None:
        self.each, self.heeded = tuple(each), heeded

    @property
    def pictured(self) -> bool:
        """Whether one of them `wants_pictures`."""
        return any(
            one.pictured if isinstance(one, Watchers) else one.wants_pictures for one in self.each
        )

    @property
    def stopped(self) -> bool:
        """Whether one of them has stopped the rows."""
        return any(watcher.stopped for watcher in self.each)

    def iterated(
        self,
        job: Job,
        step: int,
        iteration: int,
        picture: Tensor | None,
        terms: Mapping[str, float],
    ) -> None:
        """Tell each."""
        for watcher in self.each:
            watcher.iterated(job, step, iteration, picture, terms)

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> Tensor:
        """Ask each, with the latent as the one before left it."""
        for watcher in self.each:
            changed = watcher.stepped(job, step, latent, denoised, picture)
            latent = changed if self.heeded and changed is not None else latent
        return latent

    def answered(self) -> None:
        """Tell each."""
        for watcher in self.each:
            watcher.answered()

    def finished(self, result: Result) -> None:
        """Tell each."""
        for watcher in self.each:
            watcher.finished(result)


class Stopping(Watcher):
    """Stops rows where others are stopped, and looks at nothing.

    Args:
        others: who says so.
    """

    def __init__(self, others: Watcher) -> None:
        self.others = others

    @property
    def stopped(self) -> bool:
        """Whether the others are."""
        return self.others.stopped
