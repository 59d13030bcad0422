"""A part that page tests name by its import path."""

from __future__ import annotations

from muse.schedulers import Always, Moment


class Breaks(Always):
    """A bug, in the middle of a picture."""

    def forward(self, state: bool, moment: Moment) -> tuple[bool, bool]:
        if moment.step == 3:
            raise ZeroDivisionError
        return super().forward(state, moment)
