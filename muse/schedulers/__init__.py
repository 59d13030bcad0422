"""Times: the nodes of a run, and WHEN steering starts."""

from muse.schedulers.grid import TimeGrid
from muse.schedulers.timing import (
    Always,
    ClipThreshold,
    Moment,
    Never,
    StepWindow,
    TimingPolicy,
)

__all__ = [
    "Always",
    "ClipThreshold",
    "Moment",
    "Never",
    "StepWindow",
    "TimeGrid",
    "TimingPolicy",
]
