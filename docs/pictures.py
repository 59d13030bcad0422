"""The README's pictures: python docs/pictures.py [sheet|strip|moving]

Three prompts in all emotions, an edit, and a sampling as it is steered, on muse-mini.
Prompts and seeds were chosen before the pictures were seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jsonargparse import auto_cli
from PIL import Image, ImageDraw
from torch import Tensor

from muse import MusePipeline
from muse.core.emotions import COLORS, EMOTIONS, WHEEL
from muse.core.jobs import Job
from muse.core.types import Denoised
from muse.core.watching import Watcher
from muse.presets.building import preset
from muse.report.contact_sheet import FAINT, INK, PAPER, font
from muse.sampling import Sampler

FOLDER = Path(__file__).parent
PROMPTS = "a dog in a park", "a lighthouse on a beach", "a bicycle on a street"
SEED = 1
TILE, GAP, HEAD = 192, 10, 28


def sheet() -> None:
    """Rows are prompts, columns the plain picture and the eight emotions: docs/moods.webp."""
    pipe = MusePipeline.from_pretrained("muse-mini")
    pipe.set_progress_bar_config(disable=True)
    rows = [
        pipe(prompt, [None, *WHEEL], generator=[_seeded() for _ in range(9)]).images
        for prompt in PROMPTS
    ]
    _grid(rows, ["plain", *WHEEL], PROMPTS).save(FOLDER / "moods.webp", quality=90, method=6)


def strip() -> None:
    """A picture, and what four emotions make of it: docs/edit.webp."""
    pipe = MusePipeline.from_pretrained("muse-mini")
    pipe.set_progress_bar_config(disable=True)
    prompt, emotions = "a boat on a beach", ["awe", "amusement", "sadness", "fear"]
    [source] = pipe(prompt, generator=_seeded()).images
    edits = pipe(prompt, emotions, image=source).images
    made = _grid([[source, *edits]], ["source", *emotions], [prompt])
    made.save(FOLDER / "edit.webp", quality=90, method=6)


def moving(prompt: str = "a dog in a park", emotion: str = "fear") -> None:
    """One noise led by the plain model and by muse, step by step, with what the guide reads:
    docs/moving.webp.
    """
    sampler = Sampler(**preset("default"))
    jobs = [Job("plain", prompt, None, SEED), Job("steered", prompt, {emotion: 1.0}, SEED)]
    frames = Frames(sampler)
    list(sampler.sample(jobs, 2, [frames]))
    pages = [
        _page(pictures, prompt, emotion)
        for pictures in zip(*(frames.seen[job.id] for job in jobs), strict=True)
    ]
    lengths = [90] * (len(pages) - 1) + [2500]
    pages[0].save(
        FOLDER / "moving.webp", save_all=True, append_images=pages[1:], duration=lengths, loop=0,
        quality=80, method=6,
    )  # fmt: skip


class Frames(Watcher):
    """Each row's picture after each step, and how the guide reads it."""

    def __init__(self, sampler: Sampler) -> None:
        self.guide, self.decode = sampler.answers.guide, sampler.backbone.decode
        self.seen: dict[str, list[tuple[Image.Image, list[float]]]] = {}

    @torch.no_grad()
    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> None:
        """Keep it, through the large decoder."""
        picture = self.decode(denoised.x0)
        p: list[float] = self.guide.read(picture).softmax(-1)[0].tolist()
        pixels = (picture[0].clamp(0, 1).permute(1, 2, 0) * 255).round().byte()
        self.seen.setdefault(job.id, []).append((Image.fromarray(pixels.numpy()), p))


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def _grid(
    rows: Sequence[Sequence[Image.Image]], heads: Sequence[str], titles: Sequence[str]
) -> Image.Image:
    columns, each = len(heads), TILE + GAP
    height = len(rows) * (each + HEAD) + HEAD + GAP
    page = Image.new("RGB", (columns * each + GAP, height), PAPER)
    draw = ImageDraw.Draw(page)
    for column, head in enumerate(heads):
        draw.text((GAP + column * each, GAP // 2), head, fill=INK, font=font(18))
    for row, (pictures, title) in enumerate(zip(rows, titles, strict=True)):
        top = HEAD + row * (each + HEAD)
        draw.text((GAP, top), title, fill=FAINT, font=font(16))
        for column, picture in enumerate(pictures):
            large = picture.resize((TILE, TILE), Image.Resampling.BICUBIC)
            page.paste(large, (GAP + column * each, top + HEAD))
    return page


def _page(
    pictures: Sequence[tuple[Image.Image, list[float]]], prompt: str, emotion: str
) -> Image.Image:
    side, bar = 288, 12
    page = Image.new("RGB", (2 * side + 3 * GAP, side + 2 * HEAD + 9 * bar), PAPER)
    draw = ImageDraw.Draw(page)
    for place, ((picture, p), title) in enumerate(
        zip(pictures, (prompt, f"the same, {emotion}"), strict=True)
    ):
        left = GAP + place * (side + GAP)
        draw.text((left, GAP // 2), title, fill=INK, font=font(16))
        page.paste(picture.resize((side, side), Image.Resampling.BICUBIC), (left, HEAD))
        for number, name in enumerate(WHEEL):
            top = HEAD + side + GAP + number * (bar + 3)
            draw.text((left, top - 2), name, fill=FAINT, font=font(11))
            share = p[EMOTIONS.index(name)]
            end = left + 90 + round(share * (side - 90))
            draw.rectangle((left + 90, top, max(end, left + 91), top + bar - 2), fill=COLORS[name])
    return page


if __name__ == "__main__":
    auto_cli([sheet, strip, moving])
