"""Several visitors, one model: orders wait in a line and are made one after the other.

An order that fails, by its visitor's mistake or by ours, or that is cancelled, ends alone.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from muse.core.memory import is_out_of_memory
from muse.core.types import MuseError
from muse.web.live import Cancelled, Live

State: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled"]
Work: TypeAlias = Callable[[Live], Any]
"""Makes an order, showing how far it is; what it returns is the visitor's."""
ENDED = ("done", "failed", "cancelled")


class Ticket:
    """A place in the line.

    Attributes:
        owner: who may cancel it.
        state: where it stands.
        live: what there is to see.
        outcome: what the work returned, once it is done.
        reason: why it failed, in one line.
    """

    def __init__(self, owner: str, work: Work) -> None:
        self.owner = owner
        self.work = work
        self.state: State = "waiting"
        self.live = Live()
        self.outcome: Any = None
        self.reason = ""
        self.ended = threading.Event()

    def end(self, state: State, reason: str = "") -> None:
        """It is over."""
        self.state, self.reason = state, reason
        self.ended.set()


class Studio:
    """The line, and the one thread that works it off.

    Args:
        most: orders that wait at most.
        each: orders of one visitor in the line at most.
    """

    def __init__(self, most: int = 30, each: int = 3) -> None:
        self.most, self.each = most, each
        self._line: deque[Ticket] = deque()
        self._now: Ticket | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work_off, name="studio", daemon=True)
        self._thread.start()

    def submit(self, owner: str, work: Work) -> Ticket:
        """Put an order at the end of the line.

        Args:
            owner: who gives it.
            work: makes it, in the studio's thread.

        Raises:
            MuseError: the line is full, or the visitor has too many orders in it.
        """
        ticket = Ticket(owner, work)
        with self._changed:
            if len(self._line) >= self.most:
                raise MuseError(f"{self.most} orders are waiting already. Try again in a while.")
            mine = [one for one in (*self._line, self._now) if one and one.owner == owner]
            if len(mine) >= self.each:
                raise MuseError(
                    f"You have {len(mine)} orders in the line. Wait for one, or cancel it."
                )
            self._line.append(ticket)
            self._changed.notify_all()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """End an order, wherever it is; one that has ended stays as it is."""
        with self._changed:
            if ticket in self._line:
                self._line.remove(ticket)
                ticket.end("cancelled")
        ticket.live.cancel()

    def before(self, ticket: Ticket) -> int:
        """How many orders come first."""
        with self._changed:
            running = self._now is not None
            return self._line.index(ticket) + running if ticket in self._line else 0

    def close(self) -> None:
        """End all orders, and the thread."""
        with self._changed:
            self._closed = True
            for ticket in self._line:
                ticket.end("cancelled")
            self._line.clear()
            if self._now is not None:
                self._now.live.cancel()
            self._changed.notify_all()
        self._thread.join(timeout=30)

    def _work_off(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._line or self._closed)
                if self._closed:
                    return
                self._now = ticket = self._line.popleft()
                ticket.state = "running"
            self._make(ticket)
            with self._changed:
                self._now = None

    def _make(self, ticket: Ticket) -> None:
        try:
            ticket.live.check()
            ticket.outcome = ticket.work(ticket.live)
            ticket.end("done")
        except Cancelled:
            ticket.end("cancelled")
        except MuseError as error:
            ticket.end("failed", " ".join(str(error).split()))
        except Exception as error:  # of this order alone: the others go on
            if is_out_of_memory(error):
                ticket.end("failed", "There is not enough memory for this picture on the machine.")
                return
            traceback.print_exc(file=sys.stderr)
            told = f"A bug of muse ended this picture ({type(error).__name__}), and no other one."
            ticket.end("failed", f"{told} Where the page was started, the log tells more.")
