"""HOW the model is steered."""

from muse.steering.base import Steered, Steering, Step
from muse.steering.none import NoSteering
from muse.steering.optimization import Optimization
from muse.steering.tokens import TokenOptimization

__all__ = ["NoSteering", "Optimization", "Steered", "Steering", "Step", "TokenOptimization"]
