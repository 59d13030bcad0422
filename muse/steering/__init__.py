"""HOW the model is steered."""

from muse.steering.base import Steered, Steering, Step
from muse.steering.none import NoSteering
from muse.steering.optimization import Optimization
from muse.steering.plug_and_play import PlugAndPlay
from muse.steering.tokens import TokenOptimization
from muse.steering.word import EmotionWord

__all__ = [
    "EmotionWord",
    "NoSteering",
    "Optimization",
    "PlugAndPlay",
    "Steered",
    "Steering",
    "Step",
    "TokenOptimization",
]
