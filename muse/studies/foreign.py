"""ArmPictures that another system made for the same jobs, in a folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from muse.core.emotions import target_text
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.runs.records import Layout
from muse.studies.arms import ArmPictures, finished_pictures, lacking
from muse.studies.file import Arm

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FIELDS = ("id", "prompt", "emotion", "image", "seed")
"""What a pattern may name of a job; ``image`` is the name of the picture that is edited."""


def foreign_pictures(arm: Arm, jobs: Sequence[Job], every: Sequence[Job]) -> ArmPictures:
    """The pictures of an arm that is a folder: of a run of muse (it holds ``records/``), or of
    whatever else made them.

    ArmPictures made elsewhere are matched by `Arm.names`: a pattern of their paths in the folder,
    without the ending (``{id}``, or ``{emotion}/{image}`` as editing systems write them), or a CSV
    with the columns ``id`` and ``file``.

    Args:
        arm: the arm.
        jobs: of the study.
        every: all jobs of its file, where `jobs` are some: pictures of others are no surplus.

    Raises:
        MuseError: no such folder, a pattern or file that can't be used, jobs without a picture.
    """
    folder = arm.folder
    assert folder is not None
    if not folder.is_dir():
        raise MuseError(f"Arm {arm.name!r}: there is no folder {str(folder)!r}.")
    if Layout(folder).records.is_dir():
        return finished_pictures(arm, folder, jobs)
    there = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in ENDINGS
    }
    names = _names(arm, every)
    files = {job.id: there[names[job.id]] for job in jobs if names.get(job.id) in there}
    missing = [job.id for job in jobs if job.id not in files]
    if missing:
        looked = f"{arm.names!r} in {str(folder)!r}"
        wanted = names.get(missing[0])
        if wanted is not None:
            looked += f", such as {wanted!r} with an ending of {', '.join(ENDINGS)}"
        raise lacking(arm, missing, len(jobs), looked)
    surplus = sorted(set(there) - set(names.values()))
    told = ", ".join(surplus[:3]) + (", ..." if len(surplus) > 3 else "")
    line = f"Arm {arm.name!r}: {len(surplus)} pictures belong to no job and are left out ({told})."
    return ArmPictures(arm, folder, files, remarks=[line] if surplus else [])


def _names(arm: Arm, jobs: Sequence[Job]) -> dict[str, str]:
    """Job id -> path in the folder, without the ending."""
    if "{" not in arm.names:
        return _listed(arm)
    try:
        return {job.id: arm.names.format(**_fields(job)) for job in jobs}
    except (AttributeError, KeyError, IndexError, ValueError):
        raise MuseError(
            f"Arm {arm.name!r}: names {arm.names!r} can't be filled. Use of "
            f"{', '.join(FIELDS)}, each in braces, or a CSV file with id and file."
        ) from None


def _fields(job: Job) -> Mapping[str, object]:
    image = "" if job.image is None else job.image.stem
    emotion = target_text(dict(job.target or {}))
    values = (job.id, job.prompt, emotion, image, job.seed)
    return dict(zip(FIELDS, values, strict=True))


def _listed(arm: Arm) -> dict[str, str]:
    """What a mapping file says."""
    try:
        with Path(arm.names).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MuseError(f"Arm {arm.name!r}: {arm.names!r} can't be read ({error}).") from None
    if rows and not {"id", "file"} <= set(rows[0]):
        raise MuseError(
            f"Arm {arm.name!r}: {arm.names!r} has the columns {', '.join(map(str, rows[0]))}. It "
            "needs id and file."
        )
    for number, row in enumerate(rows, start=2):
        if not row["id"] or not row["file"]:
            raise MuseError(
                f"Arm {arm.name!r}: line {number} of {arm.names!r} lacks its id or file. Give both."
            )
    return {row["id"]: Path(row["file"]).with_suffix("").as_posix() for row in rows}
