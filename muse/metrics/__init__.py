"""What a finished run is measured by: `muse evaluate`."""

from muse.metrics.base import Made, Metric, read_each
from muse.metrics.bootstrap import Estimate, estimates
from muse.metrics.content import ContentAccuracy
from muse.metrics.emotion import EmotionAccuracy
from muse.metrics.emotion_confusion import ECC, EMC
from muse.metrics.emotion_content import EmotionContentAccuracy
from muse.metrics.emotion_score import EmotionScore
from muse.metrics.evaluation import Evaluation, Measured, evaluate
from muse.metrics.features import (
    AutoencoderFeatures,
    ClipFeatures,
    ContrastFeatures,
    Extractor,
    InceptionFeatures,
    LayerFeatures,
    PenultimateFeatures,
    TimmFeatures,
    TorchvisionFeatures,
    TransformersFeatures,
)
from muse.metrics.fid import FID
from muse.metrics.hpsv2 import HPSv2
from muse.metrics.image_reward import ImageReward
from muse.metrics.kid import KID
from muse.metrics.lpips import LPIPS
from muse.metrics.naturalness import Naturalness
from muse.metrics.psnr import PSNR
from muse.metrics.references import PictureFolder, Reference, RenderedScenes, RunPictures
from muse.metrics.semantic_clarity import SemanticClarity
from muse.metrics.similarity import ClipScore, FeatureSimilarity, ImageSimilarity
from muse.metrics.ssim import SSIM
from muse.metrics.variance import IntraClassVariance, SemanticDiversity
from muse.metrics.zero_shot_content import ZeroShotContent
from muse.runs.finished import FinishedRun

__all__ = [
    "ECC",
    "EMC",
    "FID",
    "KID",
    "LPIPS",
    "PSNR",
    "SSIM",
    "AutoencoderFeatures",
    "ClipFeatures",
    "ClipScore",
    "ContentAccuracy",
    "ContrastFeatures",
    "EmotionAccuracy",
    "EmotionContentAccuracy",
    "EmotionScore",
    "Estimate",
    "Evaluation",
    "Extractor",
    "FeatureSimilarity",
    "FinishedRun",
    "HPSv2",
    "ImageReward",
    "ImageSimilarity",
    "InceptionFeatures",
    "IntraClassVariance",
    "LayerFeatures",
    "Made",
    "Measured",
    "Metric",
    "Naturalness",
    "PenultimateFeatures",
    "PictureFolder",
    "Reference",
    "RenderedScenes",
    "RunPictures",
    "SemanticClarity",
    "SemanticDiversity",
    "TimmFeatures",
    "TorchvisionFeatures",
    "TransformersFeatures",
    "ZeroShotContent",
    "estimates",
    "evaluate",
    "read_each",
]
