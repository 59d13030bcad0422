"""What a finished run is measured by: `muse evaluate`."""

from muse.metrics.base import Made, Metric, read_each
from muse.metrics.bootstrap import Estimate, estimates
from muse.metrics.content import ContentAccuracy
from muse.metrics.emotion import EmotionAccuracy
from muse.metrics.evaluation import Evaluation, Measured, evaluate
from muse.metrics.psnr import PSNR
from muse.metrics.similarity import ClipScore, ImageSimilarity
from muse.runs.finished import FinishedRun

__all__ = [
    "PSNR",
    "ClipScore",
    "ContentAccuracy",
    "EmotionAccuracy",
    "Estimate",
    "Evaluation",
    "FinishedRun",
    "ImageSimilarity",
    "Made",
    "Measured",
    "Metric",
    "estimates",
    "evaluate",
    "read_each",
]
