"""What an arm has to show: a picture for each job, and how it came to be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.metrics import FinishedRun
from muse.runs.records import Layout, Record, each_record, read_config
from muse.sampling.arithmetic import Arithmetic
from muse.studies.file import Arm

COSTS = ("gradients", "evaluations", "GFLOP", "seconds")


@dataclass(frozen=True, eq=False)
class ArmPictures:
    """The pictures of an arm.

    Attributes:
        arm: whose.
        folder: where they lie.
        files: job id -> picture.
        records: job id -> its record, without the trace; none of pictures made elsewhere.
        failed: job id -> why there is no picture.
        config: the resolved configuration of the run, empty where there is none.
        arithmetic: operations of each kind of pass, empty where they weren't counted.
        remarks: what to tell about them.
    """

    arm: Arm
    folder: Path
    files: Mapping[str, Path]
    records: Mapping[str, Record] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    arithmetic: Mapping[str, float] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    def guided_by(self, judge: Mapping[str, Any]) -> bool:
        """Whether this judge (its configuration) also guided the arm."""
        return FinishedRun(self.folder, [], 0, dict(self.config)).guided_by(judge)

    def cost(self, job: str) -> tuple[float, float, float, float]:
        """Of one picture: evaluations with gradient through the denoiser, all evaluations of it,
        thousands of millions of operations, and seconds; nan where no record tells.
        """
        record = self.records.get(job, {})
        cost = record.get("cost") or {}
        gradients = float(cost.get("gradients", math.nan))
        evaluations = gradients + float(cost.get("predictions", math.nan))
        operations = math.nan
        if cost and self.arithmetic:
            operations = Arithmetic(**self.arithmetic).of(cost) / 1e9
        return gradients, evaluations, operations, float(record.get("seconds", math.nan))


def counted(folder: Path) -> Path:
    """The file beside a run's folder with the operations of each kind of pass."""
    return folder.with_name(f"{folder.name}.arithmetic.json")


def run_pictures(
    arm: Arm, folder: Path, jobs: Mapping[str, str], config: Mapping[str, Any]
) -> ArmPictures:
    """The pictures that a run has left.

    Args:
        arm: whose.
        folder: of the run.
        jobs: study's job id -> the run's.
        config: the run's, resolved.
    """
    layout, found = Layout(folder), {}
    for record in each_record(folder, dict.fromkeys(jobs.values())):
        record.pop("trace", None)
        found[record["id"]] = record
    records = {job: found[name] for job, name in jobs.items() if name in found}
    done = {job: record for job, record in records.items() if record["status"] == "done"}
    failed = {job: str(r["reason"]) for job, r in records.items() if job not in done}
    files = {job: layout.picture(record["id"]) for job, record in done.items()}
    remarks = []
    if failed:
        names = _some(list(failed))
        remarks.append(f"Arm {arm.name!r}: {len(failed)} jobs failed ({names}).")
    file = counted(folder)
    arithmetic = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return ArmPictures(arm, folder, files, done, failed, config, arithmetic, remarks)


def finished_pictures(arm: Arm, folder: Path, jobs: Sequence[Job]) -> ArmPictures:
    """The pictures of a run that was made before, by the ids of its jobs.

    Raises:
        MuseError: jobs of the study that the run doesn't have.
    """
    names = {job.id: job.id for job in jobs}
    found = run_pictures(arm, folder, names, read_config(folder))
    missing = [name for name in names if name not in found.files and name not in found.failed]
    if missing:
        raise lacking(arm, missing, len(names), f"records of their ids in {str(folder)!r}")
    return found


def lacking(arm: Arm, missing: Sequence[str], of: int, looked: str) -> MuseError:
    """That an arm has no pictures for some jobs."""
    return MuseError(
        f"Arm {arm.name!r} has no pictures for {len(missing)} of {of} jobs: {_some(missing)}. "
        f"It looked for {looked}. Add them, or say with `names` which picture is whose."
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
