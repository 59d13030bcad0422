"""`muse components`: the parts that can be swapped, from the registry."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from inspect import isclass

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table
from torch import nn

import muse.backbones
import muse.guides
import muse.latents
import muse.losses
import muse.schedulers
import muse.steering  # noqa: F401  (importing registers the components)
from muse.core.registry import available, summary
from muse.core.types import MuseError
from muse.sampling import Sampler

QUESTIONS = {"steering": "HOW", "timing": "WHEN", "loss": "WHICH"}


def components(words: Sequence[str]) -> int:
    """Print every interface and what implements it."""
    parser = ArgumentParser(
        prog="muse components",
        description="List the parts that can be swapped, by option of muse fit-free.",
        exit_on_error=False,
    )
    parser.add_argument("interface", nargs="?", type=str, help="only this one, such as 'guide'")
    given = parser.parse_args(list(words)).interface
    known = interfaces()
    if given is not None and given not in known:
        raise MuseError(f"Unknown interface {given!r}. Allowed: {', '.join(known)}.")
    console = Console(highlight=False)
    for name, base in known.items():
        if given in (None, name):
            console.print(_table(name, base))
            console.print()
    console.print(
        "Swap one with --model.NAME COMPONENT; a class of your own by its import path, "
        "--model.guide my_file.MyGuide.",
    )
    return 0


def interfaces() -> dict[str, type[nn.Module]]:
    """``{"backbone": Backbone, "guide": Guide, ...}``, read off the sampler's signature."""
    hints = typing.get_type_hints(Sampler.__init__)
    found = {}
    for name, hint in hints.items():
        bases = [part for part in (hint, *typing.get_args(hint)) if isclass(part)]
        for base in bases:
            if issubclass(base, nn.Module):
                found[name] = base
    return found


def _table(name: str, base: type) -> Table:
    question = f" [bold]{QUESTIONS[name]}[/bold]" if name in QUESTIONS else ""
    title = f"--model.{name}{question}  {summary(base)}"
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.title_style = "not italic dim"
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    parts: dict[str, type] = available(base)
    for component, cls in parts.items():
        table.add_row(component, summary(cls))
    return table
