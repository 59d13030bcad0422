"""What a study found, as tables: arms are rows, metrics columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from muse.metrics import Estimate, Measured
from muse.metrics.bootstrap import RESAMPLES, SET_RESAMPLES, difference_name, ratio_name
from muse.report.evaluation import cell
from muse.studies.arms import COSTS
from muse.studies.measuring import Found

STAR = "*"
NO_COST = "nan"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: over it.
        show: how a mean is written.
        kind: ``metric``, ``rank`` or ``cost``.
    """

    name: str
    show: str
    kind: str


@dataclass(frozen=True)
class Table:
    """Numbers of arms over some jobs.

    Attributes:
        title: which jobs.
        columns: what stands over the numbers.
        pictures: arm -> how many it has for these jobs.
        cells: arm -> a number for each column; None where there is none to speak of.
        stars: arm -> the columns of judges that also guided it.
    """

    title: str
    columns: list[Column]
    pictures: dict[str, int]
    cells: dict[str, list[Estimate | None]]
    stars: dict[str, set[str]]

    def text(self, arm: str, column: int) -> str:
        """A cell in words: ``95.0% [92.1, 97.5] *``."""
        about, estimate = self.columns[column], self.cells[arm][column]
        if about.kind == "cost":
            return NO_COST if estimate is None else f"{estimate.mean:{about.show}}"
        told = cell(estimate, about.show)
        return f"{told} {STAR}" if told != "-" and about.name in self.stars[arm] else told


def tables(found: Found) -> list[Table]:
    """All jobs, and each group of them; then what the arms differ by from the one that they are
    compared with.
    """
    parts = found.evaluation.parts()
    named = [(f"All {len(parts['overall']['all'])} jobs", parts["overall"]["all"])]
    named += [(f"{name}: {len(rows)} jobs", rows) for name, rows in parts["groups"].items()]
    compared = [_compared(found, parts["overall"]["all"])] if len(found.arms) > 1 else []
    return [*(_table(found, title, rows) for title, rows in named), *compared]


def _table(found: Found, title: str, rows: Sequence[int]) -> Table:
    columns, cells = [], {arm: list[Estimate | None]() for arm in found.arms}
    for measured in found.evaluation.measured:
        columns.append(Column(measured.metric.name, measured.metric.show, "metric"))
        summary = found.evaluation.summary(measured, rows)
        for arm, row in cells.items():
            row.append(summary.get(arm))
    for name in found.ranks:
        columns.append(Column(f"{name}: judges' mean rank", ".2f", "rank"))
        ranks = found.rank(name, rows)
        for arm, row in cells.items():
            row.append(ranks[arm])
    columns += [Column(name, ".1f", "cost") for name in COSTS]
    pictures = {arm: found.count(arm, rows) for arm in cells}
    for arm, row in cells.items():
        row += [_cost(mean, pictures[arm]) for mean in found.cost(arm, rows).values()]
    return Table(title, columns, pictures, cells, {arm: set(found.guided[arm]) for arm in cells})


def _cost(mean: float, count: int) -> Estimate | None:
    return Estimate(mean, math.nan, math.nan, count) if math.isfinite(mean) else None


def _compared(found: Found, rows: Sequence[int]) -> Table:
    """Differences to the arm that others are compared with, and ratios where they mean something,
    over the pictures that both have.
    """
    base, arms = found.evaluation.base, [arm for arm in found.arms if arm != found.evaluation.base]
    columns, cells = [], {arm: list[Estimate | None]() for arm in arms}
    for measured in found.evaluation.measured:
        summary = found.evaluation.summary(measured, rows)
        for column, name in _comparisons(measured):
            columns.append(column)
            for arm, row in cells.items():
                row.append(summary.get(name(arm, base, len(found.arms))))
    stars = {arm: set(found.guided[arm]) for arm in arms}
    pictures = {arm: found.count(arm, rows) for arm in arms}
    return Table(f"Compared with {base}", columns, pictures, cells, stars)


def _comparisons(measured: Measured) -> list[tuple[Column, Any]]:
    metric = measured.metric
    show = f"+{metric.show.lstrip('+')}"
    kept = Column(f"{metric.name}, kept", ".1%", "metric")
    both = [(Column(metric.name, show, "metric"), difference_name), (kept, ratio_name)]
    return both if metric.relative else both[:1]


def remarks(found: Found) -> list[str]:
    """What a reader of the tables must know."""
    evaluation, lines = found.evaluation, []
    prompts = len({record["prompt"] for record in found.records})
    lines.append(f"{len(found.records)} jobs of {prompts} prompts, {len(found.arms)} arms.")
    lines += found.remarks
    few = {arm: found.count(arm, range(len(found.records))) for arm in found.arms}
    lines += [
        f"Arm {arm!r} has {count} pictures." for arm, count in few.items()
        if count < len(found.records)
    ]  # fmt: skip
    lines.append(f"In brackets: 95 % intervals, {RESAMPLES:,} bootstrap samples of whole prompts.")
    if any(measured.metric.of_sets for measured in evaluation.measured):
        lines.append(f"Numbers of whole sets have {SET_RESAMPLES} samples.")
    lines += [line for measured in evaluation.measured for line in evaluation.remarks(measured)]
    if any(found.guided.values()):
        lines.append("* also guided this arm: it measures what steering aimed at.")
    if found.ranks:
        of = "; ".join(f"{name} by {', '.join(found.study.ranks[name])}" for name in found.ranks)
        lines.append(f"Judges' mean rank stands in for people's, 1 is best: {of}.")
        for name, ranks in found.ranks.items():
            ranked = int(np.isfinite(next(iter(ranks.values()))).sum())
            if ranked < len(found.records):
                lines.append(f"{name}: ranks of {ranked} jobs, of which every arm has a number.")
    lines.append(
        "Means a picture: gradients are evaluations of the denoiser with gradient, evaluations all "
        "of them (a guided prediction is two), seconds what a clock told."
    )
    if evaluation.unreadable:
        lines.append(f"{len(evaluation.unreadable)} pictures can't be read and are left out:")
        lines += evaluation.unreadable
    if evaluation.idle:
        lines.append(f"These apply to none of the pictures: {', '.join(evaluation.idle)}.")
    return lines
