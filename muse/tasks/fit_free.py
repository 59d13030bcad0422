"""The task of `muse fit-free`: pictures of jobs, without fitting anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch

from muse.data import Jobs, plain_twins
from muse.jobs import Job
from muse.pictures import open_picture
from muse.records import Record
from muse.results import Result
from muse.sampler import Sampler
from muse.tasks.progress import RowProgress
from muse.tasks.run_folder import RunFolder
from muse.types import MuseError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""Lightning's precisions that leave the weights of all parts in the dtype that they were loaded in.
"""


class FitFree(L.LightningModule):
    """Makes the pictures of jobs, the plain one beside each, and writes a folder about them.

    A prediction task for Lightning, which brings devices and precision: its one batch is the
    list of a device's jobs.

    Args:
        output_dir: the folder to write.
        overwrite: replace another run in that folder.
        plain: make each job's plain twin too: the same noise, no emotion.
        slots: how many pictures share a model call; it changes memory and speed, not pictures.
        sampler: the parts and options of `muse.sampler.Sampler`.

    Raises:
        MuseError: slots below 1, or what `Sampler` refuses; in the run, a precision that would cast
            all weights, or jobs that the parts can't do.
    """

    def __init__(
        self,
        output_dir: str = "outputs/run",
        overwrite: bool = False,
        plain: bool = True,
        slots: int = 16,
        **sampler: Any,
    ) -> None:
        super().__init__()
        if slots < 1:
            raise MuseError(f"slots = {slots} is not allowed. Use 1 or more.")
        self.sampler = Sampler(**sampler)
        self.folder = RunFolder(Path(output_dir), overwrite)
        self.plain = plain
        self.slots = slots
        self.config: str | None = None
        self.notes: list[str] = []
        self.interrupted = False
        self.records: list[Record] = []

    def on_predict_start(self) -> None:
        """Check the run as a whole, and open its folder."""
        if torch.is_inference_mode_enabled():
            raise MuseError("Steering needs gradients. Use Trainer(inference_mode=False).")
        if self.trainer.precision not in PRECISIONS:  # guide and S would be cast, SDXL overflow
            raise MuseError(
                f"precision = {self.trainer.precision!r} is not allowed. Use one of "
                f"{', '.join(PRECISIONS)}. For smaller weights, give the backbone's option dtype: "
                "bfloat16 or float16."
            )
        jobs = self._jobs()
        self._check(jobs)
        if self.trainer.is_global_zero:
            self.folder.open(jobs, self.config)
        for line in self.trainer.datamodule.notes:
            self._note(line)
        self.folder.digest = self.trainer.strategy.broadcast(self.folder.digest)

    def transfer_batch_to_device(
        self, batch: list[Job], device: torch.device, dataloader_idx: int
    ) -> list[Job]:
        """Jobs hold no tensors."""
        return batch

    def predict_step(self, batch: list[Job], batch_idx: int) -> None:
        """Make the pictures of one device's jobs and write each as it is done; after Ctrl-C what
        is finished stays.
        """
        try:
            self._make(batch)
        except KeyboardInterrupt:
            self.interrupted = True

    def on_predict_end(self) -> None:
        """Sum the run up."""
        self.trainer.strategy.barrier()
        if self.trainer.is_global_zero:
            self.records = self.folder.close(self._jobs(), self.sampler.backbone)

    def _make(self, jobs: Sequence[Job]) -> None:
        twins = plain_twins(jobs if self.plain else [])
        backbone, plain = self.sampler.backbone, dict[str, Result]()
        rows, steps = len(twins.jobs) + len(jobs), len(self.sampler.setup.grid)
        with RowProgress(rows, steps, self.trainer.is_global_zero) as progress:
            for prompts in self._portions(jobs):
                some = (twin for twin in twins.jobs if twin.prompt in prompts)
                for result in self.sampler.sample(some, self.slots, progress):
                    plain[result.job.id] = result
                    self.folder.save(result, backbone)
                some = (job for job in jobs if job.prompt in prompts)
                for result in self.sampler.sample(some, self.slots, progress):
                    twin = plain.get(twins.of.get(result.job.id, ""))
                    self.folder.save(result, backbone, twin)

    def _portions(self, jobs: Sequence[Job]) -> Iterator[set[str]]:
        """The prompts of jobs, as many at a time as are kept encoded: twins and jobs share them."""
        prompts, room = list(dict.fromkeys(job.prompt for job in jobs)), self.sampler.prompts.room
        for first in range(0, len(prompts), room):
            yield set(prompts[first : first + room])

    def _jobs(self) -> list[Job]:
        data: Any = self.trainer.datamodule
        assert isinstance(data, Jobs)
        return data.jobs

    def _check(self, jobs: Sequence[Job]) -> None:
        """Refuse prompts that the backbone can't encode (the negative one too; of the prompts as
        many as are kept for the run, a later one fails its jobs alone), jobs with a picture where
        none is read, jobs without one where one is, and files that are no pictures; pass on what
        there is to remark about settings, prompts and pictures.
        """
        for line in self.notes:
            self._note(line)
        latents, backbone = self.sampler.latents, self.sampler.backbone
        prompts, encoded = dict.fromkeys(job.prompt for job in jobs), self.sampler.prompts
        with self.trainer.precision_plugin.predict_step_context():  # as they are encoded in the run
            for count, prompt in enumerate(prompts):
                if count < encoded.room:
                    encoded(prompt)
            if self.sampler.answers.guides_prompt:
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
        for image in dict.fromkeys(job.image for job in jobs if job.image is not None):
            self._note(self.folder.remark(open_picture(image), self.sampler.setup.size))

    def _note(self, line: str | None) -> None:
        if line and self.trainer.is_global_zero:
            print(f"muse: note: {line}", file=sys.stderr)
