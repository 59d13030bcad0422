"""Jobs from a file, or from lists of prompts and emotions; their names and seeds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count as numbers
from pathlib import Path
from typing import Any, TypeAlias

from muse.core.digests import file_digest, known_digest
from muse.core.intensity import check_intensity, parse_emotion
from muse.core.jobs import Job, derive_seed, safe_name
from muse.core.types import MuseError
from muse.data.entries import JobsFile, named

Emotion: TypeAlias = str | Mapping[str, float]
MOST_COPIES = 10_000
OWN = ("negative_prompt", "guidance_scale", "steps", "size", "intensity")
"""What a job may have of its own, in place of the run's."""
PICTURES = {"image": "picture", "mask": "mask"}
"""The columns that name a file, and what to call it."""


def cross(
    prompts: Sequence[str], emotions: Sequence[Emotion], seed: int, count: int = 1
) -> list[Job]:
    """Every prompt with every emotion, `count` different pictures of each."""
    wanted = [parse_emotion(emotion) for emotion in emotions]
    pairs = [(check_prompt(prompt), *emotion) for prompt in prompts for emotion in wanted]
    jobs: dict[str, Job] = {}
    for prompt, target, intensity in pairs:
        name, own = (
            unique_name(job_name(prompt, target, intensity), jobs),
            derive_seed(seed, prompt),
        )
        jobs[name] = Job(name, prompt, target, own, intensity=intensity)
    return with_copies((job, count) for job in jobs.values())


def read_jobs(path: Path, seed: int, emotions: Sequence[Emotion] = (), count: int = 1) -> list[Job]:
    """The jobs in a file, or in standard input (``-``).

    Args:
        path: the file.
        seed: the run's.
        emotions: for a file of prompts alone.
        count: how many pictures of a job that doesn't say it.
    """
    file = JobsFile.open(path)
    jobs: list[tuple[Job, int]] = []
    lines: dict[str, int] = {}
    for number, entry in _entries(file, emotions):
        with _at(file, number):
            job = read_job(entry, file.folder, seed, lines)
            if job.id in lines:
                raise MuseError(
                    f"id {job.id!r} stands in line {lines[job.id]} already. Give every job an id "
                    "of its own."
                )
            lines[job.id] = number
            jobs.append((job, check_count(entry.get("count"), count)))
    return with_copies(jobs)


def _entries(
    file: JobsFile, emotions: Sequence[Emotion]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if file.kind == ".txt" and not emotions:
        raise MuseError(
            f"{file.name} has prompts alone. Say with which emotions: "
            "--data.emotions '[awe, fear]'."
        )
    targets = [{"emotion": emotion} for emotion in emotions]
    for number, values in file.rows():
        with _at(file, number):
            entry = named(values)
        for target in targets if file.kind == ".txt" else [{}]:
            yield number, {**entry, **target}


@contextmanager
def _at(file: JobsFile, line: int) -> Iterator[None]:
    """Say where a mistake stands."""
    try:
        yield
    except MuseError as error:
        raise file.at(line, error) from None


def read_job(entry: Mapping[str, Any], folder: Path, seed: int, taken: Container[str] = ()) -> Job:
    """A job from its columns.

    Args:
        entry: column -> value, as a file has it.
        folder: where a picture's relative path begins.
        seed: the run's; a job without a seed of its own derives one.
        taken: names of other jobs: one that is made up differs from them.

    Raises:
        MuseError: a column that can't be read.
    """
    prompt, emotion = check_prompt(str(entry.get("prompt") or "")), entry.get("emotion")
    if not emotion or not isinstance(emotion, str | dict):
        raise MuseError(
            f"emotion {emotion!r} is not one. Give a name, or a mixture like awe:0.7,fear:0.3."
        )
    target, intensity = parse_emotion(emotion)
    settings = _settings(entry)
    if intensity is not None and settings.setdefault("intensity", intensity) != intensity:
        raise MuseError(
            f"intensity {settings['intensity']:g} stands beside emotion {emotion!r}. Say it once."
        )
    given = str(entry.get("id") or "").strip()
    name = _own_name(given) if given else unique_name(job_name(prompt, target, intensity), taken)
    own = check_seed(entry.get("seed"), derive_seed(seed, given or prompt))
    image, mask = (_picture(entry, column, folder) for column in PICTURES)
    return Job(name, prompt, target, own, image, mask=mask, **settings)


def _picture(entry: Mapping[str, Any], column: str, folder: Path) -> Path | None:
    """The file that a column names, if any."""
    given = str(entry.get(column) or "")
    if not given.strip():
        return None
    what = PICTURES[column]
    try:
        path = (folder / given).resolve()
        there = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, links in a circle
        shown = given if len(given) <= 60 else f"{given[:60]} ..."
        reason = getattr(error, "strerror", None) or error
        raise MuseError(
            f"the {what} {shown!r} is no path ({reason}). Save it as a file, and give its path."
        ) from None
    if not there:
        shown = str(path) if len(given) <= 255 else f"{given[:60]} ..."  # a data URL, say
        raise MuseError(f"there is no {what} at {shown!r}. Paths are relative to the file.")
    if entry.get(f"{column}_sha256") not in (None, "", file_digest(path)):
        raise MuseError(f"the {what} at {str(path)!r} has changed since this file was written.")
    return path


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry says of a job's own settings."""
    said = {name: entry[name] for name in OWN if entry.get(name) not in (None, "")}
    if "negative_prompt" in said:
        said["negative_prompt"] = str(said["negative_prompt"])
    if "steps" in said:
        said["steps"] = _whole("steps", said["steps"], 0)
        if said["steps"] < 1:
            raise MuseError(f"steps {said['steps']} is out of range. Use 1 or more.")
    if "guidance_scale" in said:
        given = said["guidance_scale"]
        try:
            said["guidance_scale"] = float(given)
        except (TypeError, ValueError, OverflowError):
            raise MuseError(f"guidance_scale {given!r} is not a number.") from None
        if not math.isfinite(said["guidance_scale"]):
            raise MuseError(f"guidance_scale {given!r} is not allowed. Use a finite number.")
    if "size" in said:
        said["size"] = _size(said["size"])
    if "intensity" in said:
        said["intensity"] = check_intensity(said["intensity"])
    return said


def _size(given: object) -> tuple[int, int]:
    """Height and width: ``[512, 768]``, or ``512x768``."""
    sides = given if isinstance(given, list) else re.split(r"\s*[x,]\s*", str(given).strip("[] "))
    if len(sides) != 2 or not all(str(side).strip().isdecimal() for side in sides):
        raise MuseError(f"size {given!r} is not one. Give height and width, such as 512x768.")
    return int(sides[0]), int(sides[1])


def check_prompt(given: str) -> str:
    """The prompt, without spaces around it; an empty one is a `MuseError`."""
    prompt = given.strip()
    if not prompt:
        raise MuseError("the prompt is empty. Say what the picture shows.")
    return prompt


def check_seed(given: object, otherwise: int) -> int:
    """The seed, or `otherwise` where none is given; one out of range is a `MuseError`."""
    seed = _whole("seed", given, otherwise)
    if not 0 <= seed < 2**63:
        raise MuseError(f"seed {seed} is out of range. Use 0 or more, below 2^63.")
    return seed


def check_count(given: object, otherwise: int) -> int:
    """How many pictures, or `otherwise` where it isn't said; too many are a `MuseError`."""
    count = _whole("count", given, otherwise)
    if not 1 <= count <= MOST_COPIES:
        raise MuseError(f"count {count} is out of range. Use 1 to {MOST_COPIES}.")
    return count


def _whole(name: str, given: object, otherwise: int) -> int:
    """A whole number, as spreadsheets write it too: ``5.0``."""
    if given in (None, ""):
        return otherwise
    try:
        return int(re.sub(r"[.,]00?$", "", str(given).strip()))
    except ValueError:
        raise MuseError(f"{name} {given!r} is not a whole number.") from None


def with_copies(jobs: Iterable[tuple[Job, int]]) -> list[Job]:
    """Each job, and so many pictures of it in all: further ones have names that no other job has,
    and seeds that depend on the job's seed and their number alone.
    """
    wanted = list(jobs)
    names = {job.id for job, _ in wanted}
    made: list[Job] = []
    for job, count in wanted:
        made.append(job)
        for number in range(2, count + 1):
            name = unique_name(job.id, names, number)
            names.add(name)
            made.append(replace(job, id=name, seed=derive_seed(job.seed, f"picture {number}")))
    return made


def write_jobs(jobs: Sequence[Job]) -> str:
    """Jobs as JSONL that `read_jobs` reads back to the same jobs from any folder."""
    return as_jsonl(job_entry(job) for job in jobs)


def as_jsonl(entries: Iterable[Mapping[str, Any]]) -> str:
    """Entries as JSON, one a line."""
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def job_entry(job: Job) -> dict[str, Any]:
    """A job as the line of a JSONL file that says all about it."""
    entry: dict[str, Any] = {"id": job.id, "prompt": job.prompt, "emotion": job.target}
    entry["seed"] = job.seed
    for column in PICTURES:
        path = getattr(job, column)
        if path is not None:
            entry |= {column: str(path), f"{column}_sha256": known_digest(path)}
    for name in OWN:
        value = getattr(job, name)
        if value is not None:
            entry[name] = list(value) if isinstance(value, tuple) else value  # as JSON has it
    return entry


def job_name(prompt: str, target: Mapping[str, float], intensity: float | None = None) -> str:
    """A name for a job without one, such as ``a-park-awe``, or ``a-park-awe-at60``."""
    feelings = [n if w == 1 else f"{n}{round(100 * w)}" for n, w in target.items()]
    if intensity is not None:
        feelings.append(f"at{round(100 * intensity)}")
    return safe_name("-".join([*prompt.lower().split(), *feelings]))


def unique_name(name: str, taken: Container[str], first: int | None = None) -> str:
    """`name`, or with the least number that makes it another than those taken: from 2 on, or from
    `first` on, and then in any case with a number.
    """
    numbered = (f"{name}-{number}" for number in numbers(first or 2))
    if first is None and name not in taken:
        return name
    return next(new for new in numbered if new not in taken)


def _own_name(given: str) -> str:
    """A job's name of its user's; those that muse made (with a digest, or a number) stay."""
    safe = re.fullmatch(r"[a-z0-9_]([a-z0-9._-]{0,98}[a-z0-9_])?", given)
    return given if safe else safe_name(given)
