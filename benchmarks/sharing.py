"""What happens to runs of the toy that several processes share; prints a line for each case, and
exits 1 where one isn't as it should be.

    python -m benchmarks.sharing [slow|first|hang|torchrun|many ...]

slow      of two processes one is ten times slower: the other makes at least 80 %
first     the first process is killed: the others stop within 30 s, a start makes the rest
hang      the second process is stopped (SIGSTOP): the first one makes what it left
torchrun  a worker is killed under torchrun --max-restarts 3: the run ends whole by itself
many      2,000 jobs: at the end a picture takes as long as at the beginning, within 10 %, and
          memory has grown by less than 20 MB
"""

from __future__ import annotations

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
    return Found(told, share >= SHARE and codes == [0, 0])


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
            cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
        _wait(lambda: len(pictures(place / "run")) >= 10)
        workers = subprocess.run(
            ["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(workers[-1]), signal.SIGKILL)
        before = len(pictures(place / "run"))
        code = run.wait()
    after = len(pictures(place / "run"))
    told = f"killed one at {before} pictures; exit {code}, {after} pictures without another start"
    return Found(told, not code and _whole(place))


def many(place: Path) -> Found:
    """Seconds a picture and memory over 2,000 jobs."""
    jobs = write_jobs(place / "jobs.csv", 2000)
    line = [*words(place / "run", jobs), "--model.steps", "2", "--model.plain", "false"]
    process = start(line, place / "log")
    marks = []
    for count in (200, 600, 1400, 1800):
        _wait(lambda count=count: _made(place / "run") >= count)  # type: ignore[misc]
        status = Path(f"/proc/{process.pid}/status").read_text()
        [kilobytes] = re.findall(r"VmRSS:\s+(\d+)", status)
        marks.append((time.monotonic(), _made(place / "run"), int(kilobytes) / 1000))
    process.join()
    rates = [
        (later[0] - sooner[0]) / (later[1] - sooner[1])
        for sooner, later in ((marks[0], marks[1]), (marks[2], marks[3]))
    ]
    slower, grown = rates[1] / rates[0], marks[3][2] - marks[0][2]
    told = (
        f"exit {process.exitcode}, {rates[0]:.4f} s a picture at the beginning, {rates[1]:.4f} at "
        f"the end ({slower:.3f}); memory grew by {grown:.1f} MB"
    )
    return Found(told, not process.exitcode and slower <= 1 + SLOWER and grown < GROWN)


def _whole(place: Path) -> bool:
    """Whether each job has its record, done."""
    ids = [line.split(",")[0] for line in (place / "jobs.csv").read_text().splitlines()[1:]]
    found = records(place / "run")
    return all(found.get(f"records/{name}.json", {}).get("status") == "done" for name in ids)


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


CASES = {case.__name__: case for case in (slow, first, hang, torchrun, many)}


def main() -> int:
    """Run the cases named on the command line, or all; the exit code."""
    bad = 0
    for name in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory() as temporary:
            found = CASES[name](Path(temporary))
        bad += not found.good
        print(f"{name}: {found.told}{'' if found.good else ': NOT AS IT SHOULD BE'}", flush=True)
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
