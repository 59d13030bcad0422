"""What reads a picture: emotion classifiers, and its similarity to a text."""

from muse.guides.base import Guide
from muse.guides.convnet import ConvNet
from muse.guides.emoedit import EmoEdit
from muse.guides.emogen import EmoGen
from muse.guides.ensemble import GuideEnsemble
from muse.guides.saving import save_classifier
from muse.guides.simemo import SimEmo
from muse.guides.similarity import ClipSimilarity, Similarity
from muse.guides.timm_classifier import TimmClassifier
from muse.guides.transformers_classifier import TransformersClassifier
from muse.guides.zero_shot_clip import ZeroShotClip

__all__ = [
    "ClipSimilarity",
    "ConvNet",
    "EmoEdit",
    "EmoGen",
    "Guide",
    "GuideEnsemble",
    "SimEmo",
    "Similarity",
    "TimmClassifier",
    "TransformersClassifier",
    "ZeroShotClip",
    "save_classifier",
]
