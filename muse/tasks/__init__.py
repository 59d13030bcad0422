"""What Lightning runs: making pictures without fitting, and fitting muse-mini and guides."""

from muse.tasks.autoencoding import AutoEncoding
from muse.tasks.content_classification import ContentClassification
from muse.tasks.contrastive import Contrastive
from muse.tasks.decoder_tuning import DecoderTuning
from muse.tasks.emotion_classification import EmotionClassification
from muse.tasks.fit_free import FitFree
from muse.tasks.latent_diffusion import LatentDiffusion
from muse.tasks.latent_flow import LatentFlow
from muse.tasks.preview_decoding import PreviewDecoding
from muse.tasks.trainer import MuseTrainer

__all__ = [
    "AutoEncoding",
    "ContentClassification",
    "Contrastive",
    "DecoderTuning",
    "EmotionClassification",
    "FitFree",
    "LatentDiffusion",
    "LatentFlow",
    "MuseTrainer",
    "PreviewDecoding",
]
