"""Scenes to edit: rendered pictures, each with a job that gives it another mood."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from muse.core.emotions import WHEEL
from muse.core.files import make_folder, replacing, write_text
from muse.core.jobs import Job
from muse.data import write_jobs
from muse.mini.scenes import render
from muse.mini.world import SIDE, VARIED


def write_edits(folder: Path, count: int, first: int) -> Path:
    """Render scenes of muse-mini's world and size into a folder, with a jobs file that wants each
    in one emotion that is not its own, all eight in turn.

    Args:
        folder: for pictures and file; scenes that are there stay.
        count: how many.
        first: seed of the first scene; 30,000,000 and on are taken by no training.

    Returns:
        the jobs file.
    """
    make_folder(folder)
    jobs = []
    for number in range(count):
        scene = render(first + number, world=VARIED, size=SIDE)
        path = folder / f"{first + number}.png"
        if not path.is_file():
            with replacing(path) as temporary:
                Image.fromarray(scene.image).save(temporary)
        wheel = [emotion for emotion in WHEEL if emotion != scene.mood]
        wanted = WHEEL[number % 8] if WHEEL[number % 8] != scene.mood else wheel[number % 7]
        name = f"{first + number}-{wanted}"
        jobs.append(Job(name, scene.caption, {wanted: 1.0}, number, path.absolute()))
    file = folder / f"edits-{count}-{first}.jsonl"
    write_text(file, write_jobs(jobs))
    return file
