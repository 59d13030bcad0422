"""Grids: two axes over any option, a cell for each pair of values.

Values that a job may have of its own (prompt, emotion, seed, ...) are jobs of one run; all others
are arms. Cells that ask for the same are one picture.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.data import job_entry
from muse.data.axes import Axis
from muse.data.jobs import OWN, job_name, read_job
from muse.sampling import Sampler
from muse.studies.file import Arm
from muse.studies.keys import unlike

OF_JOBS = ("prompt", "emotion", "seed", *OWN)
"""What a job says itself."""
PRESET = "preset"
OPTIONS = tuple(inspect.signature(Sampler).parameters)
"""Of the sampler; those of its parts follow after a dot."""
SHARED = (*OF_JOBS, *(name for name in OPTIONS if name not in OF_JOBS))
AXES = (*OF_JOBS, PRESET, *SHARED[len(OF_JOBS) :])
ALIASES = {"guidance": "guidance_scale", "config": PRESET}
PLAIN = ("plain", "none")
"""An emotion that is none."""
NOTHING = {name: 1 / len(EMOTIONS) for name in EMOTIONS}
"""The target of a plain picture, which nothing reads: no emotion more than another."""
MOST = 10_000
"""Cells."""


@dataclass(frozen=True)
class Cell:
    """One picture that is wanted: a job, and the arm that makes it."""

    arm: Arm
    job: Job


@dataclass(frozen=True, eq=False)
class Grid:
    """What is asked for.

    Attributes:
        x: what changes across.
        y: what changes down; None is a single row.
        common: what all cells share, as it was told.
        cells: row by row.
        arms: each once.
    """

    x: Axis
    y: Axis | None
    common: Mapping[str, str]
    cells: Sequence[Sequence[Cell]]
    arms: Sequence[Arm]

    @classmethod
    def read(
        cls, x: Axis, y: Axis | None, common: Mapping[str, str], config: Sequence[str] = ()
    ) -> Grid:
        """Check what somebody asks for, and name the cells; nothing is loaded.

        Args:
            x, y: the axes.
            common: option -> value, for all cells: of jobs, of the sampler, of its parts.
            config: presets or files for `muse fit-free`, each laid over the ones before.

        Raises:
            MuseError: an option that isn't one, or is told twice; too many cells; a value that no
                job may have.
        """
        axes = [replace(axis, name=_option(axis.name, AXES)) for axis in (x, y) if axis is not None]
        shared: dict[str, str] = {}
        for given, value in common.items():
            name = _option(given, SHARED)
            if name in shared:
                raise MuseError(f"{name} is given twice, by two names. Leave one out.")
            shared[name] = value
        names = [axis.name for axis in axes]
        if names[1:] == names[:1]:
            raise MuseError(f"Both axes go over {names[0]}. Choose another option for one of them.")
        for name in names:
            if name in shared or (name == PRESET and config):
                option = "config" if name == PRESET else name
                raise MuseError(f"{name} is an axis, and --{option} is given too. Leave one out.")
        if "prompt" not in (*names, *shared):
            raise MuseError("There is no prompt. Say what the pictures show, or make it an axis.")
        across, down = axes[0].values, axes[1].values if y is not None else ("",)
        if len(down) * len(across) > MOST:
            raise MuseError(
                f"{len(down)} x {len(across)} cells are too many. Use {MOST:,} at most."
            )
        arms: dict[Any, Arm] = {}
        cells = [
            [_cell(dict(zip(names, pair, strict=False)), shared, config, arms) for pair in row]
            for row in ([(value, below) for value in across] for below in down)
        ]
        arms_of = list(arms.values())
        return cls(axes[0], axes[1] if y is not None else None, shared, cells, arms_of)

    def jobs(self, arm: Arm) -> list[Job]:
        """What an arm makes, each picture once."""
        found = {c.job.id: c.job for row in self.cells for c in row if c.arm is arm}
        return list(found.values())

    @property
    def rows(self) -> tuple[str, ...]:
        """The values that go down, an empty one where there is a single row."""
        return self.y.values if self.y is not None else ("",)

    @property
    def title(self) -> str:
        """The prompt, where there is one; else what changes."""
        axes = self.x.name if self.y is None else f"{self.x.name}, {self.y.name}"
        return self.common.get("prompt", axes)

    def places(self) -> Iterator[tuple[int, int, Cell]]:
        """Row, column and cell, row by row."""
        for number, row in enumerate(self.cells):
            yield from ((number, column, cell) for column, cell in enumerate(row))


def generate_words(cell: Cell) -> list[str]:
    """The words of a command line of `muse generate` that makes a cell's picture alone."""
    arm, job = cell.arm, job_entry(cell.job)
    words = [job["prompt"], "--seed", str(job["seed"])]
    if arm.emotion:
        weights = job["emotion"]
        mixture = ",".join(f"{name}:{weight!r}" for name, weight in weights.items())
        words += ["--emotion", mixture if len(weights) > 1 else next(iter(weights))]
    words += [word for file in arm.config for word in ("--config", file)]
    words += [f"--{name}={value}" for name, value in arm.options.items()]
    own = {name: job[name] for name in OWN if name in job}
    return words + [f"--{n}={v if isinstance(v, str) else json.dumps(v)}" for n, v in own.items()]


def _option(name: str, known: Sequence[str]) -> str:
    """The name of an option as it is checked and shown."""
    name = ALIASES.get(name, name)
    first, dot, _ = name.partition(".")
    if name not in known and not (dot and first in OPTIONS and first not in OF_JOBS):
        raise MuseError(unlike("option", name, known, "a grid"))
    return name


def _cell(
    axes: Mapping[str, str], common: Mapping[str, str], config: Sequence[str], arms: dict[Any, Arm]
) -> Cell:
    """A cell, of one of the `arms`, or of another that is then one of them."""
    said = {**common, **axes}
    preset = said.pop(PRESET, None)
    job: dict[str, Any] = {name: said.pop(name) for name in OF_JOBS if name in said}
    steered = job.get("emotion", PLAIN[0]).lower() not in PLAIN
    if not steered:
        if "intensity" in job and "emotion" not in axes:
            raise MuseError("intensity is that of an emotion. Say which: --emotion awe.")
        job = {**{name: v for name, v in job.items() if name != "intensity"}, "emotion": NOTHING}
    # A part before what is in it: naming the part takes away what was said of it.
    options = dict(sorted(said.items(), key=lambda option: option[0].count(".")))
    files = tuple(config or ["default"]) if preset is None else (preset,)
    own = [f"{name}={value}" for name, value in axes.items() if name not in OF_JOBS]
    name = ", ".join(own + ([] if steered else [PLAIN[0]])) or "steered"
    arm = Arm(name, files, options, emotion=steered)
    arm = arms.setdefault((files, tuple(options.items()), steered), arm)
    return Cell(arm, _job({"seed": "0", **job}))


def _job(entry: Mapping[str, Any]) -> Job:
    """A job whose name tells what it is, and is no other's."""
    job = read_job(entry, Path(), 0)
    told = json.dumps({**job_entry(job), "id": None}, sort_keys=True)
    target = {} if job.target == NOTHING else dict(job.target or {})
    name = job_name(job.prompt, target, job.intensity)[:87]
    return replace(job, id=f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:6]}")
