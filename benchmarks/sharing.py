"""What happens to runs of the toy that several processes share; prints a line for each case, writes
it to a log, and exits 1 where one isn't as it should be or takes longer than `--limit`.

    python -m benchmarks.sharing [same|slow|first|hang|torchrun|many ...] [--log sharing.log]

same      two processes make what one makes, plain twins too, to the last byte
slow      of two processes one is ten times slower: the other makes at least 80 %
first     the first process is killed: the others stop within 30 s, a start makes the rest
hang      the second process is stopped (SIGSTOP): the first one makes what it left
torchrun  a worker is killed under torchrun --max-restarts 3: the run ends whole by itself
many      2,000 jobs: at the end a picture takes as long as at the beginning, within 10 % of
          processor time (the clock is told too, but a neighbour's load moves it), and memory has
          grown by less than 20 MB
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import (
    ROOT,
    Told,
    bounded,
    compare,
    pictures,
    records,
    start,
    start_group,
    strays,
    words,
    write_jobs,
)

SHARE, STOPPED, SLOWER, GROWN = 0.8, 30.0, 0.1, 20.0
"""Of the fast process at least; seconds, a share of a picture's seconds, and MB, at most."""


class Found(NamedTuple):
    """What a case came to, in words, and whether that is as it should be."""

    told: str
    good: bool


def same(place: Path) -> Found:
    """What one process and two make."""
    jobs = write_jobs(place / "jobs.csv", 60)
    start(words(place / "one", jobs), place / "log").join()
    group = start_group(words(place / "run", jobs), place / "log", 2)
    for process in group:
        process.join()
    faults = compare(place / "one", place / "run", alone=False)
    made = Counter(r["made_by"]["process"] for r in records(place / "run").values())
    codes = [process.exitcode for process in group]
    told = f"exit {codes}, made {dict(made)}, differs from one's: {faults}"
    return Found(told, codes == [0, 0] and not faults and _whole(place))


def slow(place: Path) -> Found:
    """The share of the fast one."""
    jobs = write_jobs(place / "jobs.csv", 60)
    line = [*words(place / "run", jobs), "--model.slots", "2"]
    group = start_group(line, place / "log", 2, slower=10.0)
    for process in group:
        process.join()
    made = Counter(r["made_by"]["process"] for r in records(place / "run").values())
    share = made[0] / sum(made.values())
    codes = [process.exitcode for process in group]
    told = f"exit {codes}, made {dict(made)}: the fast one {share:.0%}"
    return Found(told, share >= SHARE and codes == [0, 0] and _whole(place))


def first(place: Path) -> Found:
    """How long the others take to stop, and what the next start makes."""
    jobs = write_jobs(place / "jobs.csv", 60)
    line = words(place / "run", jobs)
    group = start_group(line, place / "log", 3)
    _wait(lambda: len(pictures(place / "run")) >= 20)
    group[0].kill()
    killed = time.monotonic()
    for process in group:
        process.join()
    stopped, there = time.monotonic() - killed, len(pictures(place / "run"))
    again = start(line, place / "log2")
    again.join()
    made, left = len(pictures(place / "run")), strays(place / "run")
    told = (
        f"killed; the others stopped after {stopped:.1f} s with exit "
        f"{[p.exitcode for p in group[1:]]}, {there} pictures there; the next start: exit "
        f"{again.exitcode}, {made}, left behind {left}"
    )
    return Found(told, stopped <= STOPPED and not again.exitcode and _whole(place) and not left)


def hang(place: Path) -> Found:
    """Whether a process that hangs holds the run up."""
    jobs = write_jobs(place / "jobs.csv", 30)
    group = start_group(words(place / "run", jobs), place / "log", 2)
    _wait(lambda: len(pictures(place / "run")) >= 10)
    os.kill(group[1].pid or 0, signal.SIGSTOP)
    group[0].join()
    made = len(pictures(place / "run"))
    group[1].kill()
    told = re.findall(r"Nothing more was heard.*", (place / "log").read_text())
    code = group[0].exitcode
    return Found(f"exit {code}, {made} pictures, told: {told}", not code and _whole(place))


def torchrun(place: Path) -> Found:
    """A worker killed comes back."""
    jobs = write_jobs(place / "jobs.csv", 60)
    line = [*words(place / "run", jobs), "--trainer.accelerator", "cpu"]
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "3"]
    with (place / "log").open("w") as log:
        run = subprocess.Popen(
            [sys.executable, *command, "--master-port", "29512", "-m", "muse.cli", *line],
            cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "LOGLEVEL": "INFO"},
        )  # fmt: skip
        try:
            _wait(lambda: len(pictures(place / "run")) >= 10)
            workers = subprocess.run(
                ["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True
            ).stdout.split()
            os.kill(int(workers[-1]), signal.SIGKILL)
            before = len(pictures(place / "run"))
            code = run.wait()
        finally:
            run.terminate()  # with its workers
    after = len(pictures(place / "run"))
    again, left = "will restart worker group" in (place / "log").read_text(), strays(place / "run")
    told = (
        f"killed one at {before} pictures; {'' if again else 'not '}started again; exit {code}, "
        f"{after} pictures without another start, left behind {left}"
    )
    return Found(told, again and not code and _whole(place) and not left)


def many(place: Path) -> Found:
    """Seconds a picture and memory over 2,000 jobs."""
    jobs = write_jobs(place / "jobs.csv", 2000)
    line = [*words(place / "run", jobs), "--model.steps", "2", "--model.plain", "false"]
    process = start(line, place / "log")
    marks = []
    for count in (200, 600, 1400, 1800):
        _wait(lambda count=count: _made(place / "run") >= count)  # type: ignore[misc]
        marks.append(_mark(process.pid or 0, place / "run"))
    process.join()
    sooner, later = _between(*marks[:2]), _between(*marks[2:])
    slower, grown = later.busy / sooner.busy, marks[3].megabytes - marks[0].megabytes
    told = (
        f"exit {process.exitcode}, of processor time {sooner.busy:.4f} s a picture at the "
        f"beginning, {later.busy:.4f} at the end ({slower:.3f}); by the clock {sooner.clock:.4f} "
        f"and {later.clock:.4f}; memory grew by {grown:.1f} MB"
    )
    return Found(told, not process.exitcode and slower <= 1 + SLOWER and grown < GROWN)


class Mark(NamedTuple):
    """Where a process stands: seconds by the clock and of processor time, pictures, memory, MB."""

    clock: float
    busy: float
    made: int
    megabytes: float


def _mark(pid: int, folder: Path) -> Mark:
    status = Path(f"/proc/{pid}/status").read_text()
    [kilobytes] = re.findall(r"VmRSS:\s+(\d+)", status)
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    busy = sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")
    return Mark(time.monotonic(), busy, _made(folder), int(kilobytes) / 1000)


def _between(one: Mark, other: Mark) -> Mark:
    """Seconds a picture from one mark to the other."""
    count = other.made - one.made
    return Mark((other.clock - one.clock) / count, (other.busy - one.busy) / count, count, 0.0)


def _whole(place: Path) -> bool:
    """Whether each job and its plain twin has its record, done, and its picture, and there is no
    other.
    """
    jobs = [line.split(",")[0] for line in (place / "jobs.csv").read_text().splitlines()[1:]]
    found, there = records(place / "run"), pictures(place / "run")
    twins = {record["plain"] for record in found.values()} - {None}
    wanted = {f"records/{name}.json" for name in jobs}
    wanted |= {f"plain_records/{name}.json" for name in twins}
    images = {f"images/{name}.png" for name in jobs} | {f"plain/{name}.png" for name in twins}
    done = all(record["status"] == "done" for record in found.values())
    return done and found.keys() == wanted and there.keys() == images


def _made(folder: Path) -> int:
    try:
        return sum(entry.name.endswith(".json") for entry in os.scandir(folder / "records"))
    except FileNotFoundError:
        return 0


def _wait(until: Callable[[], bool], limit: float = 600.0) -> None:
    begun = time.monotonic()
    while not until():
        if time.monotonic() - begun > limit:
            raise TimeoutError("nothing came of it")
        time.sleep(0.02)


CASES = {case.__name__: case for case in (same, slow, first, hang, torchrun, many)}


def main() -> int:
    """Run the cases named on the command line, or all; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all where none is named")
    parser.add_argument("--limit", type=int, default=900, help="seconds at most for each")
    parser.add_argument("--log", type=Path, default=Path("sharing.log"), help="what is printed")
    given = parser.parse_args()
    unknown = [name for name in given.cases if name not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; the cases are {', '.join(CASES)}")
    with given.log.open("w", encoding="utf-8") as file:
        tell = Told(file)
        goods = [_told(name, given.limit, tell) for name in given.cases or CASES]
    return int(not all(goods))


def _told(name: str, limit: int, tell: Callable[[str], None]) -> bool:
    """Run a case; whether it is as it should be."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            with bounded(limit):
                found = CASES[name](Path(temporary))
        except TimeoutError as error:
            found = Found(str(error), good=False)
    tell(f"{name}: {found.told}{'' if found.good else ': NOT AS IT SHOULD BE'}")
    return found.good


if __name__ == "__main__":
    raise SystemExit(main())
