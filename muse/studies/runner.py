"""Making the pictures of arms: each a run of `muse fit-free` in a folder of its own."""

from __future__ import annotations

import gc
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from muse.core.files import as_yaml, make_folder, write_text
from muse.core.jobs import Job, safe_name
from muse.core.stopping import Terminated
from muse.core.types import MuseError
from muse.data import Jobs, write_jobs
from muse.presets import with_presets
from muse.presets.building import check, not_measured
from muse.runs import RunFolder
from muse.runs.deciding import Deciding
from muse.sampling import Sampler
from muse.sampling.arithmetic import Arithmetic, arithmetic
from muse.studies.arms import ArmPictures, counted, run_pictures
from muse.studies.file import Arm
from muse.studies.jobs import arm_jobs
from muse.tasks import FitFree, MuseTrainer

ONE = ("--model.slots=1", "--trainer.devices=1")
"""Where nothing else is said: seconds are then a picture's own, and a study that was killed ends
with the same table."""
LOADED = ("backbone", "guide", "similarity")
"""Parts that are loaded, which takes long."""
RETRY = "--model.retry_failed=true"
STOPPED = {130: KeyboardInterrupt, 143: Terminated}
"""Exit codes of a run that was stopped."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run that an arm asks for.

    Attributes:
        arm: whose.
        folder: of the run; that of another arm where both ask for the same.
        jobs: of the run.
        of: study's job id -> the run's.
        given: what the parser read.
        config: the same, resolved, as `muse fit-free` reads it.
    """

    arm: Arm
    folder: Path
    jobs: list[Job]
    of: Mapping[str, str]
    given: Namespace
    config: Mapping[str, Any]

    @property
    def left(self) -> int:
        """How many of its pictures are to be made."""
        sink = RunFolder(self.folder, retry_failed=self.given.model.retry_failed)
        sink.join(self.jobs, self.config)
        return sum(map(sink.todo, self.jobs))

    def pictures(self) -> ArmPictures:
        """What there is of it."""
        return run_pictures(self.arm, self.folder, self.of, self.config)


class Runner:
    """Reads what arms say, and makes their pictures.

    Each arm is a folder as `muse fit-free` writes it, known by a digest of its settings and jobs:
    arms that ask for the same share one, those of several studies too. On one device, one picture
    at a time, unless options say otherwise. Models that the next run needs too stay loaded.

    Args:
        folder: for runs.
        words: options for all arms, after their own.
        growing: whether a run takes further jobs later: it is then known by its settings alone.
    """

    def __init__(self, folder: Path, words: Sequence[str] = (), growing: bool = False) -> None:
        self.folder = folder
        self.growing = growing
        self.loaded: dict[str, tuple[str, Any]] = {}
        self.counted: dict[str, Arithmetic | None] = {}
        self.words = [word if word != "--retry_failed" else RETRY for word in words]
        self.folders: dict[str, Path] = {}
        self.parser = ArgumentParser(prog="muse study", exit_on_error=False)
        add = self.parser.add_argument
        add("--config", action=ActionConfigFile)
        self.parser.add_class_arguments(MuseTrainer, "trainer")
        self.parser.add_class_arguments(FitFree, "model", fail_untyped=False)
        for name in ("output_dir", "data", "retry_failed", "seed_everything"):
            add(f"--{name}", type=Any, default=None)  # files say them; here the study does

    def plan(self, arm: Arm, jobs: Sequence[Job], every: Sequence[Job]) -> Run:
        """What an arm asks for, checked as far as that goes without loading anything.

        Args:
            arm: the arm.
            jobs: of the study.
            every: all jobs of its file, where `jobs` are some.

        Raises:
            MuseError, argparse.ArgumentError: options that aren't any.
        """
        files = [word for file in arm.config for word in ("--config", file)]
        words = [*files, *ONE, *arm.changes, *self.words, "--model.plain=false"]
        given = self.parser.parse_args(with_presets(words, "default"))
        said: dict[str, Any] = yaml.safe_load(self.parser.dump(given, skip_unset=False))
        model = {k: v for k, v in said["model"].items() if k not in ("output_dir", "retry_failed")}
        check(model)
        config = {"trainer": said["trainer"], "model": model}
        wanted, of = arm_jobs(arm, jobs, every)
        whole, _ = arm_jobs(replace(arm, limit=None), every, every)
        settings, every_job = Deciding(config).settings, "" if self.growing else write_jobs(whole)
        key = json.dumps([settings, every_job], sort_keys=True)
        folder = self._folder(arm, hashlib.sha256(key.encode()).hexdigest()[:8])
        given.model.output_dir = str(folder)
        return Run(arm, folder, wanted, of, given, config)

    def _folder(self, arm: Arm, digest: str) -> Path:
        """Of the run of that digest, whichever arm asked for it first."""
        if digest not in self.folders:
            there = sorted(path for path in self.folder.glob(f"*-{digest}") if path.is_dir())
            self.folders[digest] = [*there, self.folder / f"{safe_name(arm.name)}-{digest}"][0]
        return self.folders[digest]

    def make(self, run: Run) -> None:
        """Make what is left of a run; nothing is loaded where nothing is.

        Raises:
            MuseError: what the run refuses.
            KeyboardInterrupt: it was stopped; what is finished stays.
        """
        if not run.left:
            return
        make_folder(self.folder)
        jobs = self.folder / f"{run.folder.name}.jsonl"
        write_text(jobs, write_jobs(run.jobs))
        trainer = run.given.trainer
        if (trainer.devices, trainer.num_nodes) == (1, 1):
            self._here(run, jobs)
        else:  # Lightning starts its further processes by the command line of this one
            self._apart(run, jobs)

    def release(self) -> None:
        """Let go of the models that are loaded."""
        self.loaded = {}
        _free()

    def _here(self, run: Run, jobs: Path) -> None:
        wanted = {name: json.dumps(run.config["model"][name], sort_keys=True) for name in LOADED}
        kept = {name: one for name, one in self.loaded.items() if one[0] == wanted[name]}
        if kept != self.loaded:
            self.loaded = kept  # before others are loaded beside them
            _free()
        given = run.given.clone()
        for name, (_, part) in kept.items():
            given.model[name] = part
        made = self.parser.instantiate(given)
        task = made.model
        self.loaded = {name: (wanted[name], task.parts[name]) for name in LOADED}
        task.config = as_yaml(dict(run.config))
        task.notes = not_measured(run.arm.config, task.sampler.backbone)
        self._count(run, task.sampler)
        made.trainer.fit_free(task, Jobs(jobs))
        stopped = task.stopped
        del made, task
        _free()
        if stopped is not None:
            raise stopped

    def _count(self, run: Run, sampler: Sampler) -> None:
        """Note what each kind of pass takes, once; nothing of a model that needs values for it."""
        file = counted(run.folder)
        if not sampler.backbone.reads_pictures or file.is_file():
            return
        key = json.dumps([self.loaded[name][0] for name in LOADED] + [sampler.setup.size])
        if key not in self.counted:
            self.counted[key] = None
            with suppress(Exception):  # whatever a model of the user's own does with no values
                self.counted[key] = arithmetic(sampler)
        found = self.counted[key]
        if found is not None:
            write_text(file, json.dumps(asdict(found)) + "\n")

    def _apart(self, run: Run, jobs: Path) -> None:
        config = self.folder / f"{run.folder.name}.yaml"
        write_text(config, as_yaml(dict(run.config)))
        words = [sys.executable, "-m", "muse.cli", "fit-free", "--config", str(config)]
        words += ["--output_dir", str(run.folder), "--data.jobs", str(jobs)]
        words += ["--retry_failed"] if run.given.model.retry_failed else []
        words += [f"--model.overwrite={json.dumps(run.given.model.overwrite)}"]
        code = subprocess.run(words, check=False).returncode
        if code in STOPPED:
            raise STOPPED[code]
        if code not in (0, 1):
            raise MuseError(f"its processes ended with {code}; see what they said above.")


def _free() -> None:
    """Give memory of the GPU back that nobody holds any more."""
    if torch.cuda.is_available():
        gc.collect()  # a model and its trainer know each other
        torch.cuda.empty_cache()
