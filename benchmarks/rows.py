"""What steering costs on the exact toy, as ratios of one run: machines differ, these hardly.

    python benchmarks/rows.py [--rows 128] [--steps 50] [--rounds 3]

One thread's own time: a steered row alone, `rows` of them together, and `rows` plain ones.
"""

from __future__ import annotations

import time
from statistics import median

import torch
from jsonargparse import auto_cli

from muse.backbones import BayesGuide, GaussianMixture, PlaceSimilarity
from muse.core.jobs import Job
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import Always, Never, TimingPolicy
from muse.steering import TokenOptimization


def seconds(timing: TimingPolicy, rows: int, steps: int) -> float:
    """For `rows` pictures at once, each steered step with all of its five iterations."""
    sampler = Sampler(
        backbone=GaussianMixture(),
        guide=BayesGuide(),
        steering=TokenOptimization(tokens=4, scale=0.02, lr=0.2),
        timing=timing,
        loss=MultiEmotionLoss(),
        latents=GaussianNoise(),
        similarity=PlaceSimilarity(),
        steps=steps,
        tolerance=float("-inf"),
    )
    jobs = [Job(f"{seed}", "a walk in the park", {"fear": 1.0}, seed) for seed in range(rows)]
    begun = time.process_time()
    assert len(list(sampler.sample(jobs, rows))) == rows
    return time.process_time() - begun


def compare(rows: int = 128, steps: int = 50, rounds: int = 3) -> None:
    """Print the ratios, each the median of its rounds, whose parts follow each other closely.

    Args:
        rows: pictures in a call.
        steps: of each.
        rounds: how often everything is timed.
    """
    found = []
    for _ in range(rounds):
        together = seconds(Always(), rows, steps)
        alone, plain = seconds(Always(), 1, steps), seconds(Never(), rows, steps)
        found.append((rows * alone / together, together / plain, together))
    saved, cost, took = (median(values) for values in zip(*found, strict=True))
    print(f"{rows} rows together are {saved:.0f} times as fast as one after the other")
    print(f"steering takes {cost:.1f} times as long as plain sampling ({took:.1f} s here)")


if __name__ == "__main__":
    torch.set_num_threads(1)
    auto_cli(compare)
