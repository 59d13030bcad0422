"""Axes of a grid: an option, and the values that it goes over."""

from __future__ import annotations

import re
from dataclasses import dataclass

from muse.core.types import MuseError

MOST = 1000
"""Values of an axis."""
RANGE = re.compile(r"(\d+)\s*\.\.\s*(\d+)")


@dataclass(frozen=True)
class Axis:
    """What changes from row to row, or from column to column.

    Attributes:
        name: of the option.
        values: as they were written, each once.
    """

    name: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Read ``emotion=awe,fear`` (`values_of` reads what follows the sign).

        Raises:
            MuseError: no name, no values, one twice, or a hole between them.
        """
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--").removeprefix("model.")
        if not name or not equals:
            raise MuseError(
                f"{text!r} is no axis. Write an option and its values: emotion=awe,fear."
            )
        return cls(name, tuple(values_of(name, values)))


def values_of(name: str, text: str, most: int = MOST) -> list[str]:
    """The values of an axis: ``awe, fear`` or, where values hold commas, ``awe:1,fear:1; sadness``
    (a semicolon at the end tells of a single one); whole numbers also as ``1..5``.

    Args:
        name: of the axis, for messages.
        text: the values.
        most: so many at most.

    Raises:
        MuseError: none, one twice, a hole between them, or too many.
    """
    sign = ";" if ";" in text else ","
    parts = [part.strip() for part in text.split(sign)]
    if parts[-1] == "":
        parts.pop()
    if not any(parts):
        raise MuseError(f"The axis {name} has no values. Write some, such as: awe, fear, sadness.")
    if "" in parts:
        raise MuseError(f"The axis {name} has an empty value. Write one between any two {sign!r}.")
    values: list[str] = []
    for part in parts:
        found = RANGE.fullmatch(part)
        first, last = map(int, found.groups()) if found else (0, 0)
        if last < first:
            raise MuseError(f"The axis {name} has {part!r}, which is no range. Write 1..5.")
        if last - first >= most or len(values) >= most:
            raise MuseError(f"The axis {name} is too long at {part[:40]!r}. Use {most} at most.")
        values += [str(number) for number in range(first, last + 1)] if found else [part]
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise MuseError(f"The axis {name} has {twice[:40]!r} twice. Write each value once.")
    return values
