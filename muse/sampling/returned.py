"""What parts return, where a class of somebody's own may return anything."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from torch import nn

from muse.core.asks import Row
from muse.core.types import MuseError


def row_of(part: nn.Module, made: Any) -> Row[Any]:
    """What a part's `forward` returned, where that is a row.

    Raises:
        MuseError: it isn't.
    """
    if isinstance(made, Generator):
        return made
    raise MuseError(
        f"{type(part).__name__}.forward is no generator. Let it yield lists of asks; where it asks "
        "nothing, have a `yield` after its `return`."
    )


def returned(part: nn.Module, found: Any, *kinds: type) -> Any:
    """What a part returned, where that is of one of these kinds.

    Raises:
        MuseError: it isn't.
    """
    if isinstance(found, kinds):
        return found
    names = " or a ".join(kind.__name__ for kind in kinds)
    raise MuseError(
        f"{type(part).__name__}.forward returned a {type(found).__name__}. Return a {names}."
    )
