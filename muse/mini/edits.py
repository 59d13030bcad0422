"""Scenes to edit: rendered pictures, each with a job that gives it another mood."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from muse.core.emotions import WHEEL
from muse.core.files import make_folder, replacing, write_text
from muse.core.jobs import Job
from muse.data import write_jobs
from muse.mini.scenes import render
from muse.mini.world import SIDE, VARIED


def write_edits(folder: Path, count: int, first: int, masked: bool = False) -> Path:
    """Render scenes of muse-mini's world and size into a folder, with a jobs file that wants each
    in one emotion that is not its own, all eight in turn.

    Args:
        folder: for pictures and file; scenes that are there stay.
        count: how many.
        first: seed of the first scene; 30,000,000 and on are taken by no training.
        masked: whether each has a mask that keeps its thing, black, and has a soft edge.

    Returns:
        the jobs file.
    """
    make_folder(folder)
    jobs = []
    for number in range(count):
        scene = render(first + number, world=VARIED, size=SIDE)
        path = folder / f"{first + number}.png"
        mask = folder / f"{first + number}-mask.png" if masked else None
        _save(path, partial(Image.fromarray, scene.image))
        if mask is not None:
            _save(mask, partial(around, scene.cover))
        wheel = [emotion for emotion in WHEEL if emotion != scene.mood]
        wanted = WHEEL[number % 8] if WHEEL[number % 8] != scene.mood else wheel[number % 7]
        name = f"{first + number}-{wanted}"
        there = None if mask is None else mask.absolute()
        jobs.append(Job(name, scene.caption, {wanted: 1.0}, number, path.absolute(), mask=there))
    file = folder / f"edits-{count}-{first}{'-masked' * masked}.jsonl"
    write_text(file, write_jobs(jobs))
    return file


def around(cover: np.ndarray) -> Image.Image:
    """A mask that is black on a thing and white around it, with a soft edge along its outline. It
    is no wider than the thing: what it kept of the ground would shine around it.

    Args:
        cover: (side, side) uint8, how much of each pixel the thing takes up.
    """
    return ImageOps.invert(Image.fromarray(cover).filter(ImageFilter.GaussianBlur(0.5)))


def _save(path: Path, made: Callable[[], Image.Image]) -> None:
    """Write a picture that isn't there."""
    if not path.is_file():
        with replacing(path) as temporary:
            made().save(temporary)
