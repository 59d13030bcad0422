"""Prompts as the model reads them, each encoded once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.jobs import Job
from muse.core.types import Cond

KEPT = 256 * 2**20
"""Bytes of encoded prompts that are kept: about 2,000 of Stable Diffusion 1.5 in bfloat16, or 60 of
FLUX.
"""


class EncodedPrompts:
    """Encodes prompts, and keeps those used last: a large text encoder takes seconds on a CPU.

    Args:
        backbone: encodes them.
        size: height and width of pictures in pixels that have none of their own.
    """

    def __init__(self, backbone: Backbone, size: Size) -> None:
        self.backbone = backbone
        self.size = size
        self._largest = 1
        self._kept: dict[tuple[Any, ...], Cond] = {}
        self._given: dict[tuple[str, bool], Cond] = {}

    @property
    def room(self) -> int:
        """How many prompts of the largest size yet seen are kept beside a negative one."""
        return max(1, KEPT // self._largest - 1)

    def __call__(self, prompt: str, negative: bool = False, size: Size | None = None) -> Cond:
        """One row; as it was encoded for this device, dtype and autocast, where it is kept."""
        size = size or self.size
        like = next(chain(self.backbone.parameters(), self.backbone.buffers()), torch.empty(0))
        kind = like.device.type
        autocast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind)
        key = prompt, negative, size, like.device, like.dtype, autocast
        found = self._kept.pop(key, None)
        if found is None:
            found = self.backbone.embed([prompt], size, negative=negative)
            self._largest = max(self._largest, sum(value.nbytes for value in found.values()))
        self._kept[key] = found  # the one used last is last
        while len(self._kept) > self.room + 1:
            del self._kept[next(iter(self._kept))]
        return found

    def give(self, job: Job, cond: Cond, negative: bool = False) -> None:
        """Take `cond` for a job's prompt (or negative prompt) in place of what that encodes to."""
        self._given[job.id, negative] = cond

    def given(self, job: Job, negative: bool = False) -> bool:
        """Whether a job was given a condition for its prompt (or negative prompt)."""
        return (job.id, negative) in self._given

    def of(self, job: Job) -> Callable[[str, bool, Size], Cond]:
        """What encodes prompts for a job that was given a condition: itself, but for that one."""

        def embed(prompt: str, negative: bool, size: Size) -> Cond:
            own = negative or prompt == job.prompt  # a steering may ask for other prompts
            found = self._given.get((job.id, negative)) if own else None
            return self(prompt, negative, size) if found is None else found

        return embed

    def clear(self) -> None:
        """Keep none."""
        self._largest = 1
        self._kept.clear()
