"""What stands in a study's file is checked: a mistake is a `MuseError` that says where it is."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from muse.core.types import MuseError


def mapping(said: Any, where: str, keys: Collection[str] | None = None) -> dict[str, Any]:
    """Keys and values, the keys among those allowed (None: any)."""
    if not isinstance(said, Mapping):
        raise MuseError(f"{where} is {said!r}. Write keys with their values, `key: value`.")
    for key in said if keys is not None else ():
        if key not in (keys or ()):
            raise MuseError(unlike("key", str(key), keys or (), where))
    return {str(key): value for key, value in said.items()}


def unlike(what: str, given: str, allowed: Collection[str], where: str) -> str:
    """What to tell about a name that isn't one: the nearest that is."""
    near = difflib.get_close_matches(given, allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {what} {given!r} in {where}.{hint} Allowed: {', '.join(allowed)}."


def listed(said: Any, name: str) -> Sequence[Any]:
    """A list, empty where nothing is said."""
    if said is None or isinstance(said, list):
        return said or []
    raise MuseError(f"{name} is {said!r}. Write a list, an entry after each dash.")


def whole(said: Any, key: str, where: str) -> int | None:
    """A whole number from 1 on, None where nothing is said."""
    if said is None or (isinstance(said, int) and not isinstance(said, bool) and said >= 1):
        return said
    raise MuseError(f"{key} {said!r} of {where} is not allowed. Use a whole number from 1 on.")
