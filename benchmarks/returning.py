"""Measure how well a picture comes back when its inversion is sampled again, unsteered.

    python benchmarks/returning.py [--scenes 4] [--steps 50] [--names '[null-text inversion]']

Scenes of muse-mini, from seeds that no training and no other benchmark takes; PSNR against the
autoencoder's own reconstruction, which no editing in its latents can exceed. The table is in
docs/editing.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jsonargparse import auto_cli
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

from muse.backbones import StableDiffusion
from muse.core.jobs import Job
from muse.core.pictures import read_picture
from muse.guides import ConvNet
from muse.latents import DDIMInversion, LatentSource, NullTextInversion
from muse.losses import MultiEmotionLoss
from muse.mini import render
from muse.sampling import Sampler
from muse.schedulers import Never
from muse.steering import NoSteering

SEED = 32_000_000
WAYS: dict[str, tuple[LatentSource, float]] = {
    "guidance 1": (DDIMInversion(0), 1.0),
    "guidance 1, 1 fixed-point iteration": (DDIMInversion(1), 1.0),
    "guidance 1, 3 fixed-point iterations": (DDIMInversion(3), 1.0),
    "guidance 7.5, no remedy": (DDIMInversion(0), 7.5),
    "guidance 7.5, null-text inversion": (NullTextInversion(), 7.5),
}
"""Where rows start and at which guidance scale they are sampled, by name."""


def returning(scenes: int = 4, steps: int = 50, names: Sequence[str] = tuple(WAYS)) -> None:
    """Print a table.

    Args:
        scenes: how many pictures.
        steps: there, and back.
        names: from `WAYS`.
    """
    backbone = StableDiffusion("muse-mini").eval()
    print("| | PSNR dB: mean | worst | seconds a picture |\n|---|---|---|---|", flush=True)
    with TemporaryDirectory() as folder:
        jobs = [_job(Path(folder), number, backbone) for number in range(scenes)]
        for name in names:
            source, scale = WAYS[name]
            sampler = Sampler(
                backbone, ConvNet(width=8), NoSteering(), Never(), MultiEmotionLoss(), source,
                steps=steps, guidance_scale=scale,
            )  # fmt: skip
            begun = time.perf_counter()
            kept = []
            for result in sampler.sample(jobs):
                assert result.image is not None, result.failure
                kept.append(_psnr(backbone, result.job, result.image))
            seconds = (time.perf_counter() - begun) / scenes
            mean, worst = sum(kept) / scenes, min(kept)
            print(f"| {name} | {mean:.1f} | {worst:.1f} | {seconds:.1f} |", flush=True)


def _job(folder: Path, number: int, backbone: StableDiffusion) -> Job:
    scene = render(SEED + number)
    path = folder / f"{number}.png"
    picture = Image.fromarray(scene.image)
    picture.resize(backbone.size[::-1], Image.Resampling.BICUBIC).save(path)
    return Job(str(number), scene.caption, None, number, path)


@torch.no_grad()
def _psnr(backbone: StableDiffusion, job: Job, image: torch.Tensor) -> float:
    assert job.image is not None
    best = backbone.decode(backbone.encode(read_picture(job.image, backbone.size))).clamp(0, 1)
    return float(peak_signal_noise_ratio(image.clamp(0, 1), best, data_range=1.0))


if __name__ == "__main__":
    auto_cli(returning)
