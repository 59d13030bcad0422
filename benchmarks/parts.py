"""How good each part of muse-mini is, on scenes that no training saw: the figures of its card.

python benchmarks/parts.py [--count 1000]
"""

from __future__ import annotations

import numpy as np
import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import peak_signal_noise_ratio

from muse.backbones import StableDiffusion
from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.guides import ConvNet, EmoGen, Guide, SimEmo, TimmClassifier
from muse.mini import HELD_OUT, PLACES, THINGS, VARIED, content_caption, render
from muse.mini.content import ContentClassifier
from muse.mini.reconstruction import fine_contrast
from muse.mini.scenes import Scene
from muse.mini.world import SIDE, VARIED_FI
from muse.presets.building import preset
from muse.pretrained.clip import as_clip
from muse.sampling import Sampler
from muse.schedulers import Never

FIRST_SEED = 20_000_000
"""Training and validation scenes lie below."""


@torch.no_grad()
def main(count: int = 1000) -> None:
    """Print what is measured of each part.

    Args:
        count: scenes of each world.
    """
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    worlds = {
        "its own": [render(s, world=VARIED, size=SIDE) for s in seeds],
        "FI-like": [render(s, world=VARIED_FI, size=SIDE) for s in seeds],
    }
    held_out = [
        render(FIRST_SEED + i, *pair, world=VARIED, size=SIDE)
        for i, pair in enumerate(sorted(HELD_OUT) * max(1, count // 100))
    ]
    autoencoder(worlds["its own"][:256])
    pipeline(worlds["its own"][:64])
    for name, scenes in (("its own world", worlds["its own"]), ("held-out pairs", held_out)):
        clip(name, scenes)
        content(name, scenes)
    clip_id = "muse-mini/clip"
    judges: dict[str, Guide] = {
        "SimEmo": SimEmo(clip_id, "muse-mini/guides/simemo.safetensors"),
        "EmoGen": EmoGen(clip_id, "muse-mini/guides/emogen.safetensors"),
        "SimEmo, FI-like": SimEmo(clip_id, "muse-mini/guides/simemo_fi.safetensors"),
        "timm": TimmClassifier(checkpoint="muse-mini/guides/timm.safetensors"),
        "judge": ConvNet("muse-mini/judge.safetensors"),
    }
    for name, judge in judges.items():
        for world, scenes in worlds.items():
            print(f"{name} on {world}: {accuracy(judge.eval(), scenes):.1%}")


def pixels(scenes: list[Scene]) -> Tensor:
    """(B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack([s.image for s in scenes])).permute(0, 3, 1, 2) / 255


def autoencoder(scenes: list[Scene]) -> None:
    """Mean absolute error and PSNR of encoding and decoding, and what is kept of the contrast."""
    backbone, image = StableDiffusion("muse-mini"), pixels(scenes)
    again = torch.cat([backbone.decode(backbone.encode(some)) for some in image.split(16)])
    again = again.clamp(0, 1)
    each = peak_signal_noise_ratio(again, image, 1.0, reduction="none", dim=(1, 2, 3))
    error = (again - image).abs().mean()
    print(f"autoencoder: mean absolute error {error:.4f} of the range, PSNR {each.mean():.1f} dB,")
    print(f"    {fine_contrast(again) / fine_contrast(image):.1%} of the finest contrast")


def pipeline(scenes: list[Scene]) -> None:
    """What the plain pictures of scenes' prompts have of the scenes' finest contrast: all that the
    pipeline blurs, not the autoencoder alone.
    """
    sampler = Sampler(**preset("default", without={"timing"}), timing=Never())
    jobs = [Job(str(i), scene.caption, None, i) for i, scene in enumerate(scenes)]
    made = [result.image for result in sampler.sample(jobs, slots=8)]
    drawn = torch.cat([image for image in made if image is not None]).clamp(0, 1)
    print(f"plain pictures: {fine_contrast(drawn) / fine_contrast(pixels(scenes)):.1%} of it")


def clip(name: str, scenes: list[Scene]) -> None:
    """Zero-shot thing and place over all prompts, mood, and the similarity to the own prompt."""
    model = as_clip("muse-mini/clip").eval()
    pictures = F.normalize(model.image(pixels(scenes)), dim=-1)
    pairs = [(thing, place) for thing in THINGS for place in PLACES]
    texts = F.normalize(model.text([content_caption(*pair) for pair in pairs]), dim=-1)
    scores = pictures @ texts.T
    read = [pairs[i] for i in scores.argmax(-1).tolist()]
    things = np.mean([a[0] == s.thing for a, s in zip(read, scenes, strict=True)])
    places = np.mean([a[1] == s.place for a, s in zip(read, scenes, strict=True)])
    own = [
        100 * float(row[pairs.index((s.thing, s.place))])
        for row, s in zip(scores, scenes, strict=True)
    ]
    moods = []
    for picture, scene in zip(pictures, scenes, strict=True):
        said = model.text([f"{scene.caption}, {emotion}" for emotion in EMOTIONS])
        moods.append(EMOTIONS[int((F.normalize(said, dim=-1) @ picture).argmax())] == scene.mood)
    low, middle, high = np.quantile(own, [0.05, 0.5, 0.95])
    print(
        f"CLIP, {name}: thing {things:.1%}, place {places:.1%}, mood {np.mean(moods):.1%}; "
        f"100 cos to the own prompt {low:.0f} / {middle:.0f} / {high:.0f} (5 / 50 / 95 %)"
    )


def content(name: str, scenes: list[Scene]) -> None:
    """Accuracy of the content classifier."""
    model = ContentClassifier("muse-mini/content.safetensors").eval()
    logits = model(pixels(scenes))
    shares = []
    for part, scores in (("thing", logits.thing), ("place", logits.place)):
        read = [model.names[part][i] for i in scores.argmax(-1).tolist()]
        shares.append(np.mean([a == getattr(s, part) for a, s in zip(read, scenes, strict=True)]))
    print(f"content classifier, {name}: thing {shares[0]:.1%}, place {shares[1]:.1%}")


def accuracy(judge: Guide, scenes: list[Scene]) -> float:
    """The share of scenes whose mood the judge reads."""
    read = judge.read(pixels(scenes)).argmax(-1).tolist()
    return float(np.mean([EMOTIONS[i] == s.mood for i, s in zip(read, scenes, strict=True)]))


if __name__ == "__main__":
    auto_cli(main)
