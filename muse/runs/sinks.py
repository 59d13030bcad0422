"""The one way to make pictures: jobs -> sampler -> a sink."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import takewhile
from typing import Any, ClassVar

from muse.backbones import Backbone
from muse.core.jobs import Job
from muse.core.pictures import Picture
from muse.core.results import Result
from muse.core.watching import Watcher, Watchers
from muse.data import plain_twins
from muse.runs.records import Record
from muse.sampling import Sampler
from muse.sampling.slots import Slots


class Sink(ABC):
    """Where pictures go: a folder (`muse.runs.RunFolder`), a file, memory.

    Attributes:
        jobs: all jobs of the run.
        twins: their plain twins.
        made_by: what makes it and decides no pixels, for the records.
        takes_parts: whether pictures are taken whose rows were stopped on their way.
    """

    takes_parts: ClassVar[bool] = False

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.twins = plain_twins([])
        self.made_by: Mapping[str, Any] = {}

    def open(self, jobs: Sequence[Job], config: Mapping[str, Any], repeatable: bool) -> None:
        """Begin a run, or go on with one.

        Args:
            jobs: of this start.
            config: the resolved configuration.
            repeatable: whether that is a file for `muse fit-free`.

        Raises:
            MuseError: pictures can't go there.
        """
        self.join(jobs, config)

    def join(self, jobs: Sequence[Job], config: Mapping[str, Any]) -> None:
        """Take part in a run that another process has opened."""
        self.jobs, self.twins = list(jobs), plain_twins(jobs)

    def todo(self, job: Job) -> bool:
        """Whether a job, or plain twin, is to be made."""
        return True

    @abstractmethod
    def save(self, result: Result, backbone: Backbone) -> None:
        """Take what came of a job, or of a plain twin.

        Args:
            result: its picture, or why there is none.
            backbone: draws it.

        Raises:
            MuseError: it couldn't be written.
        """

    def close(self, backbone: Backbone) -> list[Record]:
        """End the run, and return the records of its jobs without what is long."""
        return []

    def remarks(self) -> list[str]:
        """What to tell about pictures that are there already, a line each, once `todo` was asked
        about all.
        """
        return []

    def release(self) -> None:  # noqa: B027  (few hold anything)
        """Let other processes write there."""

    def remark(self, source: Picture, size: tuple[int, int]) -> str | None:
        """What to tell about a picture that is edited at `size`, if anything."""
        return None


class Memory(Sink):
    """Keeps results.

    Attributes:
        results: job id -> what came of it.
    """

    takes_parts: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, Result] = {}

    def save(self, result: Result, backbone: Backbone) -> None:
        """Keep it."""
        self.results[result.job.id] = result


def make(
    sampler: Sampler,
    jobs: Iterable[Job],
    sink: Sink,
    slots: int | Slots = 8,
    watchers: Sequence[Watcher] = (),
) -> None:
    """Make what is to do of some jobs.

    Args:
        sampler: makes the pictures.
        jobs: drawn one by one, as others end.
        sink: says what is to do, and takes what comes.
        slots: how many pictures share a model call.
        watchers: who looks on.

    Raises:
        MuseError: what the sink couldn't take; out of memory with a single picture.
    """
    looking = Watchers(watchers)
    wanted = takewhile(lambda job: sink.takes_parts or not looking.stopped, jobs)
    with closing(sampler.sample(filter(sink.todo, wanted), slots, [looking])) as results:
        for result in results:
            if result.whole or result.failure or sink.takes_parts:
                sink.save(result, sampler.backbone)
