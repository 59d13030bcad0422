"""Where a row starts, and what a mask holds it to."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from torch import Tensor

from muse.core.asks import Ask, Observe
from muse.core.frames import Frame, box_of, latent_mask
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError
from muse.latents import Start
from muse.latents.noise import like
from muse.sampling.returned import returned, row_of
from muse.sampling.setup import Setup

Path = Generator[list[Ask], list[Any], list[Tensor]]
"""Asks for what it needs, and returns the latents of a way."""


def begun(setup: Setup, job: Job, cond: Cond) -> Generator[list[Ask], list[Any], Start]:
    """Where the source says that a row starts.

    Args:
        setup: of the row.
        job: of the row.
        cond: of its prompt.

    Raises:
        MuseError: the source gives what is no start.
    """
    source, grid = setup.latents, setup.grid
    scale, negative = setup.guidance.scale, setup.negative_prompt
    job = replace(job, guidance_scale=scale, negative_prompt=negative)
    made = source(job, setup.answers.backbone, grid, cond, setup.size)
    found = returned(source, (yield from row_of(source, made)), Start, Tensor)
    start = found if isinstance(found, Start) else Start(found)
    name, steps = type(source).__name__, len(grid) - start.node
    if not 0 < steps <= len(grid):
        raise MuseError(
            f"{name} starts at node {start.node}, and there are {len(grid)} steps. Use 0 to "
            f"{len(grid) - 1}."
        )
    wanted = (1, *setup.answers.backbone.latent_shape(setup.size))
    if tuple(start.x.shape) != wanted:
        raise MuseError(f"{name} gives a latent {tuple(start.x.shape)}. Give {wanted}.")
    for what, there, wants in (("path", start.path, steps + 1), ("nulls", start.nulls, steps)):
        if there and len(there) != wants:
            raise MuseError(f"{name} gives {len(there)} {what} for {steps} steps. Give {wants}.")
    return replace(start, x=start.x.to(like(cond)))


def held(
    setup: Setup, job: Job, start: Start, plain: Callable[[Start], Path] | None
) -> Generator[list[Ask], list[Any], tuple[Start, Frame | None]]:
    """The start with the job's mask, which holds the row to the picture that is edited, or where
    there is none to its plain twin; and the frame around all that is looked at from then on, None
    where there is no mask, or the way of the twin was stopped.

    Args:
        setup: of the row.
        job: of the row.
        start: where it starts.
        plain: makes the plain twin's latents from a start; None where the row is its own twin.

    Raises:
        MuseError: a mask where none can be.
    """
    source, backbone = setup.latents, setup.answers.backbone
    if job.mask is not None and backbone.has_points:
        raise MuseError(f"{type(backbone).__name__} has points, which no mask lies over.")
    pixels = source.mask_of(job, setup.size)
    if pixels is None or bool((pixels == 1).all()):
        return start, None
    picture = source.picture_of(job, setup.size)
    if not start.path and picture is not None:
        raise MuseError(
            f"{type(source).__name__} gives no path of the picture, which a mask holds to. Use "
            "DDIMInversion, NullTextInversion or PartialNoise."
        )
    path = start.path
    if not path:
        if plain is None:
            return start, None
        path = yield from plain(start)
    if len(path) <= len(setup.grid) - start.node:  # stopped on the way
        return start, None
    if picture is None:
        [seen] = yield [Observe(path[-1], "", final=True, logits=False, similarity=False)]
        picture = seen.image
    mask = latent_mask(pixels, start.x).to(start.x)
    if start.mask is not None:
        mask = mask * start.mask.to(mask)
    box = box_of(pixels) if setup.mask_view == "inside" else None
    frame = Frame(mask, path[-1], pixels.to(picture), picture, box)
    return replace(start, path=path, mask=mask), frame
