"""What is told to a user in one line."""

from __future__ import annotations


class MuseError(ValueError):
    """A user's mistake, told in one line: what was given, what is allowed, what to do."""
