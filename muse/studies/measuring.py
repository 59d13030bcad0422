"""Measuring a study: every metric on every arm, what arms cost, and how judges rank them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.metrics import Estimate, Evaluation, FinishedRun, Measured, Metric, estimates, evaluate
from muse.metrics.bootstrap import Values
from muse.runs.records import Record
from muse.studies.arms import COSTS, ArmPictures
from muse.studies.file import Study


@dataclass(frozen=True, eq=False)
class Found:
    """A study, measured.

    Attributes:
        study: the study.
        arms: name -> its pictures.
        evaluation: of all arms on the study's jobs.
        guided: arm -> names of the judges that also guided it.
        ranks: column -> arm -> the mean rank of each job (N,).
        costs: arm -> (N, 4), as `COSTS` names them; nan where no record tells.
        remarks: what to tell of it.
    """

    study: Study
    arms: Mapping[str, ArmPictures]
    evaluation: Evaluation
    guided: Mapping[str, Collection[str]]
    ranks: Mapping[str, Mapping[str, Values]]
    costs: Mapping[str, Values]
    remarks: Sequence[str]

    @property
    def records(self) -> list[Record]:
        """What each job of the study wants: id, prompt, target, seed and image."""
        return self.evaluation.run.records

    def rank(self, column: str, rows: Sequence[int]) -> dict[str, Estimate]:
        """The mean rank of each arm over some jobs."""
        prompts = [self.records[i]["prompt"] for i in rows]
        values = {arm: ranks[rows] for arm, ranks in self.ranks[column].items()}
        return estimates(values, prompts, relative=False)

    def cost(self, arm: str, rows: Sequence[int]) -> dict[str, float]:
        """Means over the pictures of an arm, by the names in `COSTS`."""
        there = [i for i in rows if self.records[i]["id"] in self.arms[arm].files]
        found = self.costs[arm][there].mean(0) if there else np.full(len(COSTS), np.nan)
        return dict(zip(COSTS, map(float, found), strict=True))

    def count(self, arm: str, rows: Sequence[int]) -> int:
        """How many of some jobs an arm has pictures of."""
        return sum(self.records[i]["id"] in self.arms[arm].files for i in rows)


def measure(
    study: Study,
    folder: Path,
    jobs: Sequence[Job],
    arms: Sequence[ArmPictures],
    metrics: Sequence[Metric],
    judges: Mapping[str, Mapping[str, object]],
    groups: Callable[[str], str] | None = None,
    device: str = "cpu",
    remarks: Sequence[str] = (),
) -> Found:
    """Measure all arms.

    Args:
        study: the study.
        folder: where it lies.
        jobs: of the study.
        arms: their pictures.
        metrics: names differ.
        judges: metric -> the configuration of the judge that it asks, where it asks one.
        groups: prompt -> the name of its group.
        device: where the metrics compute.
        remarks: what there is to tell already.

    Raises:
        MuseError: no arm has a picture, and what `muse.metrics.evaluate` refuses.
    """
    if not any(pictures.files for pictures in arms):
        raise MuseError(f"No arm of {study.file.name} has a picture. The records say why.")
    run = FinishedRun(folder, [_record(job) for job in jobs], 0, {})
    of = {pictures.arm.name: _path(pictures) for pictures in arms}
    base = study.compare if study.compare in of else next(iter(of))
    evaluation = evaluate(run, metrics, (), groups, device, of, base)
    guided = {
        p.arm.name: {name for name, judge in judges.items() if p.guided_by(judge)} for p in arms
    }
    known = {measured.metric.name: measured for measured in evaluation.measured}
    ranks = {
        column: _ranks(evaluation, names, known)
        for column, names in study.ranks.items()
        if all(name.removeprefix("-") in known for name in names)
    }
    costs = {p.arm.name: np.array([p.cost(job.id) for job in jobs]) for p in arms}
    told = [*remarks, *(line for pictures in arms for line in pictures.remarks)]
    told += _missed(study, known)
    by_name = {pictures.arm.name: pictures for pictures in arms}
    return Found(study, by_name, evaluation, guided, ranks, costs, told)


def _record(job: Job) -> Record:
    image = None if job.image is None else str(job.image)
    target = dict(job.target or {})
    about = {"id": job.id, "prompt": job.prompt, "seed": job.seed}
    return {**about, "target": target, "intensity": job.intensity, "image": image}


def _path(pictures: ArmPictures) -> Callable[[Record], Path | None]:
    return lambda record: pictures.files.get(record["id"])


def _missed(study: Study, known: Collection[str]) -> list[str]:
    """Which ranks and panels of figures are left out, for want of a metric."""
    lines = []
    for column, names in study.ranks.items():
        missing = [n for name in names if (n := name.removeprefix("-")) not in known]
        if missing:
            lines.append(f"Rank {column!r} is left out: no {', '.join(missing)} is measured.")
    for figure in study.figures:
        missing = [name for name in figure.get("metrics", ()) if name not in known]
        if missing:
            told = f"Figure {figure['kind']!r} leaves out {', '.join(missing)}"
            lines.append(f"{told}, which isn't measured.")
    return lines


def _ranks(
    evaluation: Evaluation, names: Sequence[str], known: Mapping[str, Measured]
) -> dict[str, Values]:
    """The mean over some metrics of each arm's rank at each job, 1 the best, equal ones sharing
    the mean of their ranks; nan where an arm has no picture.
    """
    values = []
    for name in names:
        sign = -1.0 if name.startswith("-") else 1.0
        measured = known[name.removeprefix("-")]
        table = np.array([_scores(evaluation, measured, arm) for arm in evaluation.arms])
        values.append(_ranked(-sign * table))
    mean = np.mean(values, axis=0)
    return {arm: mean[number] for number, arm in enumerate(evaluation.arms)}


def _scores(evaluation: Evaluation, measured: Measured, arm: str) -> Values:
    """Of each picture what it is ranked by: of a judge the probability of the target."""
    missing = np.full(len(evaluation.run.records), np.nan)
    if not measured.readings:
        return measured.values.get(arm, missing)
    if arm not in measured.readings:
        return missing
    wanted = [[name in r["target"] for name in EMOTIONS] for r in evaluation.run.records]
    found: Values = (measured.readings[arm] * np.array(wanted, dtype=float)).sum(-1)
    return found


def _ranked(table: Values) -> Values:
    """Ranks of the rows in each column, (arms, N), from the least on; nan in columns with a gap."""
    above, here = table[:, None], table[None]
    less = (here < above).sum(1)
    same = (here == above).sum(1)
    ranks: Values = less + (same + 1) / 2
    ranks[:, ~np.isfinite(table).all(0)] = np.nan
    return ranks
