"""`muse status`: how far a run is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from muse.core.types import MuseError
from muse.report.summary import summarise
from muse.runs.progress import progress_of
from muse.runs.records import read_listing


def status(words: Sequence[str]) -> int:
    """Tell how far a run is, and write what sums up the pictures that are there; the exit code is
    1 where some have failed.
    """
    parser = ArgumentParser(
        prog="muse status",
        description="Tell how far a run is; write results.csv, sheet and traces of what there is.",
        exit_on_error=False,
    )
    parser.add_argument("folder", type=str, help="the folder that the run writes")
    folder = Path(parser.parse_args(list(words)).folder)
    entries = read_listing(folder)
    if not entries:
        raise MuseError(
            f"There is no run in {str(folder)!r}. Give the --output_dir of a run of muse fit-free."
        )
    ids = [entry["id"] for entry in entries]
    records = summarise(folder, ids)
    progress = progress_of(folder, ids, records)
    for line in progress.lines():
        print(line)
    print(f"What there is: {folder}")
    return int(progress.failed > 0)
