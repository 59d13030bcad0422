"""What `muse evaluate` found, as Markdown, CSV, JSON and a table for the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from muse.core.emotions import EMOTIONS
from muse.metrics.bootstrap import (
    RESAMPLES,
    SEED,
    SET_RESAMPLES,
    Estimate,
    difference_name,
    ratio_name,
)
from muse.metrics.evaluation import Evaluation, Measured
from muse.report.confusion import confusion_counts


def cell(estimate: Estimate | None, show: str) -> str:
    """``95.0% [92.1, 97.5]``; without the interval where there is none."""
    if estimate is None or not math.isfinite(estimate.mean):
        return "-"
    mean, low, high = (f"{x:{show}}" for x in (estimate.mean, estimate.low, estimate.high))
    if not math.isfinite(estimate.low):
        return mean
    return f"{mean} [{low.rstrip('%')}, {high.rstrip('%')}]"


def cells(evaluation: Evaluation, measured: Measured, rows: Sequence[int]) -> list[str]:
    """Of some records each arm's number, the differences and the ratios."""
    found = evaluation.summary(measured, rows)
    return [cell(found.get(name), show) for name, show in shows(evaluation, measured).items()]


def shows(evaluation: Evaluation, measured: Measured) -> dict[str, str]:
    """How each column's numbers are written: differences with their sign, ratios in per cent."""
    arms, base, own = list(evaluation.arms), evaluation.base, measured.metric.show
    differences = {difference_name(arm, base, len(arms)) for arm in arms}
    return {
        name: own if name in arms else f"+{own.lstrip('+')}" if name in differences else ".1%"
        for name in headings(evaluation)
    }


def headings(evaluation: Evaluation) -> dict[str, str]:
    """What stands over the columns, by the names of arms, differences and ratios."""
    arms, base = list(evaluation.arms), evaluation.base
    others = [arm for arm in arms if arm != base and base in arms]
    differences = {difference_name(arm, base, len(arms)): f"{arm} - {base}" for arm in others}
    ratios = {ratio_name(arm, base, len(arms)): f"{arm} / {base}" for arm in others}
    return {**{arm: arm for arm in arms}, **differences, **ratios}


def ratio_names(evaluation: Evaluation) -> set[str]:
    """The names of the ratios among the columns."""
    return {ratio_name(arm, evaluation.base, len(evaluation.arms)) for arm in evaluation.arms}


def tables(evaluation: Evaluation) -> list[Table]:
    """For the terminal: every metric over all pictures, and over each group; ratios are left to the
    report, so that lines stay short.
    """
    parts, ratios = evaluation.parts(), ratio_names(evaluation)
    found = []
    for name, rows in {**parts["overall"], **parts["groups"]}.items():
        table = Table(title=f"{name}: {len(rows)} pictures", title_justify="left", box=SIMPLE)
        table.title_style = "bold"
        table.add_column("metric", style="cyan", no_wrap=True)
        columns = [name for name in headings(evaluation) if name not in ratios]
        for name in columns:
            table.add_column(headings(evaluation)[name], justify="right")
        for measured in evaluation.measured:
            row = dict(zip(headings(evaluation), cells(evaluation, measured, rows), strict=True))
            table.add_row(measured.title, *(row[name] for name in columns))
        found.append(table)
    return found


def remarks(evaluation: Evaluation) -> list[str]:
    """What a reader of the tables must know."""
    run, lines = evaluation.run, []
    prompts = len({record["prompt"] for record in run.records})
    lines.append(f"{len(run.records)} pictures of {prompts} prompts.")
    if run.failed:
        lines.append(f"{run.failed} jobs failed and are left out.")
    if run.left:
        lines.append(f"{run.left} jobs of the run are not made yet: it has not come to its end.")
    lines.append(f"In brackets: 95 % intervals, {RESAMPLES:,} bootstrap samples of whole prompts.")
    if any(measured.metric.of_sets for measured in evaluation.measured):
        lines.append(f"Numbers of whole sets have {SET_RESAMPLES} samples.")
    lines += [line for measured in evaluation.measured for line in evaluation.remarks(measured)]
    if "plain" in evaluation.arms:
        lines.append("A plain picture counts once for every job that it stands for.")
    if any(measured.guided for measured in evaluation.measured):
        lines.append("* also guided this run: it measures what steering aimed at.")
    if not run.config and any(measured.readings for measured in evaluation.measured):
        lines.append("The run has no config.yaml, so no judge could be known as its guide.")
    if evaluation.unreadable:
        lines.append(f"{len(evaluation.unreadable)} pictures can't be read and are left out:")
        lines += evaluation.unreadable
    if evaluation.idle:
        lines.append(f"These apply to none of the pictures: {', '.join(evaluation.idle)}.")
    return lines


def markdown(evaluation: Evaluation, pictures: Mapping[str, str]) -> str:
    """The whole report; `pictures` are title -> file, relative to it."""
    parts = evaluation.parts()
    lines = [f"# Evaluation of {evaluation.run.folder.resolve().name}", ""]
    lines += [f"- {line}" for line in remarks(evaluation)]
    lines += ["", *_head("metric", evaluation)]
    for measured in evaluation.measured:
        lines.append(_line(measured.title, cells(evaluation, measured, parts["overall"]["all"])))
    for measured in evaluation.measured:
        lines += ["", f"## {measured.title}", "", *_head("pictures", evaluation)]
        for part in parts.values():
            for name, rows in part.items():
                found = cells(evaluation, measured, rows)
                lines.append(_line(f"{name} ({len(rows)})", found))
    for title, name in pictures.items():
        lines += ["", f"## {title}", "", f"![{title}]({name})"]
    return "\n".join(lines) + "\n"


def _head(first: str, evaluation: Evaluation) -> list[str]:
    columns = list(headings(evaluation).values())
    return [_line(first, columns), "|---" * (1 + len(columns)) + "|"]


def _line(first: str, rest: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in (first, *rest)) + " |"


def as_csv(evaluation: Evaluation) -> str:
    """One line for each record and arm: every metric's value and, of a judge, the emotion read
    and the probability of the target.
    """
    text = io.StringIO()
    columns = ["id", "arm", "prompt", "target", "group"]
    of_pictures = [measured for measured in evaluation.measured if not measured.metric.of_sets]
    for measured in of_pictures:
        name = measured.metric.name
        columns += [name, f"{name}: read", f"{name}: p_target"][: 3 if measured.readings else 1]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for index, record in enumerate(evaluation.run.records):
        about = [record["prompt"], evaluation.targets[index], evaluation.groups[index]]
        for arm, of in evaluation.arms.items():
            if of(record) is not None:
                line = [record["id"], arm, *about]
                for measured in of_pictures:
                    line += _values(measured, arm, index, record["target"])
                writer.writerow(line)
    return text.getvalue()


def _values(measured: Measured, arm: Any, index: int, target: Mapping[str, float]) -> list[str]:
    if arm not in measured.described:  # none of its pictures can be read
        return ["", "", ""][: 3 if measured.readings else 1]
    value = measured.values[arm][index]
    line = [f"{value:.6g}" if math.isfinite(value) else ""]
    if measured.readings:
        reading = dict(zip(EMOTIONS, measured.readings[arm][index].tolist(), strict=True))
        if not math.isfinite(reading[EMOTIONS[0]]):  # of a picture that can't be read
            return [*line, "", ""]
        line += [max(reading, key=lambda name: reading[name])]
        line += [f"{sum(reading[name] for name in target):.4f}"]
    return line


def as_json(evaluation: Evaluation) -> str:
    """The means and intervals of everything, and the judges' confusion counts (schema 1)."""
    run = evaluation.run
    found = {
        "schema": 1,
        "run": str(run.folder.resolve()),
        "config_digest": run.records[0]["config_digest"],
        "pictures": len(run.records),
        "failed": run.failed,
        "left": run.left,
        "bootstrap": {"over": "prompts", "resamples": RESAMPLES, "seed": SEED, "level": 0.95},
        "not_applicable": evaluation.idle,
        "unreadable": evaluation.unreadable,
        "metrics": [_metric(evaluation, measured) for measured in evaluation.measured],
    }
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _metric(evaluation: Evaluation, measured: Measured) -> dict[str, Any]:
    metric = measured.metric
    found: dict[str, Any] = {"name": metric.name, "show": metric.show, "guided": measured.guided}
    found["remarks"] = evaluation.remarks(measured)
    for kind, part in evaluation.parts().items():
        found[kind] = {
            name: {
                arm: _estimate(estimate)
                for arm, estimate in evaluation.summary(measured, rows).items()
            }
            for name, rows in part.items()
        }
    found["overall"] = found["overall"]["all"]
    if measured.readings:
        found["confusion"] = confusion_counts(evaluation, measured)
    return found


def _estimate(estimate: Estimate) -> dict[str, float | int | None]:
    values = asdict(estimate).items()
    return {key: value if math.isfinite(value) else None for key, value in values}
