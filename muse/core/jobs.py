"""Jobs: what a picture shall show, and the random numbers that decide it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Job:
    """One picture to make.

    Attributes:
        id: its name, safe as a file name.
        prompt: what it shows.
        target: emotion -> weight (they sum to 1), or None for the plain model.
        seed: decides all its random numbers.
        image: the picture to edit, or None to generate one.
        negative_prompt, guidance_scale, steps, size, intensity: of its own (see
            `muse.sampling.Sampler`); None takes the sampler's.
        mask: a picture that says where the emotion may act (`muse.core.masks`), or None for
            everywhere.
    """

    id: str
    prompt: str
    target: Mapping[str, float] | None
    seed: int
    image: Path | None = None
    negative_prompt: str | None = None
    guidance_scale: float | None = None
    steps: int | None = None
    size: tuple[int, int] | None = None
    intensity: float | None = None
    mask: Path | None = None

    def noise(self) -> torch.Generator:
        """The stream for x_T: seeded as diffusers seeds a CPU generator, and the same for the
        plain twin.
        """
        return torch.Generator().manual_seed(self.seed)

    def tokens(self) -> torch.Generator:
        """The stream for what steering starts from, and draws later."""
        return torch.Generator().manual_seed(derive_seed(self.seed, "tokens"))

    def steps_noise(self) -> torch.Generator:
        """The stream for the noise that a solver adds."""
        return torch.Generator().manual_seed(derive_seed(self.seed, "steps"))


def derive_seed(seed: int, name: str) -> int:
    """A seed of its own for `name` under a run's seed, in [0, 2^31): it depends on nothing else,
    so adding or moving jobs leaves it as it is.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 2**31


def safe_name(text: str) -> str:
    """`text` as a file name: lower-case letters, digits, '-', '_' and '.', at most 80 of them;
    where that loses something, a short digest of the text keeps names apart.
    """
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.").lower()[:80]
    if clean and clean == text:
        return clean
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{clean}-{digest}" if clean else digest
