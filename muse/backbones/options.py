"""What a backbone may be loaded with: names that are checked before anything is."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from muse.core.types import MuseError

DTYPE = "dtype" if [*map(int, version("diffusers").split(".")[:2])] >= [0, 40] else "torch_dtype"
"""What this diffusers calls the dtype of the weights that it loads."""
HUB: dict[str, tuple[type, ...]] = {
    "revision": (str,),
    "cache_dir": (str,),
    "local_files_only": (bool,),
    "token": (str, bool),
}
"""How a model is fetched from the hub, in diffusers' words: a branch, tag or commit of it; the
folder that keeps what was fetched; whether to do without the network; who asks, where a model needs
a login."""


def hub_options(hub: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of `HUB` that were given; None is diffusers' default.

    Raises:
        MuseError: an unknown one, or a value of another type.
    """
    given = {name: value for name, value in (hub or {}).items() if value is not None}
    check_options(given, HUB, "hub")
    for name, value in given.items():
        if not isinstance(value, HUB[name]):
            kinds = " or ".join({str: "a text", bool: "true or false"}[kind] for kind in HUB[name])
            raise MuseError(f"hub: {name} = {value!r} is not allowed. Use {kinds}.")
    return given


def several(given: str | Sequence[str]) -> list[str]:
    """What an option for several was given: a text is one."""
    return [given] if isinstance(given, str) else list(given)


def options_of(cls: type) -> set[str]:
    """The options of a backbone's constructor and of those that it hands on to."""
    named: set[str] = set()
    for init in (vars(base).get("__init__") for base in cls.__mro__):
        if inspect.isfunction(init):
            taken = inspect.signature(init).parameters.values()
            named |= {p.name for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            if not any(p.kind is p.VAR_KEYWORD for p in taken):
                break
    return named - {"self", "pretrained"}


def check_options(given: Iterable[str], allowed: Iterable[str], of: str) -> None:
    """Refuse a name that isn't among `allowed`, and tell the nearest.

    Raises:
        MuseError: such a name.
    """
    names = sorted(allowed)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise MuseError(f"{of} has no option {name!r}.{hint} Use one of: {', '.join(names)}.")
