"""The task of `muse fit-free`: pictures of jobs, without fitting anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import yaml

from muse.core.jobs import Job
from muse.core.pictures import open_picture
from muse.core.types import MuseError
from muse.core.watching import Watcher, Watchers
from muse.data import Jobs
from muse.report.summary import ReportedRun
from muse.runs import Sink, Tickets, make
from muse.runs.deciding import described
from muse.runs.records import Record
from muse.sampling import Sampler
from muse.sampling.slots import Slots, meter_of
from muse.tasks.progress import RowProgress
from muse.tasks.workers import Workers

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""Lightning's precisions that leave the weights of all parts in the dtype that they were loaded in.
"""
ENOUGH = 16
"""Jobs for each slot of each process, from which on it matters little who ends last."""


class FitFree(L.LightningModule):
    """Makes the pictures of jobs, the plain one beside each, and writes a folder about them.

    A prediction task for Lightning, which brings devices and precision. Its one batch is the list
    of all jobs, in every process: they share the work by tickets (`muse.runs.tickets`), and the
    folder tells what is done, so that the same command goes on with a run that was interrupted.

    Args:
        output_dir: the folder to write; a run that it holds goes on.
        overwrite: replace another run in that folder.
        retry_failed: try jobs again that failed before.
        plain: make each job's plain twin too: the same noise, no emotion.
        slots: how many pictures share a model call, or ``auto``: as many as fit into memory. It
            changes memory and speed, not pictures; where memory runs out, it is halved.
        watchers: who looks on, such as one that writes how a picture takes shape.
        sampler: the parts and options of `muse.sampling.sampler.Sampler`.

    Raises:
        MuseError: slots below 1, or what `Sampler` refuses; in the run, a precision that would cast
            all weights, or jobs that the parts can't do.
    """

    def __init__(
        self,
        output_dir: str = "outputs/run",
        overwrite: bool = False,
        retry_failed: bool = False,
        plain: bool = True,
        slots: int | Literal["auto"] = 16,
        watchers: list[Watcher] | None = None,
        **sampler: Any,
    ) -> None:
        super().__init__()
        Slots(slots)
        self.sampler = Sampler(**sampler)
        self.parts = sampler
        self.sink: Sink = ReportedRun(Path(output_dir), overwrite, retry_failed)
        self.plain = plain
        self.slots: int | Literal["auto"] = slots
        self.watchers = list(watchers or [])
        self.config: str | None = None
        self.notes: list[str] = []
        self.stopped: KeyboardInterrupt | None = None
        self.records: list[Record] = []
        self.tickets = Tickets()

    def on_predict_start(self) -> None:
        """Check the run as a whole, and open its folder; or join a run that another process has
        opened.
        """
        if torch.is_inference_mode_enabled():
            raise MuseError("Steering needs gradients. Use Trainer(inference_mode=False).")
        if self.trainer.precision not in PRECISIONS:  # guide and S would be cast, SDXL overflow
            raise MuseError(
                f"precision = {self.trainer.precision!r} is not allowed. Use one of "
                f"{', '.join(PRECISIONS)}. For smaller weights, give the backbone's option dtype: "
                "bfloat16 or float16."
            )
        strategy = self.trainer.strategy
        if isinstance(strategy, Workers):
            self.tickets = strategy.tickets()
        jobs = self._data().jobs
        if self.tickets.rank == 0:
            self._open(jobs)
        elif self.tickets.wait_until_open():
            self._check(jobs)  # prompts get encoded
            self.sink.join(jobs, self._config())
        else:
            raise SystemExit(2)  # the first process tells why

    def _open(self, jobs: Sequence[Job]) -> None:
        well = False
        try:
            self._check(jobs)
            self.sink.open(jobs, self._config(), repeatable=self.config is not None)
            for line in self._data().notes:
                self._note(line)
            well = True
        finally:
            self.tickets.opened(well)

    def transfer_batch_to_device(
        self, batch: list[Job], device: torch.device, dataloader_idx: int
    ) -> list[Job]:
        """Jobs hold no tensors."""
        return batch

    def predict_step(self, batch: list[Job], batch_idx: int) -> None:
        """Make what falls to this process and write each picture as it is done; after Ctrl-C or
        SIGTERM what is finished stays.
        """
        try:
            self._make(self._work(batch))
        except KeyboardInterrupt as stopped:
            self.stopped = stopped
            if self.tickets.rank > 0:
                self.tickets.finish()  # so that the first process waits no longer

    def on_predict_end(self) -> None:
        """Sum the run up."""
        if self.tickets.lost:
            print(
                f"muse: note: The process that hands out jobs is gone. Process {self.tickets.rank} "
                "has finished what it held; the same command makes the rest.",
                file=sys.stderr,
            )
        if self.trainer.is_global_zero:
            self.records = self.sink.close(self.sampler.backbone)

    def _make(self, work: Sequence[Job]) -> None:
        """Make what is to do of `work`, shared with other processes; and at the end what those
        left that have died.
        """
        others = self.tickets.processes - 1
        slots = Slots(self.slots, meter_of(self.device), self._note)
        if others and len(work) < ENOUGH * (1 + others) * slots.rows:
            slots.ahead = 1  # what one holds, another may wait for
        self.sink.made_by = self._made_by()
        first = self.trainer.is_global_zero
        left = self._left(work) if first else []
        common = len(self.sampler.setup.grid)
        steps = sum(common if job.steps is None else job.steps for job in left)
        with RowProgress(len(left), steps, first) as progress:
            watchers = (self.tickets, progress, Watchers(self.watchers, heeded=False))
            drawn = takewhile(lambda number: number < len(work), self.tickets)
            make(self.sampler, (work[number] for number in drawn), self.sink, slots, watchers)
            gone = self.tickets.finish()
            if gone:
                names = ", ".join(map(str, gone))
                self._note(f"Nothing more was heard of process {names}: its jobs are made here.")
            if first and others:
                make(self.sampler, work, self.sink, slots, watchers)

    def _left(self, work: Sequence[Job]) -> list[Job]:
        """What of `work` is to do; what is there is told."""
        left = [job for job in work if self.sink.todo(job)]
        if len(left) < len(work):
            self._note(f"{len(work) - len(left)} of {len(work)} pictures are there already.")
        for line in self.sink.remarks():
            self._note(line)
        return left

    def _work(self, jobs: Sequence[Job]) -> list[Job]:
        """All that the run makes for `jobs`, the same list in every process: of as many prompts at
        a time as are kept encoded first the plain twins, then the jobs.
        """
        wanted = {self.sink.twins.of[job.id] for job in jobs} if self.plain else set()
        twins = [twin for twin in self.sink.twins.jobs if twin.id in wanted]
        prompts, room = dict.fromkeys(job.prompt for job in jobs), self.sampler.prompts.room
        portion = {prompt: number // room for number, prompt in enumerate(prompts)}
        return sorted([*twins, *jobs], key=lambda job: portion[job.prompt])  # else as they were

    def _config(self) -> dict[str, Any]:
        if self.config is None:
            return {**described(self.parts), "trainer": {"precision": self.trainer.precision}}
        return dict(yaml.safe_load(self.config))

    def _made_by(self) -> dict[str, Any]:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        processes = {"process": self.tickets.rank, "processes": self.tickets.processes}
        return {"device": name, "slots": self.slots, **processes}

    def _data(self) -> Jobs:
        data: Any = self.trainer.datamodule
        assert isinstance(data, Jobs)
        return data

    def _check(self, jobs: Sequence[Job]) -> None:
        """Refuse prompts that the backbone can't encode (the negative one too; of the prompts as
        many as are kept for the run, a later one fails its jobs alone), jobs with a picture where
        none is read, jobs without one where one is, files that are no pictures, and masks that
        don't fit; pass on what there is to remark about settings, prompts and pictures.
        """
        for line in self.notes:
            self._note(line)
        latents, backbone = self.sampler.latents, self.sampler.backbone
        others, encoded = self.sampler.answers.steering.prompts, self.sampler.prompts
        prompts = dict.fromkeys(text for job in jobs for text in (job.prompt, *others(job)))
        with self.trainer.precision_plugin.predict_step_context():  # as they are encoded in the run
            for count, prompt in enumerate(prompts):
                if count < encoded.room:
                    encoded(prompt)
            if self.sampler.setup.guidance.reads_null:
                encoded(self.sampler.setup.negative_prompt, negative=True)
        for line in self.sampler.remarks(prompts):
            self._note(line)
        for job in jobs:
            if job.image is not None and not backbone.reads_pictures:
                raise MuseError(
                    f"Job {job.id!r} has an image, but {type(backbone).__name__} has points, not "
                    "pictures. Leave the image column out, or use a backbone with pictures."
                )
            if job.image is not None and not latents.needs_picture:
                raise MuseError(
                    f"Job {job.id!r} has an image, but {type(latents).__name__} starts from noise. "
                    "Use --model.latents DDIMInversion to edit."
                )
            if job.image is None and latents.needs_picture:
                raise MuseError(
                    f"Job {job.id!r} has no image, but {type(latents).__name__} starts from one. "
                    "Add an image column, or use --model.latents GaussianNoise."
                )
            if job.mask is not None and backbone.has_points:
                raise MuseError(
                    f"Job {job.id!r} has a mask, but {type(backbone).__name__} has points, not "
                    "pictures. Leave the mask out, or use a backbone with pictures."
                )
        for image in dict.fromkeys(job.image for job in jobs if job.image is not None):
            self._note(self.sink.remark(open_picture(image), self.sampler.setup.size))
        for job in {(job.mask, job.image, job.size): job for job in jobs if job.mask}.values():
            latents.mask_of(job, job.size or self.sampler.setup.size)

    def _note(self, line: str | None) -> None:
        if line and self.trainer.is_global_zero:
            print(f"muse: note: {line}", file=sys.stderr)
