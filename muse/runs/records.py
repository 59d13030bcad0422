"""Records: how every picture came to be, as JSON that other programs read."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from muse.core.emotions import EMOTIONS, strongest
from muse.core.files import write_text
from muse.core.results import Result
from muse.core.types import MuseError

SCHEMA = 1

NEEDED = ("id", "prompt", "target", "status")
"""Keys without which a record is none."""
LONG = ("trace", "versions")
"""What is read one picture at a time, and not kept."""

Record: TypeAlias = dict[str, Any]
"""One picture's record. Keys of schema 1: id, prompt, target (name -> weight, null for a plain
picture), intensity (-1 to 1, null for a plain picture), seed, image, mask, status ("done" or
"failed"), reason, start_step (null: never), similarity, inherent, iterations, trace, probabilities,
plain (the twin's id), plain_probabilities, notes, seconds, cost (`muse.core.results.Cost`),
made_by, versions, config_digest. Readers ignore keys that they don't know."""


class Layout:
    """Where things lie in a run's folder.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.jobs = folder / "jobs.jsonl"
        self.settings = folder / "settings.json"
        self.images, self.plain = folder / "images", folder / "plain"
        self.records = folder / "records"
        self.plain_records = folder / "plain_records"
        self.results = folder / "results.csv"
        self.sheet = folder / "contact_sheet.png"
        self.traces = folder / "traces.png"
        self.samples = folder / "samples.png"
        self.evaluation = folder / "evaluation"

    def folders(self) -> tuple[Path, ...]:
        """What holds pictures and records."""
        return self.images, self.plain, self.records, self.plain_records

    def summaries(self) -> list[Path]:
        """The files that a run, and its evaluation, leave beside pictures and records."""
        evaluated = ["evaluation.md", "evaluation.csv", "evaluation.json", "confusion.png"]
        evaluated += ["best_and_worst.png"]
        found = [self.config, self.jobs, self.settings, self.results]
        found += [self.sheet, self.traces, self.samples]
        return found + [self.evaluation / name for name in evaluated]

    def picture(self, name: str, plain: bool = False) -> Path:
        """The picture of a job or, of that name, a plain twin."""
        return (self.plain if plain else self.images) / f"{name}.png"

    def record(self, name: str, plain: bool = False) -> Path:
        """Its record."""
        return (self.plain_records if plain else self.records) / f"{name}.json"


def make_record(
    result: Result,
    config_digest: str,
    plain: str | None = None,
    plain_probabilities: Mapping[str, float] | None = None,
    made_by: Mapping[str, Any] | None = None,
) -> Record:
    """The record of a result.

    Args:
        result: of a job, or of a plain twin.
        config_digest: of all that decides its pixels.
        plain: the name of its plain twin, where that is made.
        plain_probabilities: the twin's.
        made_by: what made it and decides no pixels: device, slots, process.
    """
    job, trace = result.job, result.trace
    return {
        "schema": SCHEMA,
        "id": job.id,
        "prompt": job.prompt,
        "target": None if job.target is None else dict(job.target),
        "intensity": trace.intensity,
        "seed": job.seed,
        "image": None if job.image is None else str(job.image),
        "mask": None if job.mask is None else str(job.mask),
        "status": "done" if result.failure is None else "failed",
        "reason": result.failure,
        "start_step": trace.start_step,
        "similarity": trace.similarity,
        "inherent": trace.inherent,
        "iterations": trace.iterations,
        "trace": trace.inner,
        "probabilities": result.probabilities,
        "plain": plain,
        "plain_probabilities": None if not plain_probabilities else dict(plain_probabilities),
        "notes": trace.notes,
        "seconds": round(result.seconds, 3),
        "cost": asdict(result.cost),
        "made_by": dict(made_by or {}),
        "versions": versions(),
        "config_digest": config_digest,
    }


@cache
def versions() -> dict[str, str]:
    """The versions that decide a picture's numbers."""
    found = {"python": platform.python_version()}
    for name in ("muse-emotion", "torch", "lightning", "diffusers", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_record(folder: Path, record: Record) -> None:
    """Write ``records/<id>.json``, or ``plain_records/<id>.json`` of a plain twin; numbers that are
    not finite become null.
    """
    text = json.dumps(_finite(record), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(Layout(folder).record(record["id"], record["target"] is None), text + "\n")


def read_records(folder: Path, ids: Iterable[str] | None = None) -> list[Record]:
    """The records of jobs in a run's folder: those named, where they are there, else all by name.

    Raises:
        MuseError: a record that is no JSON, or of a schema from the future.
    """
    return list(each_record(folder, ids))


def each_record(folder: Path, ids: Iterable[str] | None = None) -> Iterator[Record]:
    """As `read_records`, one at a time: traces are long."""
    layout = Layout(folder)
    found = sorted(layout.records.glob("*.json"))
    paths = found if ids is None else (layout.record(name) for name in ids)
    return (read_record(path) for path in paths if path.is_file())


def short_records(folder: Path, ids: Iterable[str]) -> Iterator[Record]:
    """The records of those jobs that have one, without what is `LONG`."""
    for record in each_record(folder, ids):
        yield {name: value for name, value in record.items() if name not in LONG}


def read_record(path: Path) -> Record:
    """One record.

    Raises:
        MuseError: no JSON, no record, or of a schema from the future.
    """
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("it is no object")
        newer = record.get("schema", 0) > SCHEMA
        missing = [name for name in NEEDED if name not in record]
        if missing and not newer:
            raise ValueError(f"it lacks {', '.join(missing)}")
    except ValueError as error:  # of JSON and of UTF-8, too
        raise MuseError(
            f"Record {str(path)!r} is damaged ({error}). Run the same command again: it makes the "
            "picture anew."
        ) from None
    if newer:
        raise MuseError(
            f"Record {str(path)!r} is of schema {record['schema']}; this muse reads up to "
            f"{SCHEMA}. Update muse."
        )
    return record


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved configuration of a run (config.yaml), empty where there is none.

    Raises:
        MuseError: it is damaged.
    """
    path = Layout(folder).config
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it has no keys with values")
    except (ValueError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise MuseError(
            f"{str(path)!r} is damaged ({told}). Remove it, or make the run again."
        ) from None
    return config


def read_listing(folder: Path) -> list[dict[str, Any]]:
    """The entries of jobs.jsonl, all jobs of a run; none where there is no such file.

    Raises:
        MuseError: it is damaged.
    """
    path = Layout(folder).jobs
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # no other mark ends a line of JSON
        entries = [json.loads(line) for line in lines if line]
        if not all(isinstance(entry, dict) and "id" in entry for entry in entries):
            raise ValueError("a line is no job with an id")
    except ValueError as error:  # of JSON and of UTF-8, too
        raise MuseError(
            f"{str(path)!r} is damaged ({error}). Choose another --output_dir, or remove it."
        ) from None
    return entries


def is_plain(target: Mapping[str, float] | None) -> bool:
    """Whether a target is none; all emotions alike, as of plain cells of a grid, are none too."""
    return not target or (len(target) == len(EMOTIONS) and len(set(target.values())) == 1)


def wants_less(record: Record) -> bool:
    """Whether less of the target was wanted: an intensity below 0."""
    return (record.get("intensity") or 0) < 0


def on_target(record: Record, probabilities: str = "probabilities") -> bool | None:
    """Whether the likeliest emotion is one that the job wanted (is none that it wanted less of);
    None where that isn't known.
    """
    if is_plain(record["target"]) or not record.get(probabilities):
        return None
    return (strongest(record[probabilities]) in record["target"]) != wants_less(record)


def target_probability(record: Record, probabilities: str = "probabilities") -> float | None:
    """The probability of the wanted emotions together; None where that isn't known."""
    if is_plain(record["target"]) or not record.get(probabilities):
        return None
    return float(sum(record[probabilities][name] for name in record["target"]))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
