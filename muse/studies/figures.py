"""A study's figures, each written as a PNG: the paper's Figs. 2, 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from muse.core.emotions import COLORS, EMOTIONS, WHEEL, strongest
from muse.core.types import MuseError
from muse.metrics import Estimate, Measured
from muse.pretrained.clip import as_clip
from muse.report.contact_sheet import FAINT, INK
from muse.report.traces import CURVES, padded, quiet, swatch
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

    Raises:
        MuseError: arms or metrics that aren't there.
    """
    drawn = {}
    for said in found.study.figures:
        kind = said["kind"]
        title = str(said.get("title", TITLES[kind].format(**{"option": "", **said})))
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
            table = padded([trace[key] for trace in traces])
            low, middle, high = np.nanquantile(table, [0.25, 0.5, 0.75], axis=0)
            k = np.arange(table.shape[1])
            axes.fill_between(k, low, high, color=color or TARGET, alpha=0.15, linewidth=0)
            axes.plot(k, middle, color=color or TARGET, linewidth=1.7)
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
    r"""The pictures of each arm on one map, t-SNE of CLIP's normalised features, with their
    variance within an emotion (the paper's Fig. 4).

    The variance is the mean over emotions and dimensions of :math:`\mathrm{Var}(E_I(image))`, times
    1,000: how the paper normalises it is not told.
    """
    some = {name: pictures for name, pictures in arms.items() if pictures.files}
    most = max(8, MOST_POINTS // max(len(some), 1))
    labels, parts = {}, {}
    for name, pictures in some.items():
        files, labels[name] = _pictures(found, pictures, most)
        parts[name] = _encoded(files, clip, device)
    points = torch.cat(list(parts.values())) if parts else torch.empty(0, 1)
    if len(points) < 8:
        return None
    places = iter(tsne(points).split([len(part) for part in parts.values()]))
    figure = Figure(figsize=(3.1 * len(parts) + 0.3, 3.6), layout="constrained")
    panels = figure.subplots(1, len(parts), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, part) in zip(panels, parts.items(), strict=True):
        x, y = next(places).T.numpy()
        colors = [COLORS[emotion] for emotion in labels[name]]
        axes.scatter(x, y, s=14, c=colors, alpha=0.8, linewidths=0)
        told = (
            f"{name}\nvariance {1000 * variance(part, labels[name]):.3f}e-3, {len(part)} pictures"
        )
        axes.set_title(told, fontsize=9.5, loc="left", color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        quiet(axes)
    handles = [swatch(COLORS[name], name) for name in WHEEL]
    columns = 8 if len(parts) > 2 else 4
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
    return figure


def variance(points: Tensor, labels: Sequence[str]) -> float:
    """The mean over classes and dimensions of the variance within a class of two or more."""
    of = [[i for i, label in enumerate(labels) if label == name] for name in EMOTIONS]
    found = [points[rows].var(0, unbiased=False).mean() for rows in of if len(rows) > 1]
    return float(torch.stack(found).mean()) if found else float("nan")


def _pictures(found: Found, pictures: ArmPictures, most: int) -> tuple[list[Path], list[str]]:
    """As many of an arm's pictures, evenly from all, and the emotion that each shall show."""
    there = [record for record in found.records if record["id"] in pictures.files]
    some = [there[i * len(there) // min(most, len(there))] for i in range(min(most, len(there)))]
    files = [pictures.files[record["id"]] for record in some]
    return files, [strongest(record["target"]) for record in some]


@torch.no_grad()
def _encoded(files: Sequence[Path], clip: str, device: str) -> Tensor:
    model = as_clip(clip).to(device).eval()
    made: dict[Path, Tensor] = {}
    for file in dict.fromkeys(files):
        found = model.image(load(file)[None].to(device))[0].double().cpu()
        made[file] = found / found.norm()
    return torch.stack([made[file] for file in files])


def against(found: Found, option: str, metrics: Sequence[str]) -> Figure | None:
    """Metrics against the number that an option has in each arm (the paper's Fig. 5), with their
    95 % intervals; None where fewer than two arms set it.
    """
    at = {}
    for name, pictures in found.arms.items():
        options = pictures.arm.options
        value = options.get(option, options.get(f"model.{option}"))
        if isinstance(value, int | float) and not isinstance(value, bool):
            at[name] = float(value)
    if len(at) < 2:
        return None
    every = list(range(len(found.records)))
    figure = Figure(figsize=(5.6, 1.9 * len(metrics) + 0.7), layout="constrained")
    panels = figure.subplots(len(metrics), 1, squeeze=False, sharex=True)[:, 0]
    order = sorted(at, key=lambda name: at[name])
    for axes, metric in zip(panels, metrics, strict=True):
        measured = _metric(found, metric)
        summary = found.evaluation.summary(measured, every)
        percent = 100 if measured.metric.show.endswith("%") else 1
        _line(axes, [at[name] for name in order], [summary[name] for name in order], percent)
        unit = ", %" if percent == 100 else ""
        axes.set_title(f"{metric}{unit}", fontsize=10, loc="left", color=INK)
        quiet(axes)
    panels[-1].set_xlabel(option, fontsize=9, color=FAINT)
    return figure


def _line(axes: Axes, x: Sequence[float], found: Sequence[Estimate], scale: float) -> None:
    mean, low, high = (
        scale * np.array([getattr(one, end) for one in found]) for end in ("mean", "low", "high")
    )
    axes.fill_between(x, low, high, color=TARGET, alpha=0.13, linewidth=0)
    axes.plot(x, mean, "o-", color=TARGET, linewidth=1.7, markersize=4.5)


def _metric(found: Found, name: str) -> Measured:
    for measured in found.evaluation.measured:
        if measured.metric.name == name:
            return measured
    known = ", ".join(measured.metric.name for measured in found.evaluation.measured)
    raise MuseError(f"A figure asks for the metric {name!r}, which is none of {known}.")
