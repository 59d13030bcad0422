"""HOW the model is steered."""

from muse.steering.base import Steered, Steering, Step
from muse.steering.curvature import LBFGS
from muse.steering.line_search import LineSearch
from muse.steering.margin import GaussNewton
from muse.steering.noise_optimization import NoiseOptimization
from muse.steering.noise_search import BestOfN, ZeroOrderSearch
from muse.steering.none import NoSteering
from muse.steering.optimization import Optimization
from muse.steering.particles import ParticleResampling
from muse.steering.plug_and_play import PlugAndPlay
from muse.steering.rules import Adam, Polyak, StepRule
from muse.steering.shift import TextShift
from muse.steering.text_update import TextUpdate
from muse.steering.together import TokensAndLatent
from muse.steering.tokens import TokenOptimization
from muse.steering.training_free import TrainingFreeGuidance
from muse.steering.universal_guidance import UniversalGuidance
from muse.steering.word import EmotionWord

__all__ = [
    "LBFGS",
    "Adam",
    "BestOfN",
    "EmotionWord",
    "GaussNewton",
    "LineSearch",
    "NoSteering",
    "NoiseOptimization",
    "Optimization",
    "ParticleResampling",
    "PlugAndPlay",
    "Polyak",
    "Steered",
    "Steering",
    "Step",
    "StepRule",
    "TextShift",
    "TextUpdate",
    "TokenOptimization",
    "TokensAndLatent",
    "TrainingFreeGuidance",
    "UniversalGuidance",
    "ZeroOrderSearch",
]
