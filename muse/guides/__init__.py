"""What reads a picture: emotion classifiers, and its similarity to a text."""

from muse.guides.base import Guide
from muse.guides.convnet import ConvNet
from muse.guides.emogen import EmoGen
from muse.guides.ensemble import GuideEnsemble
from muse.guides.saving import save_classifier
from muse.guides.simemo import SimEmo
from muse.guides.similarity import ClipSimilarity, Similarity
from muse.guides.timm_classifier import TimmClassifier

__all__ = [
    "ClipSimilarity",
    "ConvNet",
    "EmoGen",
    "Guide",
    "GuideEnsemble",
    "SimEmo",
    "Similarity",
    "TimmClassifier",
    "save_classifier",
]
