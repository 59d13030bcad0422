"""Where the page's pictures go: a run folder for each day, so that all that reads runs reads them.

It has no config.yaml: every picture has settings of its own, in its PNG and its record.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from muse.core.files import make_folder, written
from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import MuseError
from muse.runs import Deciding
from muse.runs.folder import save_picture
from muse.runs.records import Layout, Record, make_record, write_record
from muse.web.recipe import Recipe


@dataclass(frozen=True)
class Made:
    """A picture that was made.

    Attributes:
        path: its PNG, with its settings inside.
        before: the picture to compare it with: the plain twin, or the photo that was edited; None
            of a picture without an emotion.
        record: how it came to be.
        recipe: as it was asked for.
    """

    path: Path
    before: Path | None
    record: Record
    recipe: Recipe


class Album:
    """The folder of the page's pictures.

    Args:
        folder: the folder; each day has one inside.
        today: the name of the day.

    Raises:
        MuseError: it can't be written to.
    """

    def __init__(self, folder: Path, today: str | None = None) -> None:
        self.folder = make_folder(folder)
        self._today = today

    @property
    def layout(self) -> Layout:
        """Today's run folder, made where it isn't there."""
        layout = Layout(self.folder / (self._today or datetime.date.today().isoformat()))
        for path in layout.folders():
            make_folder(path)
        return layout

    def new_name(self, recipe: Recipe) -> str:
        """A name that no other picture has, such as ``a-dog-awe-3-1f0c``."""
        return f"{recipe.name[:60].strip('-.')}-{recipe.seed}-{secrets.token_hex(3)}"

    def keep_source(self, name: str, picture: Image.Image) -> Path:
        """Write the photo that is edited, or its mask."""
        folder = make_folder(self.layout.folder / "sources")
        path = folder / f"{name}.png"
        with written(f"the photo {str(path)!r}"):
            save_picture(path, picture)
        return path

    def save(
        self,
        result: Result,
        picture: Image.Image,
        options: Mapping[str, Any],
        recipe: Recipe,
        twin: Result | None = None,
    ) -> tuple[Path, Record]:
        """Write a picture and its record.

        Args:
            result: of its job; without a target it is a plain one.
            picture: as it shall be seen.
            options: all of the sampler (`muse.web.catalog.Catalog.settings`).
            recipe: as it was asked for.
            twin: of its plain twin, where one was made.

        Raises:
            MuseError: the job failed, or the picture can't be written.
        """
        job: Job = result.job
        if result.failure is not None:
            raise MuseError(result.failure)
        layout, plain = self.layout, job.target is None
        deciding = Deciding({"model": dict(options)})
        path, digest = layout.picture(job.id, plain), deciding.digest(job)
        named = {"preset": recipe.preset, "backbone": recipe.backbone, "guide": recipe.guide}
        with written(f"the picture {str(path)!r}"):
            save_picture(path, picture, job, digest, "", deciding.settings, named)
        told = (twin.job.id, twin.probabilities) if twin else (None, None)
        record = make_record(result, digest, *told)
        with written(f"the record of {job.id!r}"):
            write_record(layout.folder, record)
        return path, record
