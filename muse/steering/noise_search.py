"""Choosing the noise that a picture starts from by what comes of it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.asks import Ask, Fork, Judgement, Observation
from muse.core.errors import check_counts
from muse.core.types import MuseError, Tensors
from muse.latents import LatentSource
from muse.steering.base import Steered, Steering, Step

WORST = -1e6
"""The reward of a reading that is not finite."""


class NoiseSearch(Steering):
    """Some noises are led to pictures by the plain model, rows of their own that share calls with
    all others; the one is kept whose picture the guide likes best: the largest mean
    log-probability of the target.
    """

    predicts = False

    def check(self, backbone: Backbone, latents: LatentSource) -> None:
        """Refuse latents of a picture."""
        if latents.needs_picture:
            raise MuseError(
                f"{type(self).__name__} draws fresh noise, which would lose the picture to edit. "
                "Edit with another steering, such as TextShift."
            )

    @abstractmethod
    def rounds(
        self, x: Tensor, generator: torch.Generator
    ) -> Generator[list[Tensor], Tensor, None]:
        """Noises to try, round by round: yields lists of latents (1, ...), and is sent the best
        one of all so far.

        Args:
            x: the row's own noise.
            generator: its stream, on the CPU.
        """

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """All rounds, and the best one's last latent.

        Raises:
            MuseError: steering begins later than at the first step.
        """
        name = type(self).__name__
        if step.i:
            raise MuseError(
                f"{name} chooses the noise that a row starts from, and steering began at step "
                f"{step.i}. Use the timing Always."
            )
        best: tuple[float, Tensor, Tensor] | None = None
        rounds, number = self.rounds(step.x, step.generator), 0
        noises = next(rounds)
        while noises:
            found: list[tuple[Tensor, Observation]]
            [found] = yield [Fork([step.onward(noise, step.i) for noise in noises])]
            for noise, (last, seen) in zip(noises, found, strict=True):
                judged = liking(seen, step.goal.target)
                step.note(number, judged)
                number += 1
                if best is None or reward(judged) > best[0]:
                    best = reward(judged), noise, last
            assert best is not None
            try:
                noises = rounds.send(best[1])
            except StopIteration:
                break
        assert best is not None
        step.trace.iterations.append(number)
        return Steered(None, state, best[2], len(step.grid))


class BestOfN(NoiseSearch):
    """The best of n noises, the first of them the row's own: random search over x_T (Ma et al.
    2025, Sec. 3; tt-scale-flux takes 2 to 64 of them). It must steer from the first step on: timing
    `Always`.

    Args:
        n: how many, 1 or more; 1 is the plain picture.

    Raises:
        MuseError: n below 1.
    """

    def __init__(self, n: int = 4) -> None:
        super().__init__()
        check_counts(n=n)
        self.n = n

    def rounds(
        self, x: Tensor, generator: torch.Generator
    ) -> Generator[list[Tensor], Tensor, None]:
        """All in one."""
        yield [x, *(fresh(x, generator) for _ in range(self.n - 1))]


class ZeroOrderSearch(NoiseSearch):
    r"""A walk through noises without gradient (Ma et al. 2025, Sec. 3): in each round the best one
    so far has neighbours, :math:`c\,x + \sqrt{1 - c^2}\,z`. It must steer from the first step on:
    timing `Always`.

    Published for FLUX: 4 rounds, 4 neighbours, c 0.95 (tt-scale-flux).

    Args:
        search_rounds: 1 or more.
        neighbors: in each round, 1 or more.
        likeness: c, their cosine to the best one, above 0 and below 1.

    Raises:
        MuseError: one of them out of range.
    """

    def __init__(self, search_rounds: int = 4, neighbors: int = 4, likeness: float = 0.95) -> None:
        super().__init__()
        check_counts(search_rounds=search_rounds, neighbors=neighbors)
        if not 0 < likeness < 1:
            raise MuseError(f"likeness = {likeness:g} is out of range. Use one above 0, below 1.")
        self.search_rounds, self.neighbors, self.likeness = search_rounds, neighbors, likeness

    def rounds(
        self, x: Tensor, generator: torch.Generator
    ) -> Generator[list[Tensor], Tensor, None]:
        """The row's own noise with its neighbours, then those of the best."""
        apart = (1 - self.likeness**2) ** 0.5
        own = [x]
        for _ in range(self.search_rounds):
            near = [self.likeness * x + apart * fresh(x, generator) for _ in range(self.neighbors)]
            x = yield own + near
            own = []


def fresh(x: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise like `x`, (1, ...)."""
    return torch.randn(x.shape, generator=generator).to(x)


def reward(judged: Judgement) -> float:
    """How good it is: minus its loss, `WORST` for one that is not finite."""
    return -judged.total if math.isfinite(judged.total) else WORST


def liking(seen: Observation, target: Tensor) -> Judgement:
    """A picture as a judgement: its loss is the cross-entropy of the guide's reading."""
    assert seen.logits is not None
    logits = seen.logits
    loss = -float((target.to(logits) * logits.log_softmax(-1)).sum())
    probabilities: list[float] = logits.softmax(-1)[0].tolist()
    return Judgement(loss, {"target": loss}, probabilities, torch.zeros(()), True)
