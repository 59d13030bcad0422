"""What stands in a jobs file, row by row: CSV, JSONL, or a prompt a line."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from muse.core.types import MuseError

COLUMNS = (
    *("id", "prompt", "emotion", "seed", "count", "image", "image_sha256"),
    *("negative_prompt", "guidance_scale", "steps", "size", "intensity"),
    *("mask", "mask_sha256"),
)
KINDS = (".csv", ".jsonl", ".txt")
DELIMITERS = (",", ";", "\t")
STDIN = "-"

Row: TypeAlias = tuple[int, Sequence[tuple[str, Any]]]
"""The number of its first line, and its values, each with its column's name as it is written."""


@dataclass(frozen=True)
class JobsFile:
    """A jobs file, read.

    Attributes:
        name: for messages.
        folder: what its relative paths are relative to.
        kind: ``.csv``, ``.jsonl`` or ``.txt``.
        text: all of it.
    """

    name: str
    folder: Path
    kind: str
    text: str

    @classmethod
    def open(cls, path: Path) -> JobsFile:
        """Read a file by the end of its name, or standard input (``-``) by its first line.

        Raises:
            MuseError: of an unknown kind, one that can't be read, or not UTF-8.
        """
        if str(path) == STDIN:
            text = _decoded("standard input", sys.stdin.buffer.read())
            return cls("standard input", Path.cwd(), _kind(text), text)
        kind = path.suffix.lower()
        if kind not in KINDS:
            raise MuseError(
                f"Jobs file {str(path)!r} is of an unknown kind. Use .csv, .jsonl or .txt, or - "
                "for standard input."
            )
        try:
            text = _decoded(str(path), path.read_bytes())
        except OSError as error:
            raise MuseError(f"Jobs file {str(path)!r} can't be read ({error}).") from None
        if kind == ".txt" and _delimiter(text):  # a spreadsheet's "Unicode text"
            kind = ".csv"
        return cls(str(path), path.parent, kind, text)

    def rows(self) -> Iterator[Row]:
        """Every row that isn't blank."""
        read = {".csv": self._table, ".jsonl": self._objects, ".txt": self._prompts}
        yield from read[self.kind]()

    def at(self, line: int, told: object) -> MuseError:
        """A mistake in a line."""
        return MuseError(f"{self.name}, line {line}: {told}")

    def _table(self) -> Iterator[Row]:
        rows = self._cells()
        number, header = next(rows, (1, [""]))
        while header and not header[-1]:
            header.pop()
        if not {"prompt", "emotion"} <= {name.lower() for name in header}:
            raise self.at(
                number,
                f"the header is {','.join(header)!r}. It needs prompt and emotion; allowed: "
                f"{', '.join(COLUMNS)}.",
            )
        for number, cells in rows:
            row = cells[: len(header)]
            if len(row) < len(header) or any(cells[len(header) :]):
                raise self.at(
                    number,
                    f"not {len(header)} values, as many as the header has ({','.join(header)}). "
                    "Quote a value that contains a comma.",
                )
            yield number, list(zip(header, row, strict=True))

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        """Rows that aren't empty, a line break inside of quotes read as a space."""
        lines = io.StringIO(self.text, newline="")
        delimiter = _delimiter(self.text) or ","
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        number = 1
        try:
            for row in reader:
                cells = [" ".join(filter(None, map(str.strip, _lines(c)))) for c in row]
                if any(cells):
                    yield number, cells
                number = reader.line_num + 1
        except csv.Error as error:
            raise self.at(reader.line_num, f"not CSV ({error}).") from None

    def _objects(self) -> Iterator[Row]:
        for number, line in enumerate(_lines(self.text), start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                json.dumps(entry, ensure_ascii=False).encode()  # half a surrogate pair is no text
            except (json.JSONDecodeError, UnicodeEncodeError) as error:
                raise self.at(number, f"not JSON ({error}).") from None
            if not isinstance(entry, dict):
                raise self.at(number, "not an object. Write one {...} a line.")
            yield number, list(entry.items())

    def _prompts(self) -> Iterator[Row]:
        for number, line in enumerate(_lines(self.text), start=1):
            if line.strip():
                yield number, [("prompt", line)]


def named(values: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A row's values by column: names in any case, nameless empty ones left out.

    Raises:
        MuseError: a column that is unknown or stands twice.
    """
    found: dict[str, Any] = {}
    for name, value in values:
        column = name.strip().lower()
        if not column and not value:
            continue
        if column not in COLUMNS:
            raise MuseError(f"unknown column {name!r}. Allowed: {', '.join(COLUMNS)}.")
        if column in found:
            raise MuseError(f"column {column!r} stands twice. Leave one out.")
        found[column] = value
    return found


def _decoded(name: str, data: bytes) -> str:
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if marked else "utf-8-sig")
        bad = text.find("\0")  # of UTF-16 without a mark
        line = text[: max(bad, 0)].count("\n") + 1
    except UnicodeDecodeError as error:
        bad, line = error.start, data[: error.start].count(b"\n") + 1
    if bad >= 0:
        raise MuseError(
            f"{name}, line {line}: not UTF-8. Save the file as UTF-8 (in a spreadsheet, as 'CSV "
            "UTF-8')."
        )
    return text


def _lines(text: str) -> list[str]:
    """Split where an editor does. `str.splitlines` would split at U+0085 and U+2028 too, which
    stand in prompts, and in JSON as they are.
    """
    return re.split(r"\r\n|\r|\n", text)


def _kind(text: str) -> str:
    """By the first line: an object, a header, or else a prompt."""
    if text.lstrip().startswith("{"):
        return ".jsonl"
    return ".csv" if _delimiter(text) else ".txt"


def _delimiter(text: str) -> str | None:
    """What separates the columns of the header, one of which is ``prompt``; None without one."""
    first = next((line for line in _lines(text) if line.strip(' ,;\t"')), "")[:1000]
    for delimiter in DELIMITERS:
        names = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        if "prompt" in (name.strip().lower() for name in names):
            return delimiter
    return None
