"""The contact sheet: a row for every prompt, the plain picture first, its emotions beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from muse.core.emotions import COLORS, WHEEL, strongest
from muse.core.intensity import emotion_text
from muse.core.pictures import open_picture
from muse.core.types import MuseError
from muse.runs.records import Layout, Record, is_plain, target_probability

TILE = 168
GAP = 14
LABEL = 44
HEADER = 34
MARGIN = 28
MAX_ROWS = 24
INK, FAINT, PAPER, RULE = "#1c1c1e", "#77777c", "#ffffff", "#e6e6ea"


def contact_sheet(records: Sequence[Record], folder: Path) -> Image.Image | None:
    """Lay a run's pictures out, plain beside steered, each with the guide's probability of its
    target; None where there is no picture.

    Args:
        records: of the run; at most 24 prompts are shown.
        folder: of the run, with ``images/<id>.png`` and, for plain twins, ``plain/<id>.png``.
    """
    rows = list(_rows([r for r in records if r["status"] == "done"]).values())[:MAX_ROWS]
    if not rows:
        return None
    twins = any(_twin(row) for row in rows)
    columns = max(len(row) for row in rows) + twins
    width = 2 * MARGIN + columns * TILE + (columns - 1) * GAP
    row_height = HEADER + TILE + LABEL
    sheet = Image.new("RGB", (width, 2 * MARGIN + len(rows) * row_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, row in enumerate(rows):
        top = MARGIN + index * row_height
        draw.text((MARGIN, top), row[0]["prompt"], fill=INK, font=font(18))
        draw.line((MARGIN, top + 26, width - MARGIN, top + 26), fill=RULE)
        _row(sheet, draw, row, folder, top + HEADER, twins)
    return sheet


def _rows(records: Sequence[Record]) -> Mapping[tuple[Any, ...], list[Record]]:
    rows: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        same = record["prompt"], record["seed"], record["image"], record.get("mask")
        rows.setdefault(same, []).append(record)
    for row in rows.values():
        row.sort(key=_position)
    return rows


def _position(record: Record) -> tuple[int, int, float, str]:
    target, intensity = record["target"], record.get("intensity")
    place = WHEEL.index(strongest(target))
    return (len(target), place, 1.0 if intensity is None else intensity, record["id"])


def _row(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    row: Sequence[Record],
    folder: Path,
    top: int,
    twins: bool,
) -> None:
    left, layout = MARGIN, Layout(folder)
    if twins:
        twin = _twin(row)
        if twin is not None:
            tile(sheet, layout.picture(twin["plain"], plain=True), left, top)
            _plain_caption(draw, left, top, twin["plain_probabilities"])
        left += TILE + GAP
    for record in row:
        tile(sheet, layout.picture(record["id"]), left, top)
        if is_plain(record["target"]):
            _plain_caption(draw, left, top, record["probabilities"])
        else:
            color = COLORS[strongest(record["target"])]
            intensity = record.get("intensity")
            remark = "never started" if record["start_step"] is None and intensity != 0 else ""
            value = target_probability(record) or 0.0
            text = emotion_text(record["target"], intensity)
            caption(draw, left, top, text, color, value, remark)
        left += TILE + GAP


def _plain_caption(
    draw: ImageDraw.ImageDraw, left: int, top: int, probabilities: Mapping[str, float]
) -> None:
    likeliest = strongest(probabilities)
    caption(draw, left, top, "plain", FAINT, probabilities[likeliest], likeliest)


def _twin(row: Sequence[Record]) -> Record | None:
    """The first of a row's records that tells of its plain twin: that may have failed, or not be
    made yet.
    """
    return next((record for record in row if record["plain_probabilities"]), None)


def tile(sheet: Image.Image, path: Path, left: int, top: int) -> None:
    """Paste a picture file onto a sheet, scaled to `TILE` pixels; the place of one that can't be
    read stays empty.
    """
    with suppress(MuseError):
        paste(sheet, open_picture(path).image, left, top)


def paste(sheet: Image.Image, picture: Image.Image, left: int, top: int) -> None:
    """Paste a picture onto a sheet, scaled to `TILE` pixels, at the foot of its place."""
    small = max(picture.size) < TILE
    filtering = Image.Resampling.BICUBIC if small else Image.Resampling.LANCZOS
    scale = TILE / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    sheet.paste(picture.resize(size, filtering), (left, top + TILE - size[1]))


def caption(
    draw: ImageDraw.ImageDraw,
    left: int,
    top: int,
    text: str,
    color: str,
    value: float,
    remark: str,
) -> None:
    """Write below a tile: a bar as long as `value` in [0, 1], a text, and the per cent after a
    remark.
    """
    bar = top + TILE + 3
    draw.rectangle((left, bar, left + TILE - 1, bar + 3), fill=RULE)
    draw.rectangle((left, bar, left + round((TILE - 1) * value), bar + 3), fill=color)
    draw.text((left, bar + 8), text, fill=color, font=font(14))
    percent = f"{remark} {100 * value:.0f} %".strip()
    draw.text((left + TILE, bar + 8), percent, fill=FAINT, font=font(14), anchor="ra")


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The sheets' lettering."""
    return ImageFont.load_default(size)
