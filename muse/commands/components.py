"""`muse components`: the parts that can be swapped, by interface."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from rich.console import Console
from rich.table import Table

import muse
from muse.core.errors import MuseError
from muse.core.written import ancestry, classes_in, implementations

QUESTIONS = {"steering": "HOW", "timing": "WHEN", "loss": "WHICH"}
FOLDERS = "backbones", "guides", "latents", "losses", "sampling", "schedulers", "steering"
Parts = dict[str, str]
"""Component -> what it is, in a line."""


def components(words: Sequence[str]) -> int:
    """Print every interface and what implements it."""
    parser = argparse.ArgumentParser(
        prog="muse components",
        description="List the parts that can be swapped, by option of muse fit-free.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("interface", nargs="?", help="only this one, such as 'guide'")
    given = parser.parse_args(list(words)).interface
    known = swappable()
    if given is not None and given not in known:
        raise MuseError(f"Unknown interface {given!r}. Allowed: {', '.join(known)}.")
    console = Console(highlight=False)
    for name, (summary, parts) in known.items():
        if given in (None, name):
            console.print(_table(name, summary, parts))
            console.print()
    console.print(
        "Swap one with --model.NAME COMPONENT; a class of your own by its import path, "
        "--model.guide my_file.MyGuide.",
    )
    return 0


def swappable() -> dict[str, tuple[str, Parts]]:
    """``{"backbone": (what one is, {component: what it is}), ...}``, by the sampler's options.

    Read off the source, in a tenth of the time that importing the parts takes. Where another
    package announces parts of its own, all are imported.
    """
    if entry_points(group="muse.plugins"):
        from muse.commands.interfaces import interfaces
        from muse.core.registry import available, summary

        return {
            option: (summary(base), {name: summary(cls) for name, cls in available(base).items()})
            for option, base in interfaces().items()
        }
    root = Path(muse.__file__).parent
    classes = classes_in(*(root / folder for folder in FOLDERS))
    return {
        option: (
            classes[base].summary,
            {name: classes[name].summary for name in implementations(base, classes)},
        )
        for option, names in classes["Sampler"].options.items()
        for base in sorted(names)
        if "Module" in ancestry(base, classes)
    }


def _table(name: str, summary: str, parts: Parts) -> Table:
    question = f" [bold]{QUESTIONS[name]}[/bold]" if name in QUESTIONS else ""
    title = f"--model.{name}{question}  {summary}"
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.title_style = "not italic dim"
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    for component, what in parts.items():
        table.add_row(component, what)
    return table
