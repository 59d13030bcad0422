"""The progress bar of a run: rows done, sampling steps, inner iterations."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from torch import Tensor

from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Denoised
from muse.core.watching import Watcher


class RowProgress(Watcher):
    """A bar on the terminal, a watcher; a context manager.

    Args:
        rows: how many pictures will be made.
        steps: sampling steps of all of them.
        visible: False shows nothing (other devices' bars).
    """

    def __init__(self, rows: int, steps: int, visible: bool = True) -> None:
        self.total = rows
        self.rows = self.steps = self.iterations = 0
        self.bar = Bar(
            TextColumn("[bold]{task.fields[done]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[work]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not visible,
        )
        self.task = self.bar.add_task("", total=steps, done=self._done(), work="")

    def __enter__(self) -> RowProgress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def iterated(
        self,
        job: Job,
        step: int,
        iteration: int,
        picture: Tensor | None,
        terms: Mapping[str, float],
    ) -> None:
        """Count what an optimiser step led to."""
        self.iterations += iteration > 0

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> None:
        """Count it."""
        self.steps += 1

    def answered(self) -> None:
        """Draw what has been done."""
        work = f"{self.steps} steps, {self.iterations} inner iterations"
        self.bar.update(self.task, completed=self.steps, done=self._done(), work=work)

    def finished(self, result: Result) -> None:
        """Count it, and draw."""
        self.rows += 1
        self.answered()

    def _done(self) -> str:
        return f"{self.rows}/{self.total} pictures"
