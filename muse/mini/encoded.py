"""Latents of scenes, which an autoencoder takes longer to make than a small model to learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from muse.core.digests import Digests
from muse.core.files import replacing, written
from muse.mini.data import SceneDataset


class Latents:
    """Latents of the scenes of a data set, by their place in it. Once all are there they are kept
    in a file, where another start, or another task on the same scenes, finds them.

    Args:
        file: where they are kept; None keeps them in memory alone.
        count: how many scenes there are.
    """

    def __init__(self, file: Path | None = None, count: int = 0) -> None:
        self.file, self.count = file, count
        self._known: dict[int, Tensor] = {}
        if file is not None and file.is_file():
            self._known = dict(enumerate(load_file(file)["latents"]))

    def has(self, index: Sequence[int]) -> bool:
        """Whether all of these are there."""
        return all(key in self._known for key in index)

    def add(self, index: Sequence[int], latents: Tensor) -> None:
        """Remember what is new among the latents (B, C, h, w) of scenes.

        Raises:
            MuseError: they are complete, and can't be written.
        """
        for key, latent in zip(index, latents, strict=True):
            self._known.setdefault(key, latent)
        if self.file is not None and len(self._known) == self.count and not self.file.is_file():
            whole = torch.stack([self._known[key].cpu() for key in range(self.count)])
            with written(str(self.file)), replacing(self.file) as path:
                save_file({"latents": whole}, path)

    def of(self, index: Sequence[int]) -> Tensor:
        """(B, C, h, w)."""
        return torch.stack([self._known[key] for key in index])


def latents_of(scenes: SceneDataset, folder: Path, vae: Path, precision: str) -> Latents:
    """The latents of scenes, with a file in a pipeline's folder that is known by what is in both.

    Args:
        scenes: the data set.
        folder: of the pipeline.
        vae: folder of the autoencoder.
        precision: of the arithmetic, as Lightning has it.
    """
    digest = hashlib.sha256(precision.encode())
    digest.update(Digests().of(vae).encode())
    for some in scenes.images.permute(0, 2, 3, 1).split(1000):  # a copy of all is gigabytes
        digest.update(some.contiguous().numpy().data)
    return Latents(folder / f"latents-{digest.hexdigest()[:12]}.safetensors", len(scenes))
