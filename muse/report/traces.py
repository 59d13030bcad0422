"""traces.png: how the emotions moved while S was optimised, and when that began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from muse.core.emotions import COLORS, WHEEL, strongest
from muse.runs.records import Record

CURVES = (
    ("p_target", "target", None),
    ("p_inherent", "inherent", "#8e8e93"),
    ("p_similar", "similar", "#c7a27c"),
)


def traces(records: Iterable[Record]) -> Figure | None:
    """Draw a run: for each emotion the probabilities of the target, of the inherent and of the
    similar emotions against inner iterations (as the paper's Fig. 2; median and middle half of
    its rows), and the similarity to the prompt against steps, with the start of each row. Records
    are taken one by one, and only their curves are kept.

    Returns None where no row was steered.
    """
    steered = [_curves(record) for record in records if record["trace"].get("p_target")]
    if not steered:
        return None
    main = {id(r): strongest(r["target"]) for r in steered}
    groups = [(name, [r for r in steered if main[id(r)] == name]) for name in WHEEL]
    groups = [(name, rows) for name, rows in groups if rows]
    columns = min(4, len(groups))
    lines = -(-len(groups) // columns)
    looked = [record for record in steered if record["similarity"]]
    figure = Figure(figsize=(3.4 * max(columns, 2), 2.5 * (lines + bool(looked)) + 0.4))
    grid = figure.add_gridspec(lines + bool(looked), columns, hspace=0.55, wspace=0.22)
    first: Axes | None = None
    for index, (name, rows) in enumerate(groups):
        axes = figure.add_subplot(grid[index // columns, index % columns], sharey=first)
        first = first or axes
        _probabilities(axes, name, rows, index % columns == 0)
    handles = [swatch(color or "#1c1c1e", label) for _, label, color in CURVES]
    figure.legend(handles=handles, loc="upper right", ncols=3, frameon=False, fontsize=9)
    if looked:
        _similarity(figure.add_subplot(grid[lines, :]), looked)
    figure.subplots_adjust(left=0.07, right=0.985, top=0.9, bottom=0.1)
    return figure


def _curves(record: Record) -> Record:
    drawn = {key: np.array(record["trace"][key], dtype=np.float32) for key, _, _ in CURVES}
    kept = {name: record[name] for name in ("target", "start_step", "similarity")}
    return {**kept, "trace": drawn}


def _probabilities(axes: Axes, name: str, rows: Sequence[Record], first: bool) -> None:
    for key, _, color in CURVES:
        band(axes, [row["trace"][key] for row in rows], color or COLORS[name])
    axes.set_title(f"{name}  ({len(rows)})", fontsize=10, color=COLORS[name], loc="left")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("inner iterations", fontsize=8)
    if first:
        axes.set_ylabel("probability", fontsize=8)
    quiet(axes)


def _similarity(axes: Axes, rows: Sequence[Record]) -> None:
    for row in rows:
        color = COLORS[strongest(row["target"])]
        values = row["similarity"]
        axes.plot(range(len(values)), values, color=color, alpha=0.35, linewidth=0.9)
        if row["start_step"] is not None:
            axes.plot(row["start_step"], values[-1], "o", color=color, markersize=3.5)
    axes.set_title("similarity to the prompt until steering starts (dots)", fontsize=10, loc="left")
    axes.set_xlabel("sampling step", fontsize=8)
    axes.set_xlim(left=0)
    quiet(axes)


def band(axes: Axes, curves: Sequence[Sequence[float | None]], color: str) -> None:
    """Draw the median and the middle half of some rows' curves, where any of them has a number."""
    table = padded(curves)
    known = np.flatnonzero(np.isfinite(table).any(0))
    if len(known):
        low, middle, high = np.nanquantile(table[:, known], [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(known, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(known, middle, color=color, linewidth=1.6)


def padded(curves: Sequence[Sequence[float | None]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows end at different times: a finished one keeps its last value, (rows, longest); nan where
    there is none.
    """
    longest = max(len(curve) for curve in curves)
    rows = [[*curve, *[curve[-1]] * (longest - len(curve))] for curve in curves]
    return np.array(rows, dtype=float)


def quiet(axes: Axes) -> None:
    """Lines that stay behind what is drawn."""
    axes.tick_params(labelsize=7, color="#c7c7cc")
    axes.grid(color="#efeff2", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c7c7cc")


def swatch(color: str, label: str) -> Any:
    """A line of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, label=label, linewidth=2)
