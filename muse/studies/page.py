"""report.html: the whole study in one file, that asks nothing of any server."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from muse.core.emotions import COLORS, EMOTIONS, WHEEL, strongest, target_text
from muse.core.jobs import Job
from muse.core.pictures import open_picture
from muse.core.types import MuseError
from muse.metrics import Measured
from muse.report.confusion import arm_counts
from muse.runs.records import Record, versions
from muse.studies.arms import ArmPictures
from muse.studies.jobs import spreading
from muse.studies.measuring import Found
from muse.studies.tables import remarks, tables

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("elements.js", "results.js", "pictures.js", "dialog.js", "charts.js")
"""In the order that they need each other."""
SIDE = 256
"""Pixels of the longer side that pictures are shrunk to."""
ROOM = 8_000_000
"""Bytes that all pictures may take; a larger study shows the first jobs that `spreading` takes."""
KEPT = (
    *("id", "prompt", "target", "seed", "image", "start_step", "inherent", "iterations", "notes"),
    *("probabilities", "cost", "seconds", "made_by", "config_digest"),
)
"""Of a record, what the page shows."""


def page(found: Found, figures: Mapping[str, Path]) -> str:
    """The page, as HTML.

    Args:
        found: the study.
        figures: title -> PNG.
    """
    data = json.dumps(told(found, figures), ensure_ascii=False, allow_nan=False)
    parts = {
        "style": (FOLDER / "style.css").read_text(encoding="utf-8"),
        "script": "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS),
        "title": found.study.title.replace("&", "&amp;").replace("<", "&lt;"),
        "data": data.replace("<", "\\u003c"),  # nothing in it ends the element that it stands in
    }
    return filled("page.html", parts)


def filled(name: str, parts: Mapping[str, str]) -> str:
    """The page of that name, with its ``{{ parts }}`` in their places."""
    before, *rest = (FOLDER / name).read_text(encoding="utf-8").split("{{")
    return before + "".join(
        parts[part.strip()] + after for part, after in (text.split("}}", 1) for text in rest)
    )


def told(found: Found, figures: Mapping[str, Path]) -> dict[str, Any]:
    """What the page shows, for its script."""
    images = _Images(ROOM)
    shown = _shown(found, images)
    judges = [m for m in found.evaluation.measured if m.readings]
    every = list(range(len(found.records)))
    return {
        "title": found.study.title,
        "about": found.study.about,
        "remarks": remarks(found),
        "emotions": {name: COLORS[name] for name in WHEEL},
        "base": found.evaluation.base,
        "arms": [
            {
                "name": name,
                "words": " ".join(p.arm.words) if p.arm.folder is None else str(p.arm.folder),
                "prompt": p.arm.prompt,
                "emotion": p.arm.emotion,
                "guided": sorted(found.guided[name]),
                "pictures": found.count(name, every),
                "failed": len(p.failed),
            }
            for name, p in found.arms.items()
        ],
        "tables": [
            {
                "title": table.title,
                "columns": [vars(column) for column in table.columns],
                "rows": [
                    {
                        "arm": arm,
                        "pictures": table.pictures[arm],
                        "cells": [
                            _cell(estimate, table.text(arm, number))
                            for number, estimate in enumerate(cells)
                        ],
                    }
                    for arm, cells in table.cells.items()
                ],
            }
            for table in tables(found)
        ],
        "judges": [judge.metric.name for judge in judges],
        "confusion": {
            judge.metric.name: {
                arm: arm_counts(found.evaluation, judge, arm) for arm in judge.readings
            }
            for judge in judges
        },
        "jobs": [_job(found.records[i], images) for i in shown],
        "of": len(found.records),
        "shots": {
            name: {
                found.records[i]["id"]: _shot(found, judges, p, i, images)
                for i in shown
                if images.number(p.files.get(found.records[i]["id"])) is not None
            }
            for name, p in found.arms.items()
        },
        "images": images.encoded,
        "figures": [{"title": t, "src": _png(path)} for t, path in figures.items()],
        "versions": versions(),
    }


class _Images:
    """Pictures for the page, each once, as long as there is room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.encoded: list[str] = []
        self.numbers: dict[Path, int | None] = {}

    def add(self, paths: Sequence[Path]) -> bool:
        """Take some pictures together; False where they find no room any more."""
        new = [path for path in dict.fromkeys(paths) if path not in self.numbers]
        made = {path: small(path) for path in new}
        size = sum(len(one) for one in made.values() if one is not None)
        if size > self.room:
            return False
        self.room -= size
        for path, one in made.items():
            self.numbers[path] = None if one is None else len(self.encoded)
            if one is not None:
                self.encoded.append(f"data:image/webp;base64,{base64.b64encode(one).decode()}")
        return True

    def number(self, path: Path | None) -> int | None:
        return None if path is None else self.numbers.get(path)


def _shown(found: Found, images: _Images) -> list[int]:
    """The jobs whose pictures find room, prompts and emotions equally often."""
    jobs = [Job(r["id"], r["prompt"], r["target"], r["seed"]) for r in found.records]
    rows = []
    for number in spreading(jobs):
        record = found.records[number]
        paths = [p.files[record["id"]] for p in found.arms.values() if record["id"] in p.files]
        paths += [Path(record["image"])] if record["image"] else []
        if not images.add(paths):
            break
        rows.append(number)
    return sorted(rows)


def small(path: Path) -> bytes | None:
    """A picture, shrunk to 256 pixels, as WebP; None of one that can't be read."""
    try:
        image = open_picture(path).image
    except MuseError:
        return None
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(written := BytesIO(), "WEBP", quality=86, method=4)
    return written.getvalue()


def _job(record: Record, images: _Images) -> dict[str, Any]:
    source = images.number(Path(record["image"])) if record["image"] else None
    return {
        "id": record["id"],
        "prompt": record["prompt"],
        "target": target_text(record["target"]),
        "emotion": strongest(record["target"]),
        "source": source,
    }


def _shot(
    found: Found, judges: Sequence[Measured], pictures: ArmPictures, row: int, images: _Images
) -> dict[str, Any]:
    """A picture: its number, what judges read in it, its other values and its record."""
    job, arm = found.records[row], pictures.arm.name
    reads = {}
    for judge in judges:
        readings = judge.readings.get(arm, np.full((len(found.records), 1), np.nan))[row]
        if np.isfinite(readings).all():
            known = dict(zip(EMOTIONS, readings.tolist(), strict=True))
            read = max(known, key=lambda name: known[name])
            wanted = sum(known[name] for name in job["target"])
            reads[judge.metric.name] = [read, round(wanted, 3), read in job["target"]]
    values = {}
    for measured in found.evaluation.measured:
        value = measured.values.get(arm) if not measured.readings else None
        if value is not None and math.isfinite(value[row]):
            values[measured.metric.name] = _value(float(value[row]), measured.metric.show)
    record = pictures.records.get(job["id"], {})
    return {
        "image": images.number(pictures.files[job["id"]]),
        "reads": reads,
        "values": values,
        "record": {key: record[key] for key in KEPT if key in record},
    }


def _value(value: float, show: str) -> str:
    """A picture's own number; a share that is none or all is a yes or no."""
    return (
        ("no", "yes")[int(value)] if show.endswith("%") and value in (0, 1) else f"{value:{show}}"
    )


def _cell(estimate: Any, text: str) -> dict[str, Any]:
    ends = (None, None, None) if estimate is None else (estimate.mean, estimate.low, estimate.high)
    return {"text": text, "ends": [x if x is not None and math.isfinite(x) else None for x in ends]}


def _png(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
