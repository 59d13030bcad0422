"""Runs of the toy in processes of their own that may be killed, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

from muse.runs import tickets

ROOT = Path(__file__).parent.parent
TOY = str(ROOT / "configs" / "toy.yaml")
PROMPTS = ("a walk in the park", "a day at the fair", "an evening in the cemetery")

forked = get_context("forkserver")  # modules are imported once, a start takes no time
forked.set_forkserver_preload(["muse.commands.lightning", "muse.commands.status"])


class Told:
    """Prints lines, and writes them to a file as they come."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def __call__(self, line: str) -> None:
        """One of them."""
        print(line, flush=True)
        print(line, file=self.file, flush=True)


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    """End all processes that were started here, and raise, where it takes longer than that.

    Raises:
        TimeoutError: so many seconds are over.
    """

    def late(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s: give more --limit")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        for process in forked.active_children():
            process.kill()


def words(folder: Path, jobs: Path, *more: str) -> list[str]:
    """The command line of a run of the toy, one slot."""
    given = ["--output_dir", str(folder), "--data.jobs", str(jobs), "--model.slots", "1"]
    return ["fit-free", "--config", TOY, *given, "--model.timing", "Always", *more]


def write_jobs(file: Path, count: int) -> Path:
    """A jobs file of so many pictures, four seeds of each prompt and emotion."""
    emotions = ("awe", "fear", "sadness", "anger", "excitement")
    lines = [f"job-{n},{PROMPTS[n % 3]},{emotions[n // 3 % 5]},{1 + n // 15}" for n in range(count)]
    file.write_text("\n".join(["id,prompt,emotion,seed", *lines]) + "\n")
    return file


def _main(
    line: Sequence[str], environment: Mapping[str, str], log: str, slower: float, patience: float
) -> None:
    from muse.cli import main

    tickets.START = timedelta(seconds=15)  # all are here at once; who isn't was killed
    tickets.PATIENCE = patience
    if slower > 1.0:
        _slow_down(slower)
    os.environ.update(environment)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = ["muse", *line]
    sys.exit(main(list(line)))


def _slow_down(factor: float) -> None:
    """Make this process so many times slower, as on a slower device."""
    from muse.sampling.answers import Answers

    forward = Answers.forward

    def slow(self: Answers, asks: Sequence[Any]) -> list[Any]:
        begun = time.perf_counter()
        replies = forward(self, asks)
        time.sleep((factor - 1.0) * (time.perf_counter() - begun))
        return replies

    Answers.forward = slow  # type: ignore[method-assign]


def start(
    line: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    slower: float = 1.0,
    patience: float = tickets.PATIENCE,
) -> BaseProcess:
    """Start `muse` with these words in a process of its own, which takes another for dead after so
    many seconds of silence.
    """
    given = (list(line), dict(environment or {}), str(log), slower, patience)
    process = forked.Process(target=_main, args=given)
    process.start()
    return process


def start_group(
    line: Sequence[str],
    log: Path,
    processes: int,
    slower: float = 1.0,
    patience: float = tickets.PATIENCE,
) -> list[BaseProcess]:
    """Start several that share a run, as a launcher would; the last one slower than the others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    line = [*line, "--trainer.accelerator", "cpu", "--trainer.devices", str(processes)]
    group = []
    for rank in range(processes):
        at = {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(processes)}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        factor = slower if rank == processes - 1 else 1.0
        group.append(start(line, log, {**at, **address}, factor, patience))
    return group


def pictures(folder: Path) -> dict[str, bytes]:
    """Every picture of a run, plain ones too, by its path in the folder."""
    found = [*folder.glob("images/*.png"), *folder.glob("plain/*.png")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Every record of a run, as far as it doesn't tell of times."""
    found = {}
    for path in (*folder.glob("records/*.json"), *folder.glob("plain_records/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["seconds"]
        found[str(path.relative_to(folder))] = record
    return found


def strays(folder: Path) -> list[str]:
    """Hidden files: temporary ones, a lock."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


def compare(one: Path, other: Path, alone: bool) -> list[str]:
    """What differs between a run and another of the same jobs, byte for byte, and what the other
    left behind; who made a picture (`made_by`) must be the same only where one process made each
    run `alone`.
    """
    faults = [f"left behind: {name}" for name in strays(other)]
    for what in (pictures, records):
        mine, theirs = what(one), what(other)
        if what is records and not alone:
            for found in (*mine.values(), *theirs.values()):
                found.pop("made_by")
        faults += [f"missing: {name}" for name in mine.keys() - theirs.keys()]
        faults += [f"too much: {name}" for name in theirs.keys() - mine.keys()]
        faults += [
            f"differs: {name}" for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]
        ]
    return faults


def kill_at_random(
    group: Sequence[BaseProcess], folder: Path, rng: random.Random, wait: float
) -> bool:
    """Kill one of a group some time after sampling has begun; whether it was still at work."""
    victim, moment = rng.choice(group), rng.uniform(0.0, wait)
    before = _opened(folder)
    while victim.is_alive() and _opened(folder) == before:
        time.sleep(0.005)
    begun = time.monotonic()
    while victim.is_alive() and time.monotonic() - begun < moment:
        time.sleep(0.002)
    with suppress(ProcessLookupError):
        os.kill(victim.pid or 0, signal.SIGKILL)
    for process in group:
        process.join()
    return victim.exitcode == -signal.SIGKILL


def _opened(folder: Path) -> int:
    """When a run last opened its folder, which it does right before it samples."""
    try:
        return (folder / "settings.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0
