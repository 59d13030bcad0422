"""Kill runs of the toy at random moments, start them again, and compare with one that was not.

    python -m benchmarks.survival [--kills 50] [--processes 1] [--pictures 60] [--log survival.log]

One slot, so that pictures are the same to the last byte whoever made them. With several processes
one of them, by chance, is killed each time, and the run goes on with 1, 2 or 3; one that is whole
is compared and begun anew, for survivors finish what a killed one left. A kill counts where the
process was still at work. Prints a line for each start, and writes them to a log. It exits 1 where
a picture or record is missing or too much, a picture differs in one byte, a record in anything but
its seconds (and, with several processes, in who made it), a hidden file is left behind, fewer kills
struck than were asked for, or it took longer than `--limit`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.processes import (
    Told,
    bounded,
    compare,
    kill_at_random,
    pictures,
    start,
    start_group,
    words,
    write_jobs,
)

MOST = 10
"""Starts for each kill, before it is given up."""


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--wait", type=float, default=1.0, help="seconds at most before a kill")
    parser.add_argument("--patience", type=float, default=3.0, help="before one counts as dead")
    parser.add_argument("--steps", type=int, default=50, help="sampling steps of a picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=3600, help="seconds at most, all in all")
    parser.add_argument("--log", type=Path, default=Path("survival.log"), help="what is printed")
    given = parser.parse_args()
    with given.log.open("w", encoding="utf-8") as file:
        tell = Told(file)
        tell(f"{given.kills} kills, none of {given.pictures} jobs lost, doubled, torn or changed")
        try:
            return survive(given, tell)
        except TimeoutError as error:
            tell(str(error))
            return 1


def survive(given: argparse.Namespace, tell: Callable[[str], None]) -> int:
    """Kill, start again, compare; the exit code."""
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as temporary, bounded(given.limit):
        place = Path(temporary)
        jobs = write_jobs(place / "jobs.csv", given.pictures)
        whole, folder, log = place / "whole", place / "killed", place / "log"
        steps = ("--model.steps", str(given.steps))
        start(words(whole, jobs, *steps), log).join()
        tell(f"uninterrupted: {len(pictures(whole))} pictures")
        faults: list[str] = []
        struck = number = 0
        while struck < given.kills and number < MOST * given.kills:
            count = rng.choice((1, 2, 3)) if number and given.processes > 1 else given.processes
            line = words(folder, jobs, *steps)
            several = given.processes > 1
            patient = given.patience
            group = (
                start_group(line, log, count, patience=patient) if several else [start(line, log)]
            )
            alive = kill_at_random(group, folder, rng, given.wait)
            struck, number = struck + alive, number + 1
            told = f"kill {struck}" if alive else "had ended"
            codes = [process.exitcode for process in group]
            left = len(pictures(whole)) - len(pictures(folder))
            tell(f"start {number}, {count} processes: {told} {codes}, {left} left")
            if not left and struck < given.kills:
                faults += ended(whole, folder, start(line, log), given, tell)
                shutil.rmtree(folder)
        last = start(words(folder, jobs, *steps), log)
        faults += ended(whole, folder, last, given, tell)
        if struck < given.kills:
            faults += [f"{struck} of {given.kills} kills struck: give more --pictures or --steps"]
        good = f"{struck} kills: every picture and record once, none torn, nothing left behind"
        tell("\n".join(faults) or good)
        if faults:
            tell(log.read_text()[-4000:])
        return int(bool(faults))


def ended(
    whole: Path,
    killed: Path,
    last: BaseProcess,
    given: argparse.Namespace,
    tell: Callable[[str], None],
) -> list[str]:
    """What is wrong after the last start of a run that was killed before."""
    last.join()
    tell(f"not killed: exit {last.exitcode}, {len(pictures(killed))} pictures")
    faults = compare(whole, killed, alone=given.processes == 1)
    return faults if last.exitcode == 0 else [f"exit {last.exitcode}", *faults]


if __name__ == "__main__":
    raise SystemExit(main())
