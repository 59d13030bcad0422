"""The short forms: one picture into one file, by the options, the task and the trainer of
`muse fit-free`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from muse.backbones import Backbone
from muse.commands.lightning import quiet
from muse.core.emotions import strongest
from muse.core.files import as_yaml, make_folder, written
from muse.core.intensity import emotion_text
from muse.core.jobs import Job
from muse.core.masks import open_mask
from muse.core.pictures import Picture
from muse.core.results import Result
from muse.core.stopping import exit_code
from muse.core.types import MuseError
from muse.data import Jobs
from muse.presets import PRESETS, sections, with_presets
from muse.presets.building import not_measured
from muse.presets.examples import examples
from muse.runs import Deciding, Sink
from muse.runs.folder import save_picture
from muse.runs.records import Record, make_record, target_probability
from muse.tasks import FitFree, MuseTrainer

FOLDER_OPTIONS = {"output_dir", "overwrite", "retry_failed", "slots"}
"""Options of a run that one picture doesn't need."""
DEVICE_OPTIONS = {"accelerator", "precision"}
"""Options of the trainer that one picture needs."""


class ShortForm:
    """A command that makes one picture.

    Its options are those of `muse fit-free` without ``--model.`` in front (which may stand there),
    and a configuration file may be one for `muse fit-free`: its model counts, its jobs don't.

    Args:
        name: of the command.
        about: what it does, in a line.
        preset: its settings, where no file gives others.
    """

    def __init__(self, name: str, about: str, preset: str) -> None:
        quiet()
        self.preset = preset
        self.files: list[str] = []
        self.parser = ArgumentParser(prog=f"muse {name}", description=about, exit_on_error=False)
        add = self.parser.add_argument
        add("--seed", type=int, default=0, help="another number, another picture")
        add("--out", type=str | None, default=None, help="the PNG to write; made up if left out")
        presets, others = ", ".join(PRESETS), ", ".join(examples())
        described = f"a file as for muse fit-free, a preset: {presets}; or an example: {others}. "
        described += f"Without: {preset}"
        add("--config", action=ActionConfigFile, help=described)
        for_devices = {"strategy", "devices", "num_nodes", "callbacks"}
        self.parser.add_class_arguments(MuseTrainer, "trainer", skip=for_devices)
        self.names = self.parser.add_class_arguments(
            FitFree, skip=FOLDER_OPTIONS, fail_untyped=False
        )
        described = "a picture that is white where the emotion may act; everywhere if left out"
        add("--mask", type=str | None, default=None, help=described)
        self.parser.set_defaults(plain=False)  # it takes time, and one picture is what is asked for

    def parse(self, words: Sequence[str]) -> Namespace:
        """What the words after the command say."""
        found = with_presets([re.sub(r"^--model\.", "--", word) for word in words], self.preset)
        for i, after in enumerate([*found[1:], ""]):
            if found[i] == "--plain" and after.lower() not in ("true", "false"):
                found[i] = "--plain=true"  # a word alone is enough
        for i in range(1, len(found)):
            if found[i - 1] == "--config":
                self.files.append(found[i])
                found[i] = _model_of(found[i])
        return self.parser.parse_args(found)

    @staticmethod
    def mask(given: Namespace) -> Path | None:
        """The file that ``--mask`` names, if it does.

        Raises:
            MuseError: it can't be read as a picture.
        """
        if given.mask is None:
            return None
        path = Path(given.mask)
        open_mask(path)
        return path.resolve()

    def make(self, given: Namespace, job: Job, path: Path, source: Picture | None = None) -> int:
        """Make the job's picture, write it, and tell what came of it.

        Args:
            given: what `parse` returned.
            job: the picture to make.
            path: the file to write.
            source: the picture that is edited.

        Returns:
            the command's exit code.
        """
        made = self.parser.instantiate(given)
        task = FitFree(**{name: made[name] for name in self.names})
        size = task.sampler.setup.size
        if source is not None and task.sampler.backbone.reads_pictures:
            remark = source.remark(size)
            print(remark or f"{source.name} is of the model's size.")
        task.config = self.config_of(given)
        task.notes = not_measured(self.files, task.sampler.backbone)
        task.plain = task.plain and job.target is not None
        task.sink = sink = PictureFile(path, job, source, size)
        trainer = MuseTrainer(devices=1, **{name: given.trainer[name] for name in DEVICE_OPTIONS})
        begun = time.perf_counter()
        trainer.fit_free(task, OneJob(job))
        if task.stopped is not None:
            print("muse: error: Interrupted: no picture was written.", file=sys.stderr)
            return exit_code(task.stopped)
        [record] = task.records
        if record["status"] == "failed":
            print(f"muse: error: {record['reason']}", file=sys.stderr)
            return 1
        remedy = task.sampler.setup.timing.remedy
        twin = f" Its plain twin: {twin_of(path)}." if sink.has_twin else ""
        print(closing_line(record, path, time.perf_counter() - begun, remedy) + twin)
        return 0

    def config_of(self, given: Namespace) -> str:
        """What `parse` returned as a configuration file for `muse fit-free`, without jobs."""
        settings: dict[str, Any] = yaml.safe_load(self.parser.dump(given, skip_unset=False))
        model = {name: settings[name] for name in self.names} | {"plain": True}  # as a run has it
        for part in model.values():  # as in a file: a part without options has no list of them
            if isinstance(part, dict) and not part.get("init_args"):
                part.pop("init_args", None)
        precision = given.trainer.precision  # it decides pixels too
        trainer = {} if precision is None else {"trainer": {"precision": precision}}
        return yaml.safe_dump({"model": model, **trainer}, sort_keys=False)


class OneJob(Jobs):
    """A single job as the data of `FitFree`.

    Args:
        job: the job; without a target it is a plain picture.
    """

    def __init__(self, job: Job) -> None:
        L.LightningDataModule.__init__(self)
        self.jobs = [job]


class PictureFile(Sink):
    """Takes one picture, and writes it to a file, as far as it has come.

    Args:
        path: the file.
        job: whose picture it is; its plain twin, where there is one, goes into a file beside it.
        source: the picture that was edited, whose scale the new one gets.
        size: height and width that pictures are made at.
    """

    takes_parts: ClassVar[bool] = True

    def __init__(self, path: Path, job: Job, source: Picture | None, size: tuple[int, int]) -> None:
        super().__init__()
        self.file = path
        self.job = job
        self.source = source
        self.size = size
        self.config = ""
        self.made: Result | None = None
        self.twin: Result | None = None

    def open(self, jobs: Sequence[Job], config: Mapping[str, Any], repeatable: bool) -> None:
        """Take what decides the picture, which is written into it."""
        super().open(jobs, config, repeatable)
        self.config = as_yaml(dict(config))
        self.deciding = Deciding(config)

    def save(self, result: Result, backbone: Backbone) -> None:
        """Write the job's picture, or its twin's."""
        plain = result.job != self.job
        self.twin = result if plain else self.twin
        self.made = self.made if plain else result
        if result.image is None:
            return
        picture = backbone.render(result.image[0], result.path)
        if self.source is not None:
            picture = self.source.restored(picture, self.size)
            if result.job.mask is not None:
                picture = open_mask(result.job.mask).kept(picture, self.source, self.size)
        path = twin_of(self.file) if plain else self.file
        with written(f"the picture {str(path)!r}"):
            digest, settings = self.deciding.digest(result.job), self.deciding.settings
            save_picture(path, picture, result.job, digest, self.config, settings)

    def close(self, backbone: Backbone) -> list[Record]:
        """The job's record; there is nothing to sum up."""
        if self.made is None:
            return []
        twin = self.twin.job.id if self.has_twin and self.twin else None
        probabilities = self.twin.probabilities if self.twin else None
        digest = self.deciding.digest(self.job)
        return [make_record(self.made, digest, twin, probabilities)]

    @property
    def has_twin(self) -> bool:
        """Whether a plain twin was written too."""
        return self.twin is not None and self.twin.image is not None


def output_file(given: str | None, job: Job, plain: bool = False) -> Path:
    """Where the picture goes: the file given, or ``outputs/<id>-<seed>.png``; its folder is made.

    Args:
        given: by the user, if anything.
        job: whose picture it is.
        plain: whether its plain twin is written too (`twin_of`).

    Raises:
        MuseError: no name of a PNG, a folder, the picture that is edited, or a place that can't be
            written to.
    """
    path = Path(given or f"outputs/{job.id}-{job.seed}.png")
    if path.is_dir():
        raise MuseError(f"--out {given!r} is a folder. Name a file in it that ends in .png.")
    if path.suffix.lower() != ".png":
        raise MuseError(f"--out {given!r} is no name of a PNG. Use one that ends in .png.")
    _spare(path, job, f"--out {given!r}")
    if plain and job.target is not None:
        _spare(twin_of(path), job, f"The plain twin's file {str(twin_of(path))!r}")
    make_folder(path.parent, "--out")
    return path


def _spare(path: Path, job: Job, given: str) -> None:
    for read, what in ((job.image, "picture that is edited"), (job.mask, "mask")):
        if read is not None and path.exists() and path.samefile(read):
            raise MuseError(f"{given} is the {what}. Use another name for --out.")


def twin_of(path: Path) -> Path:
    """The file of the plain twin of the picture in `path`: ``dog-plain.png`` beside ``dog.png``."""
    return path.with_stem(f"{path.stem}-plain")


def closing_line(record: Record, path: Path, seconds: float, remedy: str) -> str:
    """Where the picture is, and how the guide reads it; `remedy` is the timing's."""
    after, before = target_probability(record), target_probability(record, "plain_probabilities")
    if after is None:
        name = strongest(record["probabilities"])
        p = record["probabilities"][name]
        return f"{path}: plain, {name} {p:.0%} by the guide, {seconds:.0f} s."
    if record["intensity"] == 0:
        how = "intensity 0, the plain picture"
    elif record["start_step"] is None:
        how = f"never steered: {remedy}"
    else:
        how = f"steered from step {record['start_step']}"
    was = "" if before is None else f"{before:.0%} -> "
    notes = f" {record['notes'][0]}." if record["notes"] else ""
    target = emotion_text(record["target"], record["intensity"])
    return f"{path}: {target} {was}{after:.0%} by the guide itself, {how}, {seconds:.0f} s.{notes}"


def _model_of(file: str) -> str:
    """What a file for `muse fit-free` says about model and devices, as JSON; any other stays for
    the parser to read or refuse.
    """
    said = sections(file)
    model, trainer = said.get("model") or {}, said.get("trainer") or {}
    if not {"model", "data"} & set(said) or not isinstance(model, dict):
        return file
    skipped = FOLDER_OPTIONS | {"plain"}  # a run has twins unless told otherwise; one picture asks
    kept = {name: value for name, value in model.items() if name not in skipped}
    devices = {name: value for name, value in trainer.items() if name in DEVICE_OPTIONS}
    return json.dumps({**kept, "trainer": devices} if devices else kept)
