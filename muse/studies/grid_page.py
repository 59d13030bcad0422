"""The sheet and the page of a grid: grid.png and grid.html."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from muse.core.emotions import COLORS, strongest
from muse.core.files import write_text
from muse.core.intensity import emotion_text
from muse.core.pictures import save_png
from muse.report.contact_sheet import FAINT, TILE, caption, font, tile
from muse.report.grid_sheet import Sheet, lines, parts
from muse.runs.records import Record, target_probability, versions
from muse.studies.grids import Cell, Grid, generate_words
from muse.studies.page import FOLDER, KEPT, ROOM, filled, small

INLINE = 100
"""Pictures that the page carries itself; more stay beside it."""


@dataclass(frozen=True)
class Shown:
    """What there is of a cell.

    Attributes:
        cell: the cell.
        file: its picture, None where there is none.
        record: how it came to be, empty where there is none.
        failed: why there is none, where it was tried.
    """

    cell: Cell
    file: Path | None
    record: Record
    failed: str | None

    @property
    def reading(self) -> tuple[str, str, float] | None:
        """What it was steered to (``plain``, if to nothing), the emotion whose probability by the
        guide is told, and that: of the target, or of what a plain picture shows most.
        """
        if not self.record:
            return None
        probabilities, target = self.record["probabilities"], self.record["target"]
        wanted = target_probability(self.record)
        if not self.cell.arm.emotion or wanted is None:
            most = strongest(probabilities)
            return "plain", most, probabilities[most]
        return emotion_text(target, self.record["intensity"]), strongest(target), wanted


def write_grid(grid: Grid, cells: Mapping[tuple[int, int], Shown], folder: Path) -> list[str]:
    """Write grid.png (several, where one would be too large) and grid.html.

    Args:
        grid: what was asked for.
        cells: what there is, by row and column.
        folder: the grid's; pictures lie below it.

    Returns:
        what to tell about them.
    """
    blocks = list(parts(len(grid.rows), len(grid.x.values)))
    names = [f"grid-{n}.png" for n in range(1, len(blocks) + 1)] if blocks[1:] else ["grid.png"]
    for old in {*folder.glob("grid-*.png"), *folder.glob("grid.png")}:
        if old.name not in names:
            old.unlink()
    for name, (rows, columns) in zip(names, blocks, strict=True):
        save_png(folder / name, _sheet(grid, cells, rows, columns).image)
    write_text(folder / "grid.html", page(grid, cells, folder))
    there = sum(shown.file is not None for shown in cells.values())
    failed = sum(shown.failed is not None for shown in cells.values())
    first = f"{folder / names[0]}" + (f" to {names[-1]}" if names[1:] else "")
    told = [f"{failed} of {len(cells)} cells failed; the page says why."] if failed else []
    return [f"{there} of {len(cells)} cells are in {first} and {folder / 'grid.html'}", *told]


def _sheet(
    grid: Grid, cells: Mapping[tuple[int, int], Shown], rows: range, columns: range
) -> Sheet:
    x = grid.x.name, [grid.x.values[column] for column in columns]
    y = "" if grid.y is None else grid.y.name, [grid.rows[row] for row in rows]
    sheet = Sheet(x, y, grid.title)
    for row in rows:
        for column in columns:
            shown = cells[row, column]
            left, top = sheet.place(row - rows.start, column - columns.start)
            if shown.file is None:
                text = "not made" if shown.failed is None else f"failed: {shown.failed}"
                for number, line in enumerate(lines(text, TILE, 14, 6)):
                    sheet.draw.text((left, top + 8 + 18 * number), line, fill=FAINT, font=font(14))
                continue
            tile(sheet.image, shown.file, left, top)
            if shown.reading is not None:
                name, read, value = shown.reading
                plain = name == "plain"
                color = FAINT if plain else COLORS[read]
                caption(sheet.draw, left, top, name, color, value, read if plain else "")
    return sheet


def page(grid: Grid, cells: Mapping[tuple[int, int], Shown], folder: Path) -> str:
    """The page, as HTML: a table that needs no script, and a script that shows one picture large.

    Args:
        grid: what was asked for.
        cells: what there is, by row and column.
        folder: where the page will lie; up to `INLINE` pictures are in it, more beside it.
    """
    told = json.dumps([_told(shown) for shown in cells.values()], ensure_ascii=False)
    texts = ("style.css", "grid.css", "grid.js")
    read = {name: (FOLDER / name).read_text(encoding="utf-8") for name in texts}
    count = sum(shown.file is not None for shown in cells.values())
    axes = f"{grid.x.name} across" + ("" if grid.y is None else f", {grid.y.name} down")
    common = [f"{name} {value}" for name, value in grid.common.items() if name != "prompt"]
    return filled(
        "grid.html",
        {
            "style": read["style.css"] + read["grid.css"],
            "script": read["grid.js"],
            "title": escape(grid.title),
            "about": escape("; ".join([f"{axes}. {count} of {len(cells)} pictures", *common])),
            "table": _table(grid, cells, folder),
            "versions": escape(" · ".join(f"{k} {v}" for k, v in versions().items())),
            "data": told.replace("<", "\\u003c"),
        },
    )


def _table(grid: Grid, cells: Mapping[tuple[int, int], Shown], folder: Path) -> str:
    sources, width = _sources(cells, folder), len(grid.x.values)
    head = "".join(f'<th scope="col">{escape(value)}</th>' for value in grid.x.values)
    down = "" if grid.y is None else f"{escape(grid.y.name)} \N{DOWNWARDS ARROW} "
    rows = [f"<tr><th>{down}{escape(grid.x.name)} \N{RIGHTWARDS ARROW}</th>{head}</tr>"]
    for row, value in enumerate(grid.rows):
        inside = [f'<th scope="row">{escape(value)}</th>']
        for column, across in enumerate(grid.x.values):
            shown, number = cells[row, column], row * width + column
            inside.append(f"<td>{_cell(shown, sources, folder, number, f'{value} {across}')}</td>")
        rows.append(f"<tr>{''.join(inside)}</tr>")
    body = "\n".join(rows[1:])
    return f"<table><thead>{rows[0]}</thead>\n<tbody>\n{body}\n</tbody></table>"


def _cell(shown: Shown, sources: Mapping[Path, str], folder: Path, number: int, values: str) -> str:
    if shown.file is None:
        why = "not made" if shown.failed is None else f"failed: {shown.failed}"
        return f'<div class="gap">{escape(why)}</div>'
    picture = f'<img src="{sources[shown.file]}" alt="{escape(values.strip())}" loading="lazy">'
    link = f'<a href="{_beside(shown.file, folder)}" data-cell="{number}">{picture}</a>'
    if shown.reading is None:
        return link
    name, read, value = shown.reading
    text = f"{read} {value:.0%}" if name == "plain" else f"{value:.0%}"
    bar = f'<span class="bar-of" style="--c:{COLORS[read]};--p:{100 * value:.0f}%"></span>'
    return f'{link}{bar}<span class="says">{text}</span>'


def _sources(cells: Mapping[tuple[int, int], Shown], folder: Path) -> dict[Path, str]:
    """What the page shows of each picture: itself, shrunk, or a path."""
    files = list(dict.fromkeys(s.file for s in cells.values() if s.file is not None))
    beside = {file: _beside(file, folder) for file in files}
    if len(files) > INLINE:
        return beside
    made = {file: small(file) for file in files}
    if sum(len(one or b"") for one in made.values()) > ROOM:
        return beside
    return {
        file: f"data:image/webp;base64,{base64.b64encode(one).decode()}" if one else beside[file]
        for file, one in made.items()
    }


def _beside(file: Path, folder: Path) -> str:
    return quote(file.absolute().relative_to(folder.absolute()).as_posix())


def _told(shown: Shown) -> dict[str, Any]:
    """Of a cell, what the page shows when it is opened."""
    job, steered = shown.cell.job, shown.cell.arm.emotion
    kept = [key for key in KEPT if key in shown.record and (steered or key != "target")]
    return {
        "prompt": job.prompt,
        "arm": shown.cell.arm.name,
        "reading": shown.reading,
        "command": shlex.join(["muse", "generate", *generate_words(shown.cell)]),
        "record": {key: shown.record[key] for key in kept},
    }
