"""The sheet of a grid: a place for every pair of values, which stand over and beside the places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw

from muse.report.contact_sheet import FAINT, INK, MARGIN, PAPER, RULE, TILE, font

GAP = 12
CAPTION = 40
"""Pixels below a picture, for what is written there."""
SIDE = 150
"""Pixels of the values beside the rows."""
LINE = 19
LINES = 3
"""Of a value at most; what is longer is cut."""
MOST = 32
"""Rows, and columns, of one sheet: more make a picture that few programs show."""


class Sheet:
    """A sheet to paste pictures onto.

    Args:
        x: what changes across, and its values.
        y: what changes down, and its values; no name where there is one row.
        title: above all.

    Attributes:
        image: the sheet.
        draw: draws on it.
    """

    def __init__(
        self, x: tuple[str, Sequence[str]], y: tuple[str, Sequence[str]], title: str = ""
    ) -> None:
        across = [lines(value, TILE) for value in x[1]]
        down = [lines(value, SIDE - GAP) if y[0] else [] for value in y[1]]
        self.left = MARGIN + (SIDE if y[0] else 0)
        heading = 1.5 * LINE if title else 0.0
        self.top = round(MARGIN + heading + 1.4 * LINE + max(map(len, across)) * LINE)
        width = self.left + len(across) * (TILE + GAP) - GAP + MARGIN
        height = self.top + len(down) * (TILE + CAPTION) + MARGIN
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        if title:
            room = width - 2 * MARGIN
            self.draw.text((MARGIN, MARGIN), lines(title, room, 18, 1)[0], fill=INK, font=font(18))
        axes = f"{x[0]} across" + (f", {y[0]} down" if y[0] else "")
        self.draw.text((MARGIN, MARGIN + heading), axes, fill=FAINT, font=font(14))
        self.draw.line((MARGIN, self.top - 4, width - MARGIN, self.top - 4), fill=RULE)
        for column, found in enumerate(across):
            left, top = self.place(0, column)
            self._write(left, top - 8 - len(found) * LINE, found)
        for row, found in enumerate(down):
            self._write(MARGIN, self.place(row, 0)[1], found)

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Where a cell's picture goes: left and top, in pixels."""
        return self.left + column * (TILE + GAP), self.top + row * (TILE + CAPTION)

    def _write(self, left: int, top: int, found: Sequence[str]) -> None:
        for number, line in enumerate(found):
            self.draw.text((left, top + number * LINE), line, fill=INK, font=font(15))


def parts(rows: int, columns: int) -> Iterator[tuple[range, range]]:
    """The rows and columns of each sheet, where one would be too large: row of sheets by row."""
    for top in range(0, rows, MOST):
        for left in range(0, columns, MOST):
            yield range(top, min(top + MOST, rows)), range(left, min(left + MOST, columns))


def lines(text: str, width: int, size: int = 15, most: int = LINES) -> list[str]:
    """A text as lines that are at most `width` pixels wide, parted between words where that goes;
    what is left after `most` lines is cut, which shows.

    Args:
        text: without line breaks.
        width: in pixels.
        size: of the letters.
        most: lines.
    """
    found: list[str] = []
    rest, letters = text, font(size)
    while rest and len(found) < most:
        fitting = rest[: width // 2]  # no letter is narrower
        while len(fitting) > 1 and letters.getlength(fitting) > width:
            fitting = fitting[:-1]
        cut = fitting.rfind(" ") if len(fitting) < len(rest) else -1
        line = fitting[:cut] if cut > 0 else fitting
        found.append(line.strip())
        rest = rest[len(line) :].strip()
    if rest:
        found[-1] = f"{found[-1][:-1]}…"
    return found
