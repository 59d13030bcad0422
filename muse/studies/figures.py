"""A study's figures, each written as a PNG: the paper's Figs. 2, 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from muse.core.emotions import COLORS, EMOTIONS, WHEEL
from muse.core.types import MuseError
from muse.metrics import ClipFeatures, Estimate, IntraClassVariance, Made, Metric
from muse.metrics.evaluation import CHUNK
from muse.report.contact_sheet import FAINT, INK
from muse.report.traces import CURVES, band, quiet, swatch
from muse.report.tsne import tsne
from muse.runs.finished import load
from muse.runs.records import Layout, read_record
from muse.studies.arms import ArmPictures
from muse.studies.measuring import Found

TARGET = "#2c4a7c"
MOST_POINTS = 3000
"""On a map: its cost grows with their square."""
TITLES = {
    "suppression": "The target, the inherent and the similar emotions while S is searched",
    "features": "What the pictures show, by CLIP's features",
    "against": "What is reached, against {option}",
}


def figures(found: Found, device: str = "cpu") -> dict[str, Figure]:
    """Draw what a study's file asks for.

    Args:
        found: the study.
        device: where CLIP computes.

    Returns:
        title -> figure; one that has nothing to show is left out.
    """
    drawn = {}
    for said in found.study.figures:
        kind = said["kind"]
        title = str(said.get("title") or TITLES[kind].format(**{"option": "", **said}))
        chosen = said.get("arms") or list(found.arms)
        arms = {name: found.arms[name] for name in chosen if name in found.arms}
        if kind == "suppression":
            figure = suppression(arms)
        elif kind == "features":
            figure = features(found, arms, str(said.get("clip", "muse-mini/clip")), device)
        else:
            figure = against(found, str(said["option"]), list(said["metrics"]))
        if figure is not None:
            drawn[title] = figure
    return drawn


def suppression(arms: Mapping[str, ArmPictures]) -> Figure | None:
    """The probabilities of the target, of the inherent and of the similar emotions against inner
    iterations, a panel for each arm (the paper's Fig. 2): median and middle half of its pictures.
    """
    rows = {name: _traces(pictures) for name, pictures in arms.items()}
    rows = {name: traces for name, traces in rows.items() if traces}
    if not rows:
        return None
    figure = Figure(figsize=(3.1 * len(rows) + 0.3, 3.1), layout="constrained")
    panels = figure.subplots(1, len(rows), squeeze=False, sharey=True)[0]
    for axes, (name, traces) in zip(panels, rows.items(), strict=True):
        for key, _, color in CURVES:
            band(axes, [trace[key] for trace in traces], color or TARGET)
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(f"{name}  ({len(traces)})", fontsize=10, loc="left", color=INK)
        axes.set_xlabel("inner iterations", fontsize=8, color=FAINT)
        quiet(axes)
    panels[0].set_ylabel("probability, by the guide", fontsize=8, color=FAINT)
    handles = [swatch(color or TARGET, label) for _, label, color in CURVES]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _traces(pictures: ArmPictures) -> list[dict[str, Any]]:
    layout = Layout(pictures.folder)
    names = dict.fromkeys(record["id"] for record in pictures.records.values())
    read = (read_record(layout.record(name))["trace"] for name in names)
    return [trace for trace in read if trace.get("p_target")]


def features(
    found: Found, arms: Mapping[str, ArmPictures], clip: str, device: str = "cpu"
) -> Figure | None:
    """The pictures of each arm on one map, t-SNE of CLIP's features, with their variance within an
    emotion (the paper's Fig. 4; `muse.metrics.IntraClassVariance`).
    """
    metric = IntraClassVariance(ClipFeatures(clip)).to(device).eval()
    some = {name: pictures for name, pictures in arms.items() if pictures.files}
    most = max(8, MOST_POINTS // max(len(some), 1))
    every = {name: _described(found, p, metric, most, device) for name, p in some.items()}
    described = {name: rows for name, rows in every.items() if len(rows)}
    if sum(map(len, described.values())) < 8:
        return None
    points = torch.cat([rows[:, 2:] for rows in described.values()])
    places = iter(tsne(points).split([len(rows) for rows in described.values()]))
    figure = Figure(figsize=(3.1 * len(described) + 0.3, 3.6), layout="constrained")
    panels = figure.subplots(1, len(described), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, rows) in zip(panels, described.items(), strict=True):
        x, y = next(places).T.numpy()
        colors = [COLORS[EMOTIONS[int(number)]] for number in rows[:, 1]]
        axes.scatter(x, y, s=14, c=colors, alpha=0.8, linewidths=0)
        variance = format(metric.sum_up(rows), metric.show)
        told = f"{name}\nvariance {variance}, {len(rows)} pictures"
        axes.set_title(told, fontsize=9.5, loc="left", color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        quiet(axes)
    handles = [swatch(COLORS[name], name) for name in WHEEL]
    columns = 8 if len(described) > 2 else 4
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
    return figure


@torch.no_grad()
def _described(
    found: Found, pictures: ArmPictures, metric: Metric, most: int, device: str
) -> Tensor:
    """As many of an arm's pictures, evenly from all, described."""
    there = [record for record in found.records if record["id"] in pictures.files]
    some = [there[i * len(there) // min(most, len(there))] for i in range(min(most, len(there)))]
    images = [(record, _image(pictures.files[record["id"]], device)) for record in some]
    made = [Made(r["prompt"], r["target"], image) for r, image in images if image is not None]
    parts = [metric.describe(made[i : i + CHUNK]) for i in range(0, len(made), CHUNK)]
    return torch.cat(parts) if parts else torch.empty(0, 2)


@lru_cache(maxsize=512)  # a plain picture stands for several jobs
def _image(path: Path, device: str) -> Tensor | None:
    """A picture; None of one that can't be read, which the tables name."""
    try:
        return load(path).to(device)
    except MuseError:
        return None


def against(found: Found, option: str, metrics: Sequence[str]) -> Figure | None:
    """Metrics against the number that an option has in each arm (the paper's Fig. 5), with their
    95 % intervals; None where fewer than two arms with pictures set it, or none of the metrics is
    measured.
    """
    at = {}
    for name, pictures in found.arms.items():
        options = pictures.arm.options
        value = options.get(option, options.get(f"model.{option}"))
        if pictures.files and isinstance(value, int | float) and not isinstance(value, bool):
            at[name] = float(value)
    known = {one.metric.name: one for one in found.evaluation.measured}
    measured = [known[name] for name in metrics if name in known]
    if len(at) < 2 or not measured:
        return None
    every = list(range(len(found.records)))
    figure = Figure(figsize=(5.6, 1.9 * len(measured) + 0.7), layout="constrained")
    panels = figure.subplots(len(measured), 1, squeeze=False, sharex=True)[:, 0]
    for axes, one in zip(panels, measured, strict=True):
        summary = found.evaluation.summary(one, every)
        order = sorted((name for name in at if name in summary), key=lambda name: at[name])
        percent = 100 if one.metric.show.endswith("%") else 1
        _line(axes, [at[name] for name in order], [summary[name] for name in order], percent)
        unit = ", %" if percent == 100 else ""
        axes.set_title(f"{one.metric.name}{unit}", fontsize=10, loc="left", color=INK)
        quiet(axes)
    panels[-1].set_xlabel(option, fontsize=9, color=FAINT)
    return figure


def _line(axes: Axes, x: Sequence[float], found: Sequence[Estimate], scale: float) -> None:
    mean, low, high = (
        scale * np.array([getattr(one, end) for one in found]) for end in ("mean", "low", "high")
    )
    axes.fill_between(x, low, high, color=TARGET, alpha=0.13, linewidth=0)
    axes.plot(x, mean, "o-", color=TARGET, linewidth=1.7, markersize=4.5)
