"""Grids: two axes over any option of a recipe, a cell for each pair of values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from PIL import Image, ImageDraw

from muse.core.types import MuseError
from muse.report.contact_sheet import FAINT, INK, PAPER, font
from muse.web.recipe import Names, Recipe

AXES = tuple(field.name for field in fields(Recipe))
"""What an axis may go over: all that a recipe has."""
MOST = 100
"""Cells of a page's grid."""
RANGE = re.compile(r"\s*(\d+)\s*\.\.\s*(\d+)\s*")
TILE, GAP, MARGIN, SIDE = 160, 10, 24, 150


@dataclass(frozen=True)
class Grid:
    """What is asked for.

    Attributes:
        x, y: the options that go across and down.
        columns, rows: their values, as they were written.
        cells: "row-column" -> its recipe, row by row.
    """

    x: str
    y: str
    columns: Sequence[str]
    rows: Sequence[str]
    cells: Mapping[str, Recipe]

    @classmethod
    def read(
        cls, common: Mapping[str, Any], x: tuple[str, str], y: tuple[str, str], names: Names
    ) -> Grid:
        """Check what somebody asks for.

        Args:
            common: options that all cells share, as for `Recipe.read`.
            x, y: an option, and its values as `values_of` reads them.
            names: what may be named.

        Raises:
            MuseError: an axis that isn't an option, both the same, too many cells, or a value that
                isn't allowed.
        """
        for name, _ in (x, y):
            if name not in AXES:
                raise MuseError(f"{name[:40]!r} is no axis. Choose from: {', '.join(AXES)}.")
        if x[0] == y[0]:
            raise MuseError(f"Both axes go over {x[0]}. Choose another option for one of them.")
        columns, rows = values_of(*x), values_of(*y)
        if len(columns) * len(rows) > MOST:
            raise MuseError(
                f"{len(rows)} x {len(columns)} cells are too many for a page. Use {MOST} at most; "
                "for more, list the jobs in a file for muse fit-free."
            )
        cells = {
            f"{row}-{column}": Recipe.read({**common, x[0]: across, y[0]: down}, names)
            for row, down in enumerate(rows)
            for column, across in enumerate(columns)
        }
        return cls(x[0], y[0], columns, rows, cells)

    def sheet(self, pictures: Mapping[str, Image.Image]) -> Image.Image:
        """All pictures with the values of their row and column, as a PNG to keep.

        Args:
            pictures: by cell; one that is missing stays empty.
        """
        width = 2 * MARGIN + SIDE + len(self.columns) * (TILE + GAP)
        height = 2 * MARGIN + 2 * 24 + len(self.rows) * (TILE + GAP)
        sheet = Image.new("RGB", (width, height), PAPER)
        draw = ImageDraw.Draw(sheet)
        draw.text((MARGIN, MARGIN), f"{self.y} / {self.x}", fill=FAINT, font=font(14))
        for column, value in enumerate(self.columns):
            left = MARGIN + SIDE + column * (TILE + GAP)
            draw.text((left, MARGIN + 24), _short(value, 20), fill=INK, font=font(15))
        for row, value in enumerate(self.rows):
            top = MARGIN + 48 + row * (TILE + GAP)
            draw.text((MARGIN, top), _short(value, 17), fill=INK, font=font(15))
            for column in range(len(self.columns)):
                picture = pictures.get(f"{row}-{column}")
                if picture is not None:
                    scale = TILE / max(picture.size)
                    size = (round(picture.width * scale), round(picture.height * scale))
                    tile = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
                    sheet.paste(tile, (MARGIN + SIDE + column * (TILE + GAP), top))
        return sheet


def values_of(name: str, text: str) -> list[str]:
    """The values of an axis: ``awe, fear`` or, where values hold commas, ``awe:1,fear:1; sadness``;
    whole numbers also as ``1..5``.

    Raises:
        MuseError: none, or one twice.
    """
    parts = [part.strip() for part in text.split(";" if ";" in text else ",")]
    values: list[str] = []
    for part in filter(None, parts):
        found = RANGE.fullmatch(part)
        first, last = map(int, found.groups()) if found else (0, -1)
        if last - first >= MOST:
            raise MuseError(f"{part!r} is too long for a page. Use {MOST} values at most.")
        values += [str(number) for number in range(first, last + 1)] if found else [part]
    if not values:
        raise MuseError(f"The axis {name} has no values. Write some, such as: awe, fear, sadness.")
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise MuseError(f"The axis {name} has {twice[:40]!r} twice. Write each value once.")
    return values


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
