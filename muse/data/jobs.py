"""The jobs of a run: from a file, or from lists of prompts and emotions."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse.typing import Path_fr
from torch.utils.data import DataLoader

from muse.digests import file_digest
from muse.emotions import parse_target
from muse.jobs import Job, derive_seed, safe_name
from muse.types import MuseError

COLUMNS = ("id", "prompt", "emotion", "seed", "image", "image_sha256")


class Jobs(L.LightningDataModule):
    """The jobs of `muse fit-free`.

    Either a file, which goes before lists, or prompts x emotions. Every prompt's emotions share a
    seed, so that the pictures differ by the emotion alone. A missing seed derives from the run's
    seed and the job's id (the prompt, where there is none), never from its position.

    Args:
        jobs: a CSV with a header, or a JSONL file: ``prompt``, ``emotion`` and, where wanted,
            ``id``, ``seed`` and ``image`` (a path relative to the file).
        prompts: what the pictures show, instead of a file.
        emotions: a name or a mixture (``awe:0.7,fear:0.3``) each, for every prompt.
        seed: the run's seed.
        limit: only the first so many jobs.

    Raises:
        MuseError: no jobs, or one that can't be read (file and line are named).
    """

    def __init__(
        self,
        jobs: Path_fr | str | None = None,
        prompts: list[str] | None = None,
        emotions: list[str | dict[str, float]] | None = None,
        seed: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        if limit is not None and limit < 1:
            raise MuseError(f"limit = {limit} is not allowed. Use 1 or more, or leave it out.")
        if jobs is not None:
            found = read_jobs(Path(os.fspath(jobs)), seed)
        else:
            found = cross(prompts or [], emotions or [], seed)
        self.jobs = found[:limit]
        if not self.jobs:
            raise MuseError(
                "There are no jobs. Give a file (--data.jobs jobs.csv), or --data.prompts and "
                "--data.emotions."
            )

    def predict_dataloader(self) -> DataLoader[Job]:
        """One batch: the list of all jobs of this device."""
        jobs: Any = self.jobs
        return DataLoader(jobs, batch_size=len(self.jobs), collate_fn=list, num_workers=0)


def cross(
    prompts: Sequence[str], emotions: Sequence[str | Mapping[str, float]], seed: int
) -> list[Job]:
    """Every prompt with every emotion."""
    targets = [parse_target(emotion) for emotion in emotions]
    pairs = [(check_prompt(prompt), target) for prompt in prompts for target in targets]
    jobs: dict[str, Job] = {}
    for prompt, target in pairs:
        name = _unique(job_name(prompt, target), jobs)
        jobs[name] = Job(name, prompt, target, derive_seed(seed, prompt))
    return list(jobs.values())


def read_jobs(path: Path, seed: int) -> list[Job]:
    """The jobs in a CSV or JSONL file; `seed` is the run's."""
    jobs: list[Job] = []
    lines: dict[str, int] = {}
    for number, entry in _entries(path):
        try:
            job = _job(entry, path.parent, seed, lines)
        except MuseError as error:
            raise MuseError(f"{path}, line {number}: {error}") from None
        if job.id in lines:
            raise MuseError(
                f"{path}, line {number}: id {job.id!r} stands in line {lines[job.id]} already. "
                "Give every job an id of its own."
            )
        lines[job.id] = number
        jobs.append(job)
    return jobs


def _entries(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix not in (".csv", ".jsonl"):
        raise MuseError(f"Jobs file {str(path)!r} is of an unknown kind. Use .csv or .jsonl.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MuseError(f"Jobs file {str(path)!r} can't be read ({error}).") from None
    yield from _csv_entries(path, text) if path.suffix == ".csv" else _json_entries(path, text)


def _csv_entries(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        if not {"prompt", "emotion"} <= set(header):
            raise MuseError(
                f"{path}, line 1: the header is {','.join(header)!r}. "
                f"It needs prompt and emotion; allowed: {', '.join(COLUMNS)}."
            )
        reader.fieldnames = header
        for row in reader:
            if None in row or None in row.values():
                raise MuseError(
                    f"{path}, line {reader.line_num}: not {len(header)} values, as many as the "
                    f"header has ({','.join(header)}). Quote a value that contains a comma."
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise MuseError(f"{path}, line {reader.line_num}: not CSV ({error}).") from None


def _json_entries(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            json.dumps(entry, ensure_ascii=False).encode()  # half a surrogate pair is no text
        except (json.JSONDecodeError, UnicodeEncodeError) as error:
            raise MuseError(f"{path}, line {number}: not JSON ({error}).") from None
        if not isinstance(entry, dict):
            raise MuseError(f"{path}, line {number}: not an object. Write one {{...}} a line.")
        yield number, entry


def _job(entry: Mapping[str, Any], folder: Path, seed: int, taken: Container[str]) -> Job:
    extra = sorted(set(entry) - set(COLUMNS))
    if extra:
        raise MuseError(f"unknown column {extra[0]!r}. Allowed: {', '.join(COLUMNS)}.")
    prompt, emotion = check_prompt(str(entry.get("prompt") or "")), entry.get("emotion")
    if not emotion or not isinstance(emotion, str | dict):
        raise MuseError(
            f"emotion {emotion!r} is not one. Give a name, or a mixture like awe:0.7,fear:0.3."
        )
    target = parse_target(emotion)
    given = str(entry.get("id") or "").strip()
    name = safe_name(given) if given else _unique(job_name(prompt, target), taken)
    own = check_seed(entry.get("seed"), derive_seed(seed, given or prompt))
    image = str(entry.get("image") or "").strip()
    path = (folder / image).resolve() if image else None
    if path is not None and not path.is_file():
        raise MuseError(f"there is no picture at {str(path)!r}. Paths are relative to the file.")
    if path is not None and entry.get("image_sha256") not in (None, "", file_digest(path)):
        raise MuseError(f"the picture at {str(path)!r} has changed since this file was written.")
    return Job(name, prompt, target, own, path)


def check_prompt(given: str) -> str:
    """The prompt, without spaces around it; an empty one is a `MuseError`."""
    prompt = given.strip()
    if not prompt:
        raise MuseError("the prompt is empty. Say what the picture shows.")
    return prompt


def check_seed(given: object, otherwise: int) -> int:
    """The seed, or `otherwise` where none is given; one out of range is a `MuseError`."""
    if given in (None, ""):
        return otherwise
    try:
        seed = int(str(given))
    except ValueError:
        raise MuseError(f"seed {given!r} is not a whole number.") from None
    if not 0 <= seed < 2**63:
        raise MuseError(f"seed {seed} is out of range. Use 0 or more, below 2^63.")
    return seed


def write_jobs(jobs: Sequence[Job]) -> str:
    """Jobs as JSONL that `read_jobs` reads back to the same jobs from any folder."""
    lines = []
    for job in jobs:
        entry: dict[str, Any] = {"id": job.id, "prompt": job.prompt, "emotion": job.target}
        entry["seed"] = job.seed
        if job.image is not None:
            entry |= {"image": str(job.image), "image_sha256": file_digest(job.image)}
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    return "".join(lines)


def job_name(prompt: str, target: Mapping[str, float]) -> str:
    """A name for a job without one, such as ``a-park-awe``."""
    feelings = [n if w == 1 else f"{n}{round(100 * w)}" for n, w in target.items()]
    return safe_name("-".join([*prompt.lower().split(), *feelings]))


def _unique(name: str, taken: Container[str]) -> str:
    """`name`, or with the least number from 2 on that makes it another than those taken."""
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(new for new in numbered if new not in taken)


@dataclass(frozen=True)
class Twins:
    """The plain pictures that stand beside the steered ones.

    Attributes:
        jobs: one plain job for each distinct prompt, seed and picture.
        of: job id -> the id of its plain twin.
    """

    jobs: list[Job]
    of: dict[str, str]


def plain_twins(jobs: Sequence[Job]) -> Twins:
    """The plain twin of every job: same x_T, no emotion, made once for jobs that share it."""
    made: dict[tuple[str, int, Path | None], Job] = {}
    names: set[str] = set()
    of: dict[str, str] = {}
    for job in jobs:
        key = (job.prompt, job.seed, job.image)
        if key not in made:
            name = _unique(safe_name(f"plain-{job.prompt}"), names)
            names.add(name)
            made[key] = Job(name, job.prompt, None, job.seed, job.image)
        of[job.id] = made[key].id
    return Twins(list(made.values()), of)
