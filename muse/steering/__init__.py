"""HOW the model is steered."""

from muse.steering.base import Steering
from muse.steering.none import NoSteering
from muse.steering.tokens import TokenOptimization

__all__ = ["NoSteering", "Steering", "TokenOptimization"]
