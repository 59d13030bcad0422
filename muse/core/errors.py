"""What is told to a user in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real


class MuseError(ValueError):
    """A user's mistake, told in one line: what was given, what is allowed, what to do."""


def check_choice(name: str, given: object, allowed: Sequence[str]) -> None:
    """Refuse what isn't among a few words.

    Raises:
        MuseError: another one.
    """
    if given not in allowed:
        raise MuseError(f"{name} {given!r} is not allowed. Use one of: {', '.join(allowed)}.")


def check_counts(least: int = 1, **counts: object) -> None:
    """Refuse what is no whole number from `least` on.

    Raises:
        MuseError: one of them.
    """
    for name, count in counts.items():
        if not isinstance(count, Integral) or int(count) < least:
            raise MuseError(
                f"{name} = {count!r} is not allowed. Use a whole number, {least} or more."
            )


def check_number(name: str, given: object) -> None:
    """Refuse what is no number that can be compared.

    Raises:
        MuseError: such a value.
    """
    if not isinstance(given, Real) or math.isnan(given):
        raise MuseError(f"{name} = {given!r} is not allowed. Use a number.")
