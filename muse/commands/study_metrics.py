"""What a study is measured by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from muse.commands.evaluate import MINI, metrics_parser, parse
from muse.core.types import MuseError
from muse.metrics import Metric
from muse.presets import sections
from muse.studies import ArmPictures, Study
from muse.studies.runner import Run


def metrics_of(
    told: Study,
) -> tuple[list[Metric], dict[str, Mapping[str, Any]], Callable[[str], str] | None]:
    """The metrics, the judges that they ask by their name, and the groups of prompts.

    Raises:
        MuseError: a list that isn't there, a metric that can't be had, or a name of one that ranks
            or figures ask for and that isn't measured.
    """
    parser = metrics_parser()
    listed: list[Any] = []
    said: dict[str, Any] = {}
    for part in told.metrics:
        if isinstance(part, Path) and not part.is_file():
            raise MuseError(f"There is no list of metrics {str(part)!r}. See {MINI}.")
        read = sections(str(part)) if isinstance(part, Path) else {"metrics": [part]}
        listed += read.get("metrics") or []
        said |= {"groups": read["groups"]} if read.get("groups") else {}
    given = parse(parser, ["--config", json.dumps({**said, "metrics": listed})])
    made = parser.instantiate(given)
    settings = [metric.as_dict().get("init_args") or {} for metric in given.metrics]
    pairs = zip(made.metrics, settings, strict=True)
    judges = {metric.name: said["judge"] for metric, said in pairs if said.get("judge")}
    _check(told, made.metrics)
    return made.metrics, judges, made.groups


def enough(
    metrics: Sequence[Metric], plans: Sequence[Run | ArmPictures]
) -> tuple[list[Metric], list[str]]:
    """The metrics that take no more different pictures than an arm will have, and what to tell of
    the others.
    """
    counts = [len(p.jobs) if isinstance(p, Run) else len({*p.files.values()}) for p in plans]
    most = max(counts)
    lines = [
        f"{metric.name} is left out: it takes {metric.fewest} different pictures or more, and an "
        f"arm has {most} at most."
        for metric in metrics
        if metric.fewest > most
    ]
    return [metric for metric in metrics if metric.fewest <= most], lines


def _check(told: Study, metrics: Sequence[Metric]) -> None:
    """Refuse names of metrics that aren't there, or can't rank, before anything is made."""
    names = [metric.name for metric in metrics]
    ranked = [name.removeprefix("-") for of in told.ranks.values() for name in of]
    drawn = [name for figure in told.figures for name in figure.get("metrics", ())]
    for name in (*ranked, *drawn):
        if name not in names:
            raise MuseError(
                f"{told.file.name} asks for the metric {name!r}. Measured are: {', '.join(names)}."
            )
    for metric in metrics:
        if metric.of_sets and metric.name in ranked:
            raise MuseError(
                f"{told.file.name} ranks by {metric.name!r}, which is a number of whole sets. Rank "
                "by one of each picture."
            )
