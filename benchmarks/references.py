"""The paper's loop as it is usually written: what muse's speed is measured by (`waterfall.py`).

The parts are muse's (backbone, guide, similarity, loss, timing); what is done with them stands
here: conditions, guidance, the inner loop with `torch.optim.Adam`, the DDIM step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from muse.core.emotions import EMOTIONS, distribution
from muse.core.jobs import Job
from muse.core.types import Denoised, Goal, Node, Reading
from muse.sampling import Sampler
from muse.schedulers import Moment


@dataclass(frozen=True)
class Kind:
    """How it is written.

    Attributes:
        trains: whether weights take gradients, as they do where nobody forbids it.
        caches: whether a step's unconditional prediction is made once, not at each iteration.
        compiles: whether the denoiser goes through `torch.compile`.
        rows: pictures in lockstep: a step is over when the last of them is done.
    """

    trains: bool = False
    caches: bool = False
    compiles: bool = False
    rows: int = 1


KINDS = {
    "R0 one picture, weights trainable": Kind(trains=True),
    "R1 weights frozen": Kind(),
    "R2 unconditional prediction cached": Kind(caches=True),
    "R3 eight in lockstep, compiled": Kind(caches=True, compiles=True, rows=8),
}


def make(sampler: Sampler, kind: Kind, jobs: Sequence[Job]) -> dict[str, Tensor]:
    """The pictures (1, 3, H, W) of jobs by their ids, with a sampler's parts and settings: tokens
    searched by Adam, the best iterate taken.
    """
    model = sampler.backbone.model
    if kind.compiles:
        sampler.backbone.model = torch.compile(model)
    sampler.eval().requires_grad_(kind.trains)
    try:
        made: dict[str, Tensor] = {}
        for first in range(0, len(jobs), kind.rows):
            some = jobs[first : first + kind.rows]
            made |= zip((job.id for job in some), Lockstep(sampler, kind, some).run(), strict=True)
        return made
    finally:
        sampler.requires_grad_(False)
        sampler.backbone.model = model


class Lockstep:
    """Some pictures, step by step together.

    Args:
        sampler: its parts and settings.
        kind: how it is written.
        jobs: of the pictures.
    """

    def __init__(self, sampler: Sampler, kind: Kind, jobs: Sequence[Job]) -> None:
        self.sampler, self.kind, self.setup = sampler, kind, sampler.setup
        self.parts, self.backbone = sampler.answers, sampler.backbone
        self.steering: Any = self.parts.steering
        self.prompts = [job.prompt for job in jobs]
        with torch.no_grad():
            size = self.setup.size
            self.text = self.backbone.embed(self.prompts, size)["tokens"]
            null = self.backbone.embed([""], size, negative=True)["tokens"]
        self.null = null.expand(len(jobs), -1, -1)
        shape = self.backbone.latent_shape(size)
        noise = [torch.randn(1, *shape, generator=job.noise()) for job in jobs]
        self.x = torch.cat(noise).to(self.text.device)
        self.unit = self.text.float().square().mean((1, 2), keepdim=True).sqrt()
        wide = self.steering.tokens, self.text.shape[-1]
        noise = [torch.randn(1, *wide, generator=job.tokens()) for job in jobs]
        self.s = self.steering.scale * torch.cat(noise).to(self.unit)
        self.target = torch.cat([distribution(job.target or {}) for job in jobs]).to(self.unit)
        self.inherent = torch.zeros_like(self.target)
        self.floor = torch.zeros_like(self.target[:, 0])
        self.states = [sampler.timing.init() for _ in jobs]
        self.steered = torch.zeros(len(jobs), dtype=torch.bool)

    def run(self) -> list[Tensor]:
        """All steps."""
        grid, before = self.setup.grid, None
        for i in range(len(grid)):
            here, there = (Node.stack([grid[j]] * len(self.prompts)) for j in (i, i + 1))
            with torch.no_grad():
                empty = self.backbone.denoise(self.x, here, {"tokens": self.null})
                found = self.guided(here, None, empty)
                if not self.steered.all():
                    before = self.look(i, found.x0, before)
            if self.steered.any():
                searched = self.search(i, here, empty)
                rows = self.steered.to(self.x.device)[:, None, None, None]
                found = Denoised(*(
                    torch.where(rows, mine, plain)
                    for mine, plain in ((searched.x0, found.x0), (searched.eps, found.eps))
                ))  # fmt: skip
            self.x = found.at(there.alpha, there.sigma)
        with torch.no_grad():
            return list(self.backbone.decode(self.x).split(1))

    def guided(self, node: Node, s: Tensor | None, empty: Denoised | None) -> Denoised:
        """The guided prediction, with S or without."""
        tokens = (
            self.text if s is None else torch.cat([self.text, (self.unit * s).to(self.text)], 1)
        )
        seen = self.backbone.denoise(self.x, node, {"tokens": tokens})
        if empty is None:
            empty = self.backbone.denoise(self.x, node, {"tokens": self.null})
        eps = empty.eps + self.setup.guidance.scale * (seen.eps - empty.eps)
        return Denoised.from_eps(self.x, eps, node.alpha, node.sigma)

    def look(self, i: int, x0: Tensor, before: Tensor | None) -> Tensor:
        """WHEN, for each picture apart; at its beginning the inherent emotion is read, and how
        similar the picture is to its prompt.
        """
        image = self.backbone.preview(x0)
        assert self.parts.similarity is not None
        similar = self.parts.similarity(image, self.prompts).tolist()
        steps = len(self.setup.grid)
        for row, value in enumerate(similar):
            if self.steered[row]:
                continue
            decided = self.sampler.timing(self.states[row], Moment(i, steps, value))
            self.steered[row], self.states[row] = decided
            if self.steered[row]:
                self.floor[row] = value
                seen = image if before is None else before
                name = EMOTIONS[int(self.parts.guide.read(seen[row : row + 1]).argmax())]
                [found] = distribution({name: 1.0}).to(self.target)
                self.inherent[row] = found * (self.target[row] == 0)
        return image

    @torch.enable_grad()
    def evaluated(self, node: Node, s: Tensor, empty: Denoised | None) -> tuple[Denoised, Tensor]:
        """The guided prediction under S, and the loss of each picture, (B,)."""
        found = self.guided(node, s, empty)
        image = self.backbone.preview(found.x0)
        similar = None
        if self.parts.similarity is not None and self.parts.loss.needs_similarity:
            similar = self.parts.similarity(image, self.prompts)
        reading = Reading(self.parts.guide.read(image), similar)
        goal = Goal(self.target, self.inherent, self.floor)
        return found, self.parts.loss(reading, goal).total

    def search(self, i: int, node: Node, empty: Denoised) -> Denoised:
        """HOW and WHICH: S optimised at one step; the best iterate of each picture."""
        leaf = self.s.clone().requires_grad_()
        rate = self.steering.lr * max(0.0, 1 - i / 100)
        adam = torch.optim.Adam([leaf], lr=rate)
        cached = empty if self.kind.caches else None
        best = torch.full((len(leaf),), float("inf"), device=leaf.device)
        accepted, iterate = empty, leaf.detach().clone()
        for k in range(self.setup.search.max_iterations + 1):
            found, loss = self.evaluated(node, leaf, cached)
            better = loss.detach() < best
            wide = better[:, None, None, None]
            accepted = Denoised(
                torch.where(wide, found.x0.detach(), accepted.x0),
                torch.where(wide, found.eps.detach(), accepted.eps),
            )
            iterate = torch.where(better[:, None, None], leaf.detach(), iterate)
            best = torch.where(better, loss.detach(), best)
            done = (loss < self.setup.search.tolerance) | ~self.steered.to(loss.device)
            if done.all() or k == self.setup.search.max_iterations:
                break
            adam.zero_grad()
            loss.sum().backward()
            was = leaf.detach().clone()
            adam.step()
            with torch.no_grad():  # those that are done wait for the others
                leaf[done] = was[done]
        keep = self.steered.to(leaf.device)[:, None, None]
        self.s = torch.where(keep, iterate, self.s)
        return accepted
