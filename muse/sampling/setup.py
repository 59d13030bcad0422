"""What a row is made with, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from muse.backbones.base import Size
from muse.core.types import Cond, Denoised, Guidance
from muse.latents import LatentSource
from muse.sampling.answers import Answers
from muse.sampling.search import Rests, Search
from muse.schedulers import Solver, TimeGrid, TimingPolicy


@dataclass(frozen=True)
class Setup:
    """What a row is made with: parts that rows share, and settings that may be its own.
    `muse.sampling.Sampler` says what each is.
    """

    answers: Answers
    timing: TimingPolicy
    latents: LatentSource
    solver: Solver
    search: Search
    rests: Rests
    grid: TimeGrid
    guidance: Guidance
    negative_prompt: str
    size: Size
    embed: Callable[[str, bool, Size], Cond]
    worded: bool = True
    intensity: float = 1.0
    mask_view: Literal["whole", "inside"] = "whole"


@dataclass(frozen=True)
class At:
    """Where a row stands: its latent at node i, the conditions, the solver's step from there, and
    the predictions made there.
    """

    x: Tensor
    i: int
    cond: Cond
    null: Cond | None
    advance: Callable[[Denoised], tuple[Tensor, Any]]
    unconditional: Denoised | None = None
    plain: Denoised | None = None
