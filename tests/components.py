"""One of every component that the registry knows, ready for the toy: a new component is one file
and one entry here."""

from __future__ import annotations

import torch
from transformers import CLIPConfig, CLIPModel

from muse import backbones, guides, latents, losses, schedulers, steering
from muse.backbones import GaussianMixture


def tiny_clip(seed: int = 0, image_size: int = 32) -> CLIPModel:
    """A CLIP of a few thousand random weights."""
    torch.manual_seed(seed)
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    ends = {"bos_token_id": 62, "eos_token_id": 63, "pad_token_id": 0}
    config = CLIPConfig(
        text_config={**small, "vocab_size": 64, "max_position_embeddings": 16, **ends},
        vision_config={**small, "image_size": image_size, "patch_size": 8},
        projection_dim=24,
    )
    return CLIPModel(config).eval()


class _PictureToy(GaussianMixture):
    """The toy, reading a picture's red and green as a point."""

    reads_pictures = True

    def encode(self, image):
        return 10 * image.mean((2, 3))[:, : self.means.shape[-1]] - 5


BACKBONES = {"GaussianMixture": lambda: backbones.GaussianMixture()}
GUIDES = {
    "BayesGuide": lambda: backbones.BayesGuide(),
    "ConvNet": lambda: guides.ConvNet(width=8),
    "EmoGen": lambda: guides.EmoGen(tiny_clip()),
    "GuideEnsemble": lambda: guides.GuideEnsemble(
        [guides.SimEmo(tiny_clip()), guides.ConvNet(width=8)]
    ),
    "SimEmo": lambda: guides.SimEmo(tiny_clip()),
    "TimmClassifier": lambda: guides.TimmClassifier(
        "resnet10t", options={"channels": [8, 8, 16, 16], "stem_width": 8}
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
    "StepWindow": lambda: schedulers.StepWindow(3, 7),
}
LOSSES = {"MultiEmotionLoss": lambda: losses.MultiEmotionLoss(content=0.1)}
STEERINGS = {
    "NoSteering": lambda: steering.NoSteering(),
    "TokenOptimization": lambda: steering.TokenOptimization(lr=0.2),
}
LATENTS = {
    "DDIMInversion": lambda: latents.DDIMInversion(),
    "GaussianNoise": lambda: latents.GaussianNoise(),
}
TESTED_ELSEWHERE = {"StableDiffusion": "tests/test_stable_diffusion.py"}
