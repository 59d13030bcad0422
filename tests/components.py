"""One of every component that the registry knows, ready for the toy: a new component is one file
and one entry here."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from muse import backbones, guides, latents, losses, schedulers, steering
from muse.backbones import GaussianMixture
from muse.core.emotions import EMOTIONS
from tests.tiny_guides import classifier_folder, tiny_clip, worded_clip


class _PictureToy(GaussianMixture):
    """The toy, reading a picture's red and green as a point."""

    reads_pictures = True

    def encode(self, image):
        return 10 * image.mean((2, 3))[:, : self.means.shape[-1]] - 5


def _transformers_classifier() -> guides.TransformersClassifier:
    with TemporaryDirectory() as folder:
        return guides.TransformersClassifier(classifier_folder(Path(folder), EMOTIONS))


BACKBONES = {"GaussianMixture": lambda: backbones.GaussianMixture()}
GUIDES = {
    "BayesGuide": lambda: backbones.BayesGuide(),
    "ConvNet": lambda: guides.ConvNet(width=8),
    "EmoEdit": lambda: guides.EmoEdit(tiny_clip()),
    "EmoGen": lambda: guides.EmoGen(tiny_clip()),
    "GuideEnsemble": lambda: guides.GuideEnsemble(
        [guides.SimEmo(tiny_clip()), guides.ConvNet(width=8)]
    ),
    "SimEmo": lambda: guides.SimEmo(tiny_clip()),
    "TimmClassifier": lambda: guides.TimmClassifier(
        "resnet10t", options={"channels": [8, 8, 16, 16], "stem_width": 8}
    ),
    "TransformersClassifier": _transformers_classifier,
    "ZeroShotClip": lambda: guides.ZeroShotClip(
        worded_clip(), {emotion: [emotion] for emotion in EMOTIONS}, ["a {}"]
    ),
}
SIMILARITIES = {
    "PlaceSimilarity": lambda: backbones.PlaceSimilarity(),
    "ClipSimilarity": lambda: guides.ClipSimilarity(tiny_clip()),
}
TIMINGS = {
    "Always": lambda: schedulers.Always(),
    "ClipThreshold": lambda: schedulers.ClipThreshold(60.0),
    "Never": lambda: schedulers.Never(),
    "StepWindow": lambda: schedulers.StepWindow(0.3, 0.7),
}
LOSSES = {"MultiEmotionLoss": lambda: losses.MultiEmotionLoss(content_weight=0.1)}
STEERINGS = {
    "EmotionWord": lambda: steering.EmotionWord(),
    "NoSteering": lambda: steering.NoSteering(),
    "BestOfN": lambda: steering.BestOfN(2),
    "NoiseOptimization": lambda: steering.NoiseOptimization(2),
    "ParticleResampling": lambda: steering.ParticleResampling(2, every=0.5, start=0.5),
    "TextShift": lambda: steering.TextShift(),
    "TextUpdate": lambda: steering.TextUpdate(),
    "TokenOptimization": lambda: steering.TokenOptimization(lr=0.2),
    "TokensAndLatent": lambda: steering.TokensAndLatent(strength=1.0),
    "TrainingFreeGuidance": lambda: steering.TrainingFreeGuidance(),
    "UniversalGuidance": lambda: steering.UniversalGuidance(1.0),
    "ZeroOrderSearch": lambda: steering.ZeroOrderSearch(1, 1),
}
LATENTS = {
    "DDIMInversion": lambda: latents.DDIMInversion(),
    "GaussianNoise": lambda: latents.GaussianNoise(),
    "NullTextInversion": lambda: latents.NullTextInversion(iterations=3),
    "PartialNoise": lambda: latents.PartialNoise(0.6),
}
TESTED_ELSEWHERE = {
    "Flux": "tests/test_conformance_flow.py",
    "PixArtAlpha": "tests/test_conformance_vp.py",
    "PlugAndPlay": "tests/test_plug_and_play.py",
    "StableDiffusion": "tests/test_conformance_vp.py",
    "StableDiffusion3": "tests/test_conformance_flow.py",
    "StableDiffusionXL": "tests/test_conformance_vp.py",
}
