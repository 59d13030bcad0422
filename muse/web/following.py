"""A visitor who looks on: whenever there is something new about an order, and what to say of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from muse.core.types import MuseError
from muse.web.live import Live
from muse.web.studio import Studio, Ticket

EVERY = 0.25
"""Seconds between two looks."""
QUIET = 1.5
"""Seconds after which something is said although nothing is new: the line lives."""


class Desk:
    """Takes orders of visitors, and knows which is whose.

    Args:
        studio: the line.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._tickets: dict[tuple[str, str], Ticket] = {}

    @asynccontextmanager
    async def order(
        self, visitor: str, tab: str, work: Callable[[Live], Any]
    ) -> AsyncIterator[Ticket]:
        """An order for as long as its visitor looks on: it ends with the block.

        Args:
            visitor: their session.
            tab: where they gave it; one order each.
            work: as for `Studio.submit`.

        Raises:
            MuseError: the line is full, or there is an order already.
        """
        if (visitor, tab) in self._tickets:
            raise MuseError("Your last order there isn't ready yet. Wait for it, or cancel it.")
        ticket = self.studio.submit(visitor, work)
        self._tickets[visitor, tab] = ticket
        try:
            yield ticket
        finally:
            del self._tickets[visitor, tab]
            self.studio.cancel(ticket)

    async def follow(self, ticket: Ticket, every: float = EVERY) -> AsyncIterator[str]:
        """A line about an order whenever there is something new, until it has ended."""
        last, quiet = None, 0.0
        while not ticket.ended.is_set():
            now = ticket.state, self.studio.before(ticket), ticket.live.steps_left
            if now != last or quiet >= QUIET:
                last, quiet = now, 0.0
                yield self.line(ticket)
            await asyncio.sleep(every)
            quiet += every

    def line(self, ticket: Ticket) -> str:
        """How far an order is."""
        if ticket.state == "waiting":
            count = self.studio.before(ticket)
            return f"In the line: {count} before you." if count else "You are next."
        left, shots = ticket.live.seconds_left, list(ticket.live.shots.values())
        if not shots:
            return "Loading the model."
        if not any(shot.step for shot in shots):
            return "Reading the prompt, and the photo where there is one."
        done = sum(shot.step == shot.steps for shot in shots)
        first = max(shots, key=lambda shot: shot.step)
        here = f"Step {first.step} of {first.steps}."
        if len(shots) > 2:
            here = f"{done} of {len(shots)} pictures."
        return here if left is None else f"{here} {spoken(left)}"

    def cancel(self, visitor: str, tab: str | None = None) -> None:
        """End a visitor's order of one tab, or all of them."""
        for (owner, where), ticket in list(self._tickets.items()):
            if owner == visitor and tab in (None, where):
                self.studio.cancel(ticket)


def spoken(seconds: float) -> str:
    """How long something takes, as people say it."""
    if seconds < 3:
        return "A few seconds to go."
    if seconds < 90:
        return f"About {round(seconds / 5) * 5 or 5:.0f} s to go."
    return f"About {seconds / 60:.0f} min to go."
