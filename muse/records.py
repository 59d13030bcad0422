"""Records: how every picture came to be, as JSON that other programs read."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

from muse.emotions import strongest
from muse.files import write_text
from muse.results import Result
from muse.types import MuseError

SCHEMA = 1

Record: TypeAlias = dict[str, Any]
"""One picture's record. Keys of schema 1: id, prompt, target (name -> weight, null for a plain
picture), seed, image, status ("done" or "failed"), reason, start_step (null: never), similarity,
inherent, iterations, trace, probabilities, plain, plain_probabilities, notes, seconds, versions,
config_digest. Readers ignore keys that they don't know."""


def make_record(result: Result, config_digest: str, plain: Result | None = None) -> Record:
    """The record of a result, with those of its plain twin that matter beside it."""
    job, trace = result.job, result.trace
    return {
        "schema": SCHEMA,
        "id": job.id,
        "prompt": job.prompt,
        "target": None if job.target is None else dict(job.target),
        "seed": job.seed,
        "image": None if job.image is None else str(job.image),
        "status": "done" if result.failure is None else "failed",
        "reason": result.failure,
        "start_step": trace.start_step,
        "similarity": trace.similarity,
        "inherent": trace.inherent,
        "iterations": trace.iterations,
        "trace": trace.inner,
        "probabilities": result.probabilities,
        "plain": None if plain is None else plain.job.id,
        "plain_probabilities": None if plain is None else plain.probabilities,
        "notes": trace.notes,
        "seconds": round(result.seconds, 3),
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
    """Write ``records/<id>.json``; numbers that are not finite become null."""
    text = json.dumps(_finite(record), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / "records" / f"{record['id']}.json", text + "\n")


def read_records(folder: Path, ids: Sequence[str] | None = None) -> list[Record]:
    """The records in a run's folder: those named, where they are there, else all by name.

    Raises:
        MuseError: a record that is no JSON, or of a schema from the future.
    """
    paths = sorted((folder / "records").glob("*.json"))
    if ids is not None:
        paths = [folder / "records" / f"{name}.json" for name in ids]
    return [_read(path) for path in paths if path.is_file()]


def _read(path: Path) -> Record:
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise MuseError(f"Record {str(path)!r} is damaged ({error}). Make it again.") from None
    if record.get("schema", 0) > SCHEMA:
        raise MuseError(
            f"Record {str(path)!r} is of schema {record['schema']}; this muse reads up to "
            f"{SCHEMA}. Update muse."
        )
    return record


def on_target(record: Record, probabilities: str = "probabilities") -> bool | None:
    """Whether the likeliest emotion is one that the job wanted; None where that isn't known."""
    if not record["target"] or not record.get(probabilities):
        return None
    return strongest(record[probabilities]) in record["target"]


def target_probability(record: Record, probabilities: str = "probabilities") -> float | None:
    """The probability of the wanted emotions together; None where that isn't known."""
    if not record["target"] or not record.get(probabilities):
        return None
    return float(sum(record[probabilities][name] for name in record["target"]))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
