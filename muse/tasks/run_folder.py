"""The output folder of a run, written as its pictures get done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from muse.backbones import Backbone
from muse.data import write_jobs
from muse.emotions import strongest
from muse.files import as_yaml, make_folder, replacing, write_text
from muse.jobs import Job
from muse.pictures import Picture
from muse.records import Record, make_record, read_records, write_record
from muse.report import contact_sheet, results_csv, traces
from muse.report.results import target_text
from muse.results import Result
from muse.types import MuseError


class RunFolder:
    """The folder that a run leaves: config.yaml, jobs.jsonl, images/, plain/, records/, and at
    the end results.csv, contact_sheet.png and traces.png. Every file is written whole or not at
    all; pictures have the model's size, those made from a picture too.

    Args:
        path: the folder.
        overwrite: whether another run's pictures there may be removed first.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path.absolute()
        self.overwrite = overwrite
        self.digest = ""

    def open(self, jobs: Sequence[Job], config: str | None) -> None:
        """Make the folder and say in it what the run is.

        Args:
            jobs: all of them.
            config: the resolved configuration as YAML, or None where there is none (Python).

        Raises:
            MuseError: the folder can't be written to, or holds another run.
        """
        listing = write_jobs(jobs)
        settings = yaml.safe_load(config) if config else {}
        self.digest = config_digest(settings, listing)
        make_folder(self.path)
        earlier = read_records(self.path)
        if any(record["config_digest"] != self.digest for record in earlier):
            if not self.overwrite:
                raise MuseError(
                    f"{str(self.path)!r} holds another run ({len(earlier)} pictures). Choose "
                    "another --output_dir, or replace it with --model.overwrite true."
                )
            self._clear()
        for name in ("images", "plain", "records"):
            make_folder(self.path / name)
        write_text(self.path / "jobs.jsonl", listing)
        if config:
            write_text(self.path / "config.yaml", repeatable(settings))

    def remark(self, source: Picture, size: tuple[int, int]) -> str | None:
        """What to tell about a picture that is edited at `size`, if anything."""
        return source.remark(size, restored=False)

    def save(self, result: Result, backbone: Backbone, plain: Result | None = None) -> None:
        """Write a picture and, for a steered one, its record; `plain` is its plain twin."""
        job = result.job
        kind = "plain" if job.target is None else "images"
        if result.image is not None:
            picture = backbone.render(result.image[0], result.path)
            save_picture(self.path / kind / f"{job.id}.png", picture, job, self.digest)
        if job.target is not None:
            record = make_record(result, self.digest, plain)
            if backbone.has_points and result.image is not None:
                record["point"] = result.image[0].tolist()
            write_record(self.path, record)

    def close(self, jobs: Sequence[Job], backbone: Backbone) -> list[Record]:
        """Write what sums the run up, from the records that are there, and return those."""
        records = read_records(self.path, [job.id for job in jobs])
        write_text(self.path / "results.csv", results_csv(records))
        sheet = contact_sheet(records, self.path)
        if sheet is not None:
            save_picture(self.path / "contact_sheet.png", sheet)
        figure = traces(records)
        if figure is not None:
            with replacing(self.path / "traces.png") as temporary:
                figure.savefig(temporary, dpi=150)
        points = [record for record in records if "point" in record]
        if points:
            names = [strongest(record["target"]) for record in points]
            drawn = backbone.overview(torch.tensor([r["point"] for r in points]), names)
            if drawn is not None:
                save_picture(self.path / "samples.png", drawn)
        return records

    def _clear(self) -> None:
        """Remove what muse wrote there, and nothing else."""
        for pattern in ("images/*.png", "plain/*.png", "records/*.json", "*.png", "results.csv"):
            for file in self.path.glob(pattern):
                file.unlink()


def save_picture(
    path: Path, picture: Image.Image, job: Job | None = None, digest: str = "", config: str = ""
) -> None:
    """Write a PNG; for a job's picture, with its prompt, target, seed and the config's digest in
    text chunks, and with the config itself where no folder has it.
    """
    about = PngInfo()
    if job is not None:
        about.add_itxt("prompt", job.prompt)
        about.add_text("target", target_text(dict(job.target or {})))
        about.add_text("seed", str(job.seed))
        about.add_text("config_digest", digest)
    if config:
        about.add_text("config", config, zip=True)
    with replacing(path) as temporary:
        picture.save(temporary, pnginfo=about)


def config_digest(settings: dict[str, Any], jobs: str) -> str:
    """A short sha256 of what decides the pictures: the parts' settings and the jobs; not where
    they are written, nor the devices.
    """
    model = dict(settings.get("model") or {})
    for name in ("output_dir", "overwrite", "slots"):
        model.pop(name, None)
    text = json.dumps([model, jobs], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def repeatable(settings: dict[str, Any]) -> str:
    """The configuration as YAML that makes the same pictures again from any folder: the jobs are
    those in jobs.jsonl beside it.
    """
    data = {"jobs": "jobs.jsonl", "prompts": None, "emotions": None, "limit": None, "count": 1}
    again = {**settings, "data": {**(settings.get("data") or {}), **data}}
    return as_yaml(again)
