"""Who makes what: processes that share a run draw tickets, each number once.

The number is a place in the list of all that the run makes, which every process has. A ticket is
only a hint: what is done is told by the output folder, so a lost or a doubled one costs time, never
a picture. The counter is a key in torch's `TCPStore`, that process 0 or torchrun's agent holds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta

from torch.distributed import DistError, PrefixStore, Store, TCPStore

from muse.core.types import MuseError
from muse.core.watching import Watcher

PATIENCE = 30.0
"""Seconds without a sign of life after which a process counts as gone, at least."""
START = timedelta(minutes=5)
"""How long a process waits for the first one to come up: models are loaded before."""
ANSWER = timedelta(seconds=20)
"""How long the store may take to answer before it counts as gone."""
GONE = (DistError, RuntimeError, ConnectionError)
"""What a store raises that isn't there any more."""


class Tickets(Watcher):
    """The tickets of one process.

    Args:
        store: that all processes share; None for a run of a single process.
        rank: of this process, from 0.
        processes: how many there are.

    Attributes:
        lost: whether the store has gone, so that no more tickets come.
    """

    def __init__(self, store: Store | None = None, rank: int = 0, processes: int = 1) -> None:
        self.store = store
        self.rank, self.processes = rank, processes
        self.lost = False
        self._next = 0
        self._told = self._longest = 0.0

    @classmethod
    def connect(cls, address: str, port: int, rank: int, processes: int) -> Tickets:
        """Those of a process among several; process 0 holds the store, but where torchrun's agent
        does, which outlives its workers.

        Args:
            address, port: where the store is.
            rank: of this process.
            processes: how many there are.

        Raises:
            MuseError: no store answers there.
        """
        agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        try:
            store: Store = TCPStore(
                address,
                port,
                is_master=rank == 0 and not agent,
                wait_for_workers=False,
                timeout=START,
            )
        except GONE as error:
            reason = str(error).partition("\n")[0]
            raise MuseError(
                f"Process {rank} finds no other process of this run at {address}:{port} ({reason})."
                " Start the run again."
            ) from error
        # Workers that were started again draw anew: what the dead ones held is not done.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return cls(PrefixStore(f"muse/{attempt}", store), rank, processes)

    def __iter__(self) -> Iterator[int]:
        """The numbers that fall to this process, from 0 on, until the store has gone."""
        while True:
            number = self._draw()
            if number is None:
                return
            yield number

    def _draw(self) -> int | None:
        if self.store is None:
            self._next += 1
            return self._next - 1
        try:
            return int(self.store.add("next", 1)) - 1
        except GONE:
            self.lost = True
            return None

    def opened(self, well: bool) -> None:
        """Process 0 tells the others that the folder is ready, or that the run won't begin."""
        if self.store is not None:
            self.store.set("opened", "yes" if well else "no")
            self.store.set_timeout(ANSWER)

    def wait_until_open(self) -> bool:
        """The others wait for it; False where the run doesn't begin, of which process 0 tells."""
        assert self.store is not None
        try:
            well = bool(self.store.get("opened") == b"yes")
            self.store.set_timeout(ANSWER)
        except GONE:
            return False
        return well

    def answered(self) -> None:
        """Give a sign of life after a call, at most one a second."""
        now = time.monotonic()
        if self._told:
            self._longest = max(self._longest, now - self._told)
        if self.store is None or self.lost or now - self._told < 1.0:
            return
        self._told = now
        try:
            self.store.add(f"alive/{self.rank}", 1)
        except GONE:
            self.lost = True

    def finish(self) -> list[int]:
        """The end of this process's work. Process 0 waits for the others, as long as each gives a
        sign of life now and then, and returns those that don't any more.
        """
        if self.store is None or self.lost:
            return []
        try:
            self.store.set(f"finished/{self.rank}", "yes")
            return self._missing() if self.rank == 0 else []
        except GONE:
            self.lost = True
            return []

    def _missing(self) -> list[int]:
        assert self.store is not None
        patience = max(PATIENCE, 20.0 * self._longest)  # another may have much slower a device
        last = {rank: (-1, time.monotonic()) for rank in range(1, self.processes)}
        gone: list[int] = []
        while last:
            for rank, (count, since) in list(last.items()):
                beat = int(self.store.add(f"alive/{rank}", 0))
                if self.store.check([f"finished/{rank}"]):
                    del last[rank]
                elif beat != count:
                    last[rank] = (beat, time.monotonic())
                elif time.monotonic() - since > patience:
                    gone.append(rank)
                    del last[rank]
            time.sleep(0.1)
        return gone
