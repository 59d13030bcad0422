"""A watcher of one's own: how each picture took shape, as a GIF.

muse fit-free --config configs/quickstart.yaml --model.watchers '[examples.my_watcher.Gif]'
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from PIL import Image
from torch import Tensor

from muse.core.jobs import Job
from muse.core.results import Result
from muse.core.types import Denoised
from muse.core.watching import Watcher


class Gif(Watcher):
    """Writes ``<id>.gif``, the picture predicted at each step.

    Args:
        folder: where to; it is made.
        milliseconds: that each picture is shown; the last one ten times as long.
    """

    wants_pictures: ClassVar[bool] = True

    def __init__(self, folder: str = "outputs/gifs", milliseconds: int = 80) -> None:
        self.folder, self.milliseconds = Path(folder), milliseconds
        self.frames: dict[str, list[Image.Image]] = {}

    def stepped(
        self, job: Job, step: int, latent: Tensor, denoised: Denoised, picture: Tensor | None
    ) -> None:
        """Keep a frame."""
        if picture is None or picture.ndim < 4:  # the toy's are points
            return
        pixels = picture[0].clamp(0, 1).mul(255).byte().permute(1, 2, 0).cpu().numpy()
        self.frames.setdefault(job.id, []).append(Image.fromarray(pixels))

    def finished(self, result: Result) -> None:
        """Write them, and let them go."""
        frames = self.frames.pop(result.job.id, [])
        if frames:
            self.folder.mkdir(parents=True, exist_ok=True)
            shown = [self.milliseconds] * (len(frames) - 1) + [10 * self.milliseconds]
            file = self.folder / f"{result.job.id}.gif"
            frames[0].save(file, save_all=True, append_images=frames[1:], duration=shown, loop=0)
