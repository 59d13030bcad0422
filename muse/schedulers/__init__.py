"""Times: the nodes of a run, what leads from one to the next, and WHEN steering starts."""

from muse.schedulers.grid import TimeGrid
from muse.schedulers.solvers import DDIM, DPMSolver2M, Solver
from muse.schedulers.timing import (
    Always,
    ClipThreshold,
    Moment,
    Never,
    StepWindow,
    TimingPolicy,
)

__all__ = [
    "DDIM",
    "Always",
    "ClipThreshold",
    "DPMSolver2M",
    "Moment",
    "Never",
    "Solver",
    "StepWindow",
    "TimeGrid",
    "TimingPolicy",
]
