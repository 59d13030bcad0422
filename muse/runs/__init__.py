"""The output folder: what a run leaves, what is done in it, and who does the rest."""

from muse.runs.deciding import Deciding
from muse.runs.folder import RunFolder
from muse.runs.sinks import Memory, Sink, make
from muse.runs.tickets import Tickets

__all__ = ["Deciding", "Memory", "RunFolder", "Sink", "Tickets", "make"]
