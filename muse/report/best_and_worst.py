"""The pictures that the judges find nearest to their target, and farthest from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from muse.core.emotions import COLORS, EMOTIONS, strongest, target_text
from muse.metrics.bootstrap import Values
from muse.metrics.evaluation import Evaluation
from muse.report.contact_sheet import (
    FAINT,
    GAP,
    HEADER,
    INK,
    LABEL,
    MARGIN,
    PAPER,
    RULE,
    TILE,
    caption,
    font,
    tile,
)

COLUMNS, ROWS = 6, 2
TITLE = 36


def best_and_worst(evaluation: Evaluation) -> Image.Image | None:
    """Twelve steered pictures of the highest probability of their target and twelve of the
    lowest, by the mean of the judges that did not guide (of all, where each did).

    Returns None where no judge was asked, or none of the pictures can be read.
    """
    judges = [one for one in evaluation.measured if evaluation.shown in one.readings]
    judges = [judge for judge in judges if not judge.guided] or judges
    if not judges:
        return None
    wanted = np.array(
        [[name in r["target"] for name in EMOTIONS] for r in evaluation.run.records], dtype=float
    )
    value: Values = np.mean(
        [(judge.readings[evaluation.shown] * wanted).sum(-1) for judge in judges], axis=0
    )
    order = [int(index) for index in np.argsort(-value, kind="stable") if np.isfinite(value[index])]
    shown = min(COLUMNS * ROWS, -(-len(order) // 2))
    names = ", ".join(judge.metric.name for judge in judges)
    who = names if len(judges) == 1 else f"mean of {names}"
    bands = {"highest": order[:shown], "lowest": order[::-1][: min(shown, len(order) - shown)]}
    columns = min(COLUMNS, shown)
    band = TITLE + -(-shown // columns) * (HEADER + TILE + LABEL)
    width = 2 * MARGIN + columns * TILE + (columns - 1) * GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + 2 * band), PAPER)
    for number, (which, rows) in enumerate(bands.items()):
        top = MARGIN + number * band
        draw = ImageDraw.Draw(sheet)
        title = _cut(draw, f"{which} probability of the target, {who}", width - 2 * MARGIN, 18)
        draw.text((MARGIN, top), title, fill=INK, font=font(18))
        draw.line((MARGIN, top + 26, width - MARGIN, top + 26), fill=RULE)
        _band(sheet, evaluation, rows, value, top + TITLE)
    return sheet


def _band(
    sheet: Image.Image, evaluation: Evaluation, rows: Sequence[int], value: Values, top: int
) -> None:
    draw = ImageDraw.Draw(sheet)
    for place, index in enumerate(rows):
        record = evaluation.run.records[index]
        left = MARGIN + place % COLUMNS * (TILE + GAP)
        head = top + place // COLUMNS * (HEADER + TILE + LABEL)
        prompt = " ".join(record["prompt"].split())  # a line break has no width
        draw.text((left, head), _cut(draw, prompt, TILE, 14), fill=FAINT, font=font(14))
        path = evaluation.arms[evaluation.shown](record)
        if path is not None:
            tile(sheet, path, left, head + HEADER - 10)
        target, color = record["target"], COLORS[strongest(record["target"])]
        caption(draw, left, head + HEADER - 10, target_text(target), color, value[index], "")


def _cut(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """As much of a text as `width` pixels hold."""
    if draw.textlength(text, font(size)) <= width:
        return text
    while text and draw.textlength(f"{text} ...", font(size)) > width:
        text = text[:-1]
    return f"{text.rstrip()} ..."
