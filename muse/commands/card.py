"""`muse card`: the model card of a guide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from muse.core.files import make_folder, write_text, written
from muse.guides.card import About
from muse.guides.card import card as text_of


def card(words: Sequence[str]) -> int:
    """Print a guide's model card, or write it; the exit code."""
    parser = ArgumentParser(
        prog="muse card",
        description="Print the model card of a guide: its training, accuracy and confusion, as far "
        "as its weights tell.",
        exit_on_error=False,
    )
    parser.add_argument(
        "folder", type=str, help="a saved guide, the folder of a training run, or a file of weights"
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="the file to write, such as README.md"
    )
    given = parser.parse_args(list(words))
    text = text_of(About.of(Path(given.folder)))
    if given.out is None:
        print(text, end="")
        return 0
    path = Path(given.out)
    make_folder(path.parent, "--out")
    with written(f"the card {str(path)!r}"):
        write_text(path, text)
    print(path)
    return 0
