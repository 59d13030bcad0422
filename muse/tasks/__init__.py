"""What Lightning runs: making pictures without fitting, and fitting muse-mini and guides."""

from muse.tasks.fit_free import FitFree
from muse.tasks.trainer import MuseTrainer

__all__ = ["FitFree", "MuseTrainer"]
