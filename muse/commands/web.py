"""`muse web`: a page in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from muse.commands.evaluate import check_device
from muse.commands.lightning import quiet
from muse.core.types import MuseError
from muse.presets.examples import here_or_example
from muse.web.app import serve


def web(words: Sequence[str]) -> int:
    """Open the page, until Ctrl-C; the exit code."""
    quiet()
    parser = ArgumentParser(
        prog="muse web", description="Make pictures on a page in the browser.", exit_on_error=False
    )
    add = parser.add_argument
    add("--output_dir", type=str, default="outputs/web", help="where its pictures go")
    add("--runs", type=str, default="outputs", help="the folder whose runs it shows")
    add("--config", type=list[str], default=[], help="files for muse fit-free: their models, too")
    add("--host", type=str, default="127.0.0.1", help="0.0.0.0 lets other machines in")
    add("--port", type=int | None, default=None, help="the first free one from 7860 on")
    add("--device", type=str, default="auto", help="auto, cpu, cuda, ...")
    add("--slots", type=int, default=4, help="how many pictures of a grid share a model call")
    given = parser.parse_args(list(words))
    if given.slots < 1:
        raise MuseError(f"--slots {given.slots} is not allowed. Use 1 or more.")
    device = given.device if given.device == "auto" else check_device(given.device)
    serve(
        Path(given.output_dir),
        Path(given.runs),
        [Path(here_or_example(file)) for file in given.config],
        given.host,
        given.port,
        device,
        given.slots,
    )
    return 0
