"""What Lightning runs: making pictures without fitting, and fitting muse-mini and guides."""

from muse.tasks.fit_free import FitFree

__all__ = ["FitFree"]
