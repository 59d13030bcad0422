"""Grids: two axes over any option of a recipe, a cell for each pair of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from PIL import Image

from muse.core.types import MuseError
from muse.data.axes import values_of
from muse.report.contact_sheet import paste
from muse.report.grid_sheet import Sheet
from muse.web.recipe import Names, Recipe

AXES = tuple(field.name for field in fields(Recipe))
"""What an axis may go over: all that a recipe has."""
MOST = 100
"""Cells of a page's grid."""


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
            x, y: an option, and its values as `muse.data.axes.values_of` reads them.
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
        columns, rows = values_of(*x, MOST), values_of(*y, MOST)
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
        sheet = Sheet((self.x, self.columns), (self.y, self.rows))
        for row in range(len(self.rows)):
            for column in range(len(self.columns)):
                picture = pictures.get(f"{row}-{column}")
                if picture is not None:
                    paste(sheet.image, picture, *sheet.place(row, column))
        return sheet.image
