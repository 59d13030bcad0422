"""The progress bar of a run: rows done, sampling steps, inner iterations."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from muse.core.results import Progress


class RowProgress(Progress):
    """A bar on the terminal, counted up by `Sampler.sample`; a context manager.

    Args:
        rows: how many pictures will be made.
        steps: sampling steps of each.
        visible: False shows nothing (other devices' bars).
        each: called after every round too.
    """

    def __init__(
        self,
        rows: int,
        steps: int,
        visible: bool = True,
        each: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.each = each
        self.total = rows
        self.bar = Bar(
            TextColumn("[bold]{task.fields[done]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[work]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not visible,
        )
        self.task = self.bar.add_task("", total=rows * steps, done=self._done(), work="")

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

    def changed(self) -> None:
        """Draw what has been done."""
        self.each()
        work = f"{self.steps} steps, {self.iterations} inner iterations"
        self.bar.update(self.task, completed=self.steps, done=self._done(), work=work)

    def _done(self) -> str:
        return f"{self.rows}/{self.total} pictures"
