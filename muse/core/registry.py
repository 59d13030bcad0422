"""Finding components by name, from the classes that are imported: there is no second list.

A component is any concrete subclass of an interface (`Guide`, `Backbone`, ...). Packages announce
theirs under the entry-point group ``muse.plugins``; a class in a file of the user's own needs no
announcement and is named by its import path, ``my_guides.Mine``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from muse.core.types import MuseError

T = TypeVar("T")


@cache
def _load_plugins() -> None:
    for plugin in entry_points(group="muse.plugins"):
        plugin.load()


def _subclasses(base: type) -> set[type]:
    direct: set[type] = set(base.__subclasses__())
    return direct.union(*(_subclasses(sub) for sub in direct))


def available(base: type[T]) -> dict[str, type[T]]:
    """The concrete, public subclasses of `base` by class name, sorted.

    Where two have one name, muse's own goes first; the other one is named by its import path.
    """
    _load_plugins()
    found: dict[str, type[T]] = {}
    for cls in sorted(_subclasses(base), key=_own_first):
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            found.setdefault(cls.__name__, cls)
    return dict(sorted(found.items()))


def _own_first(cls: type) -> tuple[bool, str]:
    return not cls.__module__.startswith("muse."), cls.__module__


def resolve(base: type[T], name: str) -> type[T]:
    """The class called `name`: a short name from `available`, or an import path.

    Raises:
        MuseError: no such class, or it is no subclass of `base`; names the candidates.
    """
    known = available(base)
    if name in known:
        return known[name]
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute) if module else None
    except (ImportError, AttributeError):
        found = None
    if isinstance(found, type) and issubclass(found, base):
        return found
    raise MuseError(unknown(base, name))


def unknown(base: type, name: str) -> str:
    """The one line that tells a user about a component that isn't there."""
    known = list(available(base))
    near = difflib.get_close_matches(name.rpartition(".")[2], known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"Unknown {base.__name__} {name!r}.{hint} Allowed: {', '.join(known)}, "
        "or the import path of a class of your own ('my_file.MyClass')."
    )


def summary(cls: type) -> str:
    """The first line of a component's own docstring."""
    text = inspect.cleandoc(cls.__doc__ or "").strip()
    return " ".join(text.partition("\n\n")[0].split())
