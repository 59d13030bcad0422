"""confusion.png: what each judge reads in the pictures of each target."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from muse.core.emotions import COLORS, EMOTIONS, WHEEL
from muse.metrics.bootstrap import Values
from muse.metrics.evaluation import Evaluation, Measured
from muse.report.contact_sheet import FAINT, INK

SHADES = LinearSegmentedColormap.from_list("muse", ["#ffffff", "#9db8dc", "#2c4a7c"])
COLUMNS = 3


def confusion_counts(evaluation: Evaluation, judge: Measured) -> dict[str, dict[str, int]]:
    """How often a judge reads each emotion: target -> emotion read -> steered pictures, and
    ``plain`` -> emotion read -> plain pictures, each of these once for every job that it stands
    for.
    """
    found = arm_counts(evaluation, judge, evaluation.shown)
    if evaluation.base in judge.readings:
        found[evaluation.base] = _count(judge.readings[evaluation.base])
    return found


def arm_counts(evaluation: Evaluation, judge: Measured, arm: str) -> dict[str, dict[str, int]]:
    """How often a judge reads each emotion in the pictures of one arm: target -> emotion read ->
    pictures.
    """
    targets = evaluation.parts()["emotions"]
    unread = np.full((len(evaluation.run.records), len(EMOTIONS)), np.nan)
    readings = judge.readings.get(arm, unread)  # none, where none of its pictures can be read
    return {name: _count(readings[rows]) for name, rows in targets.items()}


def _count(readings: Values) -> dict[str, int]:
    known = readings[np.isfinite(readings).all(-1)]
    counts = np.bincount(known.argmax(-1), minlength=len(EMOTIONS))
    return {name: int(counts[EMOTIONS.index(name)]) for name in WHEEL}


def confusion(evaluation: Evaluation) -> Figure | None:
    """Draw target against reading, a panel for each judge, in per cent of the target's pictures.

    Emotions stand in the wheel's order, so that what lies beside the diagonal are neighbours,
    the corners included. The last line is the plain model. Returns None where no judge was asked.
    """
    judges = [measured for measured in evaluation.measured if measured.readings]
    if not judges:
        return None
    columns = min(COLUMNS, len(judges))
    lines = -(-len(judges) // columns)
    tables = [confusion_counts(evaluation, judge) for judge in judges]
    height = 0.36 * len(tables[0]) + 1.3
    figure = Figure(figsize=(4.6 * columns, height * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, judge, table in zip(grid, judges, tables, strict=False):
        _panel(axes, judge, table)
    for axes in grid[len(judges) :]:
        axes.set_axis_off()
    return figure


def _panel(axes: Axes, judge: Measured, table: dict[str, dict[str, int]]) -> None:
    counts = np.array([[row[name] for name in WHEEL] for row in table.values()], dtype=float)
    share = 100 * counts / np.maximum(counts.sum(-1, keepdims=True), 1)
    axes.imshow(share, cmap=SHADES, vmin=0, vmax=100, aspect="auto")
    for i, j in np.ndindex(share.shape):
        if counts[i, j]:
            color = "white" if share[i, j] > 55 else INK
            axes.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.set_xticks(range(len(WHEEL)), WHEEL, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(table)), list(table), fontsize=8)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_color(COLORS.get(label.get_text(), FAINT))
    axes.set_xticks(np.arange(len(WHEEL) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(table) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="#efeff2", linewidth=0.8)
    if "plain" in table:
        axes.axhline(len(table) - 1.5, color=INK, linewidth=1.2)
    axes.tick_params(which="both", length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    name = f"{judge.metric.name} (also guided)" if judge.guided else judge.metric.name
    axes.set_title(name, fontsize=10, loc="left", color=INK)
    axes.set_ylabel("target", fontsize=8, color=FAINT)
    axes.set_xlabel("read, % of the line", fontsize=8, color=FAINT)
