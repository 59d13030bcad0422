"""SIGTERM, with which schedulers end a run, ends it as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """Of a process that was stopped: 143 by SIGTERM, 130 by Ctrl-C."""
    return 143 if isinstance(stop, Terminated) else 130


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM raises `Terminated`. Who listened before hears of it too: Lightning passes it
    on to the processes that it has started.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        if callable(before):
            before(number, frame)
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
