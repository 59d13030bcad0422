"""How to make a picture again, inside its PNG: one text chunk named ``muse``, as JSON.

It travels where a run's folder doesn't: in a picture that was sent to somebody, or dropped onto a
page. What is read back is data and no more: numbers and names, which the reader must look up in
lists of its own before anything is done with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.data.jobs import OWN, PICTURES

CHUNK = "muse"
"""The name of the text chunk."""
SCHEMA = 1
MOST = 200_000
"""Letters of JSON that are read at most."""


def png_settings(
    job: Job, options: Mapping[str, Any], more: Mapping[str, Any] | None = None
) -> str:
    """What the chunk says of a job's picture.

    Args:
        job: whose picture it is. Of a picture that was edited, and of a mask, the name alone is
            told, not where it lay.
        options: what decided the pixels, such as ``timing.init_args.eta`` -> 66
            (`muse.runs.Deciding.settings`).
        more: further entries, such as the preset's name.

    Returns:
        JSON with the keys schema, prompt, emotion (name -> weight, null for a plain picture), seed,
        options, and where the job has them image, mask, negative_prompt, guidance_scale, steps,
        size, intensity.
    """
    told: dict[str, Any] = {"schema": SCHEMA, "prompt": job.prompt}
    told["emotion"] = None if job.target is None else dict(job.target)
    told["seed"] = job.seed
    for name in PICTURES:
        path = getattr(job, name)
        if path is not None:
            told[name] = path.name
    told |= {name: getattr(job, name) for name in OWN if getattr(job, name) is not None}
    return json.dumps(told | dict(more or {}) | {"options": dict(options)}, default=str)


def read_png_settings(path: Path) -> dict[str, Any]:
    """The settings inside a PNG; its pixels aren't decoded.

    Raises:
        MuseError: no PNG, one without settings, or with damaged ones, or of a muse from the future.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            text = picture.info.get(CHUNK)
    except Exception:  # Pillow raises whatever it stumbles on, of a bomb too
        raise MuseError(
            f"{path.name!r} is no PNG that can be read. Give one that muse wrote."
        ) from None
    if not isinstance(text, str):
        raise MuseError(
            f"{path.name!r} has no settings of muse in it. Give a PNG as muse wrote it: other "
            "programs drop them when they save it again."
        )
    try:
        if len(text) > MOST:
            raise ValueError(f"{len(text)} letters")
        told = json.loads(text)
        schema = told["schema"]
        if not isinstance(schema, int) or not isinstance(told.get("options", {}), dict):
            raise TypeError("another form")
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MuseError(f"The settings in {path.name!r} are damaged. Give another PNG.") from None
    if schema > SCHEMA:
        raise MuseError(
            f"The settings in {path.name!r} are of schema {schema}; this muse reads up to "
            f"{SCHEMA}. Update muse."
        )
    return dict(told)
