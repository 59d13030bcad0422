"""Sheets for viewers who aren't told what a picture was meant to show, and what they answered.

python benchmarks/blind.py name outputs/run blind                     numbered pictures of a run
python benchmarks/blind.py choose outputs/old outputs/new blind       pairs; who is left is chance
python benchmarks/blind.py score blind/key.csv answers.csv

Viewers are shown the sheets and not key.csv. They answer by a CSV with the columns ``number``,
``thing``, ``place`` and ``mood``, or ``number`` and ``choice`` (left or right).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli
from PIL import Image, ImageDraw

from muse.core.files import make_folder
from muse.mini.catalog import PLACES, THINGS
from muse.mini.content import named
from muse.report.contact_sheet import font
from muse.runs.records import Layout, Record, read_records

TILE, GAP, COLUMNS = 256, 16, 4
PARTS = "thing", "place", "mood"


def name(run: Path, out: Path, count: int = 64, rows: int = 4, seed: int = 0) -> None:
    """Write pictures of a run in random order, numbered, on sheets.

    Args:
        run: a run's folder.
        out: where sheets and key.csv go.
        count: pictures, at most.
        rows: of four pictures each, on a sheet.
        seed: of the order.
    """
    records = _done(run)
    random.Random(seed).shuffle(records)
    records = records[:count]
    pictures = [_picture(run, record) for record in records]
    _sheets([[picture] for picture in pictures], out, rows, COLUMNS)
    key = [
        {
            "thing": named(record["prompt"], list(THINGS)),
            "place": named(record["prompt"], list(PLACES)),
            "mood": "" if record["target"] is None else max(record["target"], key=_of(record)),
            "id": record["id"],
        }
        for record in records
    ]
    _key(key, out)


def choose(
    first: Path, second: Path, out: Path, count: int = 40, size: int = 64, seed: int = 0
) -> None:
    """Write pairs of two runs' pictures of the same jobs, side by side in random order.

    Args:
        first, second: runs' folders.
        out: where sheets and key.csv go.
        count: pairs, at most.
        size: pixels at which both are shown, so that neither is the sharper by its size alone.
        seed: of the order, and of who stands left.
    """
    chance = random.Random(seed)
    others = {record["id"]: record for record in _done(second)}
    records = [record for record in _done(first) if record["id"] in others]
    chance.shuffle(records)
    tiles, key = [], []
    for record in records[:count]:
        pair = {str(first): _picture(first, record)}
        pair[str(second)] = _picture(second, others[record["id"]])
        order = list(pair)
        chance.shuffle(order)
        small = [pair[run].resize((size, size), Image.Resampling.LANCZOS) for run in order]
        tiles.append([picture.resize((TILE, TILE), Image.Resampling.BICUBIC) for picture in small])
        key.append({"left": order[0], "right": order[1], "id": record["id"]})
    _sheets(tiles, out, 4, 2)
    _key(key, out)


def score(key: Path, answers: Path) -> None:
    """Print how often a viewer named thing, place and mood, or which run was chosen how often.

    Args:
        key: as it was written.
        answers: the viewer's.
    """
    for name_, share in scored(_rows(key), _rows(answers)).items():
        print(f"{name_}: {share[0]} of {share[1]}")


def scored(
    key: Sequence[dict[str, str]], answers: Sequence[dict[str, str]]
) -> dict[str, tuple[int, int]]:
    """Part, or run -> how often it was right, or chosen, of how many."""
    by_number = {row["number"]: row for row in key}
    asked = [(by_number[row["number"]], row) for row in answers]
    if asked and "left" in asked[0][0]:
        sides = [(truth, answer["choice"].strip().lower()) for truth, answer in asked]
        chosen = [truth[side] for truth, side in sides if side in ("left", "right")]
        runs = sorted({key[0]["left"], key[0]["right"]})
        return {run: (chosen.count(run), len(chosen)) for run in runs}
    found = {}
    for part in PARTS:
        pairs = [(t[part], a[part].strip().lower()) for t, a in asked if t[part] and a.get(part)]
        if pairs:
            found[part] = sum(truth == answer for truth, answer in pairs), len(pairs)
    return found


def _done(run: Path) -> list[Record]:
    return [record for record in read_records(run) if record["status"] == "done"]


def _of(record: Record) -> Any:
    return record["target"].__getitem__


def _picture(run: Path, record: Record) -> Image.Image:
    with Image.open(Layout(run).picture(record["id"])) as image:
        return image.convert("RGB")


def _sheets(tiles: Sequence[Sequence[Image.Image]], out: Path, rows: int, columns: int) -> None:
    """Numbered tiles, each of one picture or several side by side."""
    make_folder(out)
    each = rows * columns
    for start in range(0, len(tiles), each):
        page = tiles[start : start + each]
        width, height = len(page[0]) * (TILE + 4) + GAP, TILE + GAP + 24
        sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
        draw = ImageDraw.Draw(sheet)
        for index, pictures in enumerate(page):
            left, top = GAP + index % columns * width, GAP + index // columns * height
            draw.text((left, top), str(start + index + 1), fill="black", font=font(18))
            for number, picture in enumerate(pictures):
                large = picture.resize((TILE, TILE), Image.Resampling.BICUBIC)
                sheet.paste(large, (left + number * (TILE + 4), top + 24))
        sheet.save(out / f"sheet-{start // each + 1}.png")


def _key(rows: Sequence[dict[str, Any]], out: Path) -> None:
    if not rows:
        raise SystemExit("There is no finished picture to show, or no job that both runs have.")
    with (out / "key.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["number", *rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"number": i, **row} for i, row in enumerate(rows, start=1))


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


if __name__ == "__main__":
    auto_cli([name, choose, score])
