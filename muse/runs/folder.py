"""The output folder of a run: it is the run's state, so that the same command goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from muse.backbones import Backbone
from muse.core.digests import Digests
from muse.core.files import as_yaml, make_folder, sweep, write_text, written
from muse.core.intensity import emotion_text
from muse.core.jobs import Job
from muse.core.pictures import Picture, save_png
from muse.core.results import Result
from muse.core.types import MuseError
from muse.data import as_jsonl, job_entry, plain_twins
from muse.data.jobs import OWN, PICTURES
from muse.runs.deciding import Deciding, Noted, absolute
from muse.runs.png_settings import CHUNK, png_settings
from muse.runs.records import (
    Layout,
    Record,
    each_record,
    make_record,
    read_listing,
    read_record,
    short_records,
    write_record,
)
from muse.runs.sinks import Sink


class RunFolder(Sink):
    """The folder that a run leaves: config.yaml, jobs.jsonl, images/, records/, plain/ and
    plain_records/. Every file is written whole or not at all, a picture's record last; pictures
    have the model's size, those made from a picture too.

    A picture is done when it and its record are there, made by the settings of this run.

    Args:
        path: the folder.
        overwrite: whether another run's files there may be removed first.
        retry_failed: whether jobs that failed are tried again.

    Attributes:
        entries: what jobs.jsonl says about those of earlier starts, by id.
        damaged: names of records that couldn't be read, and will be made anew.
    """

    def __init__(self, path: Path, overwrite: bool = False, retry_failed: bool = False) -> None:
        self.layout = Layout(path.absolute())
        super().__init__()
        self.overwrite, self.retry_failed = overwrite, retry_failed
        self.deciding, self.before = Deciding({}), Noted()
        self.entries: dict[str, dict[str, Any]] = {}
        self.damaged: set[str] = set()
        self._lock: FileLock | None = None
        self._plain: dict[str, dict[str, float]] = {}

    @property
    def path(self) -> Path:
        """The folder."""
        return self.layout.folder

    def open(self, jobs: Sequence[Job], config: Mapping[str, Any], repeatable: bool) -> None:
        """Make the folder, or go on with the run that it holds, and say in it what the run is.

        Args:
            jobs: of this start; those of earlier ones stay the run's.
            config: the resolved configuration.
            repeatable: whether that is a file for `muse fit-free`, to be written there.

        Raises:
            MuseError: the folder can't be written to, another process writes to it, or it holds
                another run.
        """
        make_folder(self.path)
        self._claim()
        self.join(jobs, config)
        changes = self._changes(jobs)
        if changes:
            self._replace_or_refuse(changes, jobs)
            self.join(jobs, config)
        with written(f"into {str(self.path)!r}"):
            for name in (self.path, *self.layout.folders()):
                make_folder(name)
                sweep(name)
            listed = self.entries | {job.id: job_entry(job) for job in jobs}
            write_text(self.layout.jobs, as_jsonl(listed.values()))
            write_text(self.layout.settings, self.deciding.noted())
            if repeatable:
                write_text(self.layout.config, repeatable_config(config))

    def join(self, jobs: Sequence[Job], config: Mapping[str, Any]) -> None:
        """Take settings and jobs, after those of earlier starts."""
        self.before = Noted.read(self.layout.settings)
        self.deciding = Deciding(config, Digests(self.before.files))
        self.entries = {entry["id"]: entry for entry in read_listing(self.path)}
        now = {job.id: job for job in jobs}  # pictures to edit may have moved since
        listed = {id: listed_job(entry) for id, entry in self.entries.items()}
        self.jobs = list((listed | now).values())
        self.twins = plain_twins(self.jobs)

    def remarks(self) -> list[str]:
        """Which records couldn't be read."""
        if not self.damaged:
            return []
        names = ", ".join(sorted(self.damaged)[:3])
        return [f"Damaged records, made anew: {len(self.damaged)} ({names})."]

    def release(self) -> None:
        """Let other processes write to the folder."""
        if self._lock is not None:
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def todo(self, job: Job) -> bool:
        """Whether a job, or plain twin, is to be made: it isn't done, and didn't fail before, or
        is to be tried again.
        """
        plain = job.target is None
        record = self._found(job.id, plain)
        if record is None or record["config_digest"] != self.deciding.digest(job):
            return True
        if record["status"] == "failed":
            return self.retry_failed
        return not self.layout.picture(job.id, plain).is_file()

    def remark(self, source: Picture, size: tuple[int, int]) -> str | None:
        """What to tell about a picture that is edited at `size`, if anything."""
        return source.remark(size, restored=False)

    def save(self, result: Result, backbone: Backbone) -> None:
        """Write a picture, and then its record; for a steered one with what is known of its twin.

        Raises:
            MuseError: it couldn't be written.
        """
        job, plain = result.job, result.job.target is None
        digest = self.deciding.digest(job)
        path = self.layout.picture(job.id, plain)
        twin = None if plain else self._twin(job.id)
        with written(f"the picture {str(path)!r}"):
            if result.image is not None:
                picture = backbone.render(result.image[0], result.path)
                save_picture(path, picture, job, digest, "", self.deciding.settings)
        name, probabilities = twin or (None, None)
        record = make_record(result, digest, name, probabilities, self.made_by)
        if backbone.has_points and result.image is not None and not plain:
            record["point"] = result.image[0].tolist()
        with written(f"the record of {job.id!r}"):
            write_record(self.path, record)
        if plain:
            self._plain[job.id] = result.probabilities

    def close(self, backbone: Backbone) -> list[Record]:
        """Complete the records that are there, and return them without what is long."""
        self.complete()
        return list(short_records(self.path, [job.id for job in self.jobs]))

    def complete(self) -> None:
        """Add to the records what another process came to know of their plain twins."""
        with written("the records"):
            for record in each_record(self.path, [job.id for job in self.jobs]):
                twin = None if record["plain"] else self._twin(record["id"])
                if twin is not None:  # another process made it, later
                    record["plain"], record["plain_probabilities"] = twin
                    write_record(self.path, record)

    def _claim(self) -> None:
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise MuseError(
                f"Another muse writes to {str(self.path)!r} right now. Wait until it has ended, or "
                "choose another --output_dir."
            ) from None
        self._lock = lock

    def _changes(self, jobs: Sequence[Job]) -> list[str]:
        """In what this run differs from the one in the folder, in words; nothing where it goes on
        with it, or there is none.
        """
        changes = self.deciding.changed(self.before)
        if not self.before.settings and any(self.layout.records.glob("*.json")):
            changes = ["it was made by an older muse, or its settings.json is damaged"]
        for job in jobs:
            was, now = self.entries.get(job.id, {}), job_entry(job)
            words = [
                f"{name} was {was.get(name)!r}, is {now.get(name)!r}"
                for name in {**was, **now}
                if name not in PICTURES and was.get(name) != now.get(name)  # what is in them counts
            ]
            changes += [f"of job {job.id!r} {', '.join(words)}"] if was and words else []
        return changes

    def _replace_or_refuse(self, changes: Sequence[str], jobs: Sequence[Job]) -> None:
        count = sum(1 for _ in self.layout.records.glob("*.json"))
        twins = any(self.layout.plain_records.glob("*.json"))
        if not self.overwrite and (count or twins):  # else there is nothing to lose
            more = f" (and {len(changes) - 1} more changes)" if len(changes) > 1 else ""
            raise MuseError(
                f"{str(self.path)!r} holds another run ({count} pictures): {changes[0]}{more}. "
                "Choose another --output_dir, or replace it with --model.overwrite true."
            )
        owned = self._owned()
        for job in jobs:
            for path in (job.image, job.mask):
                if path is not None and path.resolve() in owned:
                    raise MuseError(
                        f"Job {job.id!r} {'edits' if path is job.image else 'has the mask'} "
                        f"{str(path)!r}, which belongs to the run that would be replaced. Choose "
                        "another --output_dir."
                    )
        for file in owned:
            file.unlink(missing_ok=True)
        if self.layout.evaluation.is_dir() and not any(self.layout.evaluation.iterdir()):
            self.layout.evaluation.rmdir()

    def _owned(self) -> set[Path]:
        """What muse wrote in the folder for the run that is there; nothing else goes."""
        layout = self.layout
        names = {entry["id"] for entry in read_listing(self.path)}
        names |= {path.stem for path in layout.records.glob("*.json")}
        plain = set(self.twins.of.values()) | {p.stem for p in layout.plain_records.glob("*.json")}
        for name in names:
            record = self._found(name, False)
            plain |= {record["plain"]} if record and record["plain"] else set()
        found = {
            of(name, twin)
            for twin, group in ((False, names), (True, plain))
            for name in group
            for of in (layout.picture, layout.record)
        }
        return {path.resolve() for path in (*found, *layout.summaries()) if path.is_file()}

    def _found(self, name: str, plain: bool) -> Record | None:
        """A record, None where there is none that can be read."""
        path = self.layout.record(name, plain)
        try:
            return read_record(path) if path.is_file() else None
        except MuseError:
            self.damaged.add(name)
            return None

    def _twin(self, name: str) -> tuple[str, dict[str, float]] | None:
        """The plain twin of a job and its probabilities, where it is done."""
        twin = self.twins.of[name]
        if twin not in self._plain:
            record = self._found(twin, True)
            if record is None:
                return None
            self._plain[twin] = record["probabilities"]
        return (twin, self._plain[twin]) if self._plain[twin] else None


def listed_job(entry: Mapping[str, Any]) -> Job:
    """The job of such an entry; its pictures are not looked for."""
    own = {name: entry[name] for name in OWN if name in entry}
    own |= {name: Path(entry[name]) for name in PICTURES if entry.get(name)}
    if "size" in own:
        own["size"] = tuple(own["size"])
    return Job(entry["id"], entry["prompt"], entry["emotion"], entry["seed"], **own)


def save_picture(
    path: Path,
    picture: Image.Image,
    job: Job | None = None,
    digest: str = "",
    config: str = "",
    settings: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write a PNG; for a job's picture, with its prompt, target, seed and the digest of what
    decided it in text chunks, with the `settings` that decided it and `more` in one that
    `muse.runs.png_settings` reads back, and with the config itself where no folder has it.
    """
    about = PngInfo()
    if job is not None:
        about.add_itxt("prompt", job.prompt)
        about.add_text("target", emotion_text(dict(job.target or {}), job.intensity))
        about.add_text("seed", str(job.seed))
        about.add_text("config_digest", digest)
        about.add_itxt(CHUNK, png_settings(job, settings or {}, more), zip=True)
    if config:
        about.add_text("config", config, zip=True)
    save_png(path, picture, about)


def repeatable_config(settings: Mapping[str, Any]) -> str:
    """The configuration as YAML that makes the same pictures again from any folder: paths are
    absolute, and the jobs are those in jobs.jsonl beside it.
    """
    data = {"jobs": "jobs.jsonl", "prompts": None, "emotions": None, "limit": None, "count": 1}
    again = {**settings, "data": {**(settings.get("data") or {}), **data}}
    again["model"] = absolute(again.get("model") or {})
    return as_yaml(again)
