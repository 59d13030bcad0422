"""The exact toy, set up for tests: jobs whose prompt does not already show the wanted emotion, a
sampler with the settings of configs/toy.yaml, and what share of results is as it should be."""

from __future__ import annotations

import torch
from torch import Tensor

from muse.backbones import BayesGuide, GaussianMixture, PlaceSimilarity
from muse.backbones.toy.mixture import CONTENTS
from muse.core.asks import Predict
from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Cond, Node
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.schedulers import ClipThreshold, TimeGrid
from muse.steering import TokenOptimization

SIZE = (1, 1)


def jobs(seeds: int) -> list[Job]:
    """`seeds` jobs for every emotion, at places in which another emotion is inherent."""
    made = []
    for number, emotion in enumerate(EMOTIONS):
        places = [place for place, inherent in CONTENTS.items() if inherent != emotion]
        for seed in range(seeds):
            prompt = f"a walk in the {places[seed % len(places)]}"
            made.append(Job(f"{emotion}-{seed}", prompt, {emotion: 1.0}, seed * 8 + number))
    return made


def parts(flow: bool = False, dimension: int = 2) -> dict:
    """The parts of configs/toy.yaml, by the sampler's names."""
    return {
        "backbone": GaussianMixture(dimension, flow),
        "guide": BayesGuide(dimension),
        "steering": TokenOptimization(tokens=4, scale=0.02, lr=0.2),
        "timing": ClipThreshold(60.0),
        "loss": MultiEmotionLoss(),
        "latents": GaussianNoise(),
        "similarity": PlaceSimilarity(dimension),
    }


def sampler(flow: bool = False, dimension: int = 2, **options) -> Sampler:
    """The sampler of configs/toy.yaml; `options` replace any of its arguments."""
    return Sampler(**{**parts(flow, dimension), **options})


def make(sampler: Sampler, wanted: list[Job], slots: int = 128) -> dict[str, Result]:
    """The results by job id."""
    return {result.job.id: result for result in sampler.sample(wanted, slots)}


def same(first: Result, second: Result) -> bool:
    """Whether two results are equal in every bit: picture, path and all that was recorded."""
    return (
        torch.equal(first.image, second.image)
        and torch.equal(first.path, second.path)
        and first.trace == second.trace
        and first.probabilities == second.probabilities
    )


def place_of(job: Job) -> int:
    """The index of the place that a job's prompt names."""
    [index] = [i for i, name in enumerate(CONTENTS) if name in job.prompt]
    return index


def shares(results: dict[str, Result]) -> tuple[float, float]:
    """Per cent of results on target and at the prompt's place, by the exact posterior."""
    backbone = GaussianMixture(next(iter(results.values())).image.shape[-1])
    on_target = kept = 0
    for result in results.values():
        p = backbone.posterior(result.image)[0]
        [emotion] = result.job.target
        on_target += int(p.sum(0).argmax()) == EMOTIONS.index(emotion)
        kept += int(p.sum(1).argmax()) == place_of(result.job)
    return 100 * on_target / len(results), 100 * kept / len(results)


def conditions(backbone: GaussianMixture, prompt: str, count: int) -> Cond:
    """The text condition of one prompt (it may be empty), `count` times."""
    one = backbone.embed([prompt], SIZE, negative=True)
    return {name: value.expand(count, *value.shape[1:]) for name, value in one.items()}


def at(node: Node, count: int) -> Node:
    """A node `count` times."""
    return Node(*(value.expand(count) for value in (node.timestep, node.alpha, node.sigma)))


def sample_plain(backbone: GaussianMixture, grid: TimeGrid, x: Tensor, cond: Cond) -> Tensor:
    """All of `x` through the plain model, guidance 1."""
    for i in range(len(grid)):
        x = grid.advance(backbone.denoise(x, at(grid[i], len(x)), cond), i)
    return x


def sample_row(x: Tensor, grid: TimeGrid, cond: Cond):
    """The same for one row, as a generator of asks; returns the last latent."""
    for i in range(len(grid)):
        [denoised] = yield [Predict(x, grid[i], cond)]
        x = grid.advance(denoised, i)
    return x
