"""A watcher for tests."""

from __future__ import annotations

from torch import Tensor

from muse.core.jobs import Job
from muse.core.types import Denoised
from muse.core.watching import Watcher


class Latents(Watcher):
    """Keeps the latent after every step, by job id."""

    def __init__(self) -> None:
        self.of: dict[str, list[Tensor]] = {}

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> None:
        self.of.setdefault(job.id, []).append(latent)
