"""What a call of `MusePipeline` was given, brought into rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from copy import copy
from typing import Any, TypeAlias, cast

import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.asks import Ask
from muse.core.emotions import EMOTIONS
from muse.core.errors import check_counts
from muse.core.intensity import parse_emotion
from muse.core.jobs import Job, derive_seed
from muse.core.masks import Mask, as_mask
from muse.core.pictures import as_picture
from muse.core.types import Cond, MuseError
from muse.guides import Guide
from muse.latents import LatentSource, Start
from muse.latents.noise import like
from muse.latents.picture import picture_latent
from muse.schedulers import TimeGrid

Emotion: TypeAlias = str | Mapping[str, float] | None
"""A name, a mixture (``"awe:0.7,fear:0.3"``, or a mapping), or None for the plain model; a text may
end in its intensity (``"awe@0.6"``)."""
ImageInput: TypeAlias = Image.Image | Tensor | Sequence[Image.Image | Tensor]
"""One picture, a batch (B, 3, H, W), or a list of pictures, tensors in [0, 1]."""
Generators: TypeAlias = torch.Generator | Sequence[torch.Generator] | None


class _GivenLatents(LatentSource):
    """The latents that a call was given, or has drawn.

    Args:
        latents: job id -> (1, ...).
        masks: job id -> (1, 1, H, W) in [0, 1], of those that have one.
    """

    def __init__(self, latents: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.latents = latents
        self.masks = masks

    def mask_of(self, job: Job, size: Size) -> Tensor | None:
        """The job's own."""
        return self.masks.get(job.id)

    def forward(
        self, job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Tensor]:
        """The job's own, (1, ...); asks for nothing."""
        return self.latents[job.id].to(like(cond))
        yield  # makes this a row


def in_memory(
    source: LatentSource,
    pictures: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    stopped: Callable[[], bool],
) -> LatentSource:
    """A source of edits whose pictures are at hand, where it would read files.

    Args:
        source: as of files; it stays as it is.
        pictures: job id -> (1, 3, H, W) in [0, 1].
        masks: job id -> (1, 1, H, W) in [0, 1], of those that have one.
        stopped: whether no row takes a step any more: then a picture stays as it is.
    """
    made: Any = copy(source)  # not a subclass: every subclass is a choice on the command line

    def forward(
        job: Job, backbone: Backbone, grid: TimeGrid, cond: Cond, size: Size
    ) -> Generator[list[Ask], list[Any], Start | Tensor]:
        start: Start | Tensor | None = None
        if not stopped():
            start = yield from type(source).forward(made, job, backbone, grid, cond, size)
        if start is None or stopped():
            return picture_latent(made, job, backbone, cond, size)
        return start

    made.picture_of = lambda job, size: pictures[job.id]
    made.mask_of = lambda job, size: masks.get(job.id)
    made.forward = forward
    return cast(LatentSource, made)


def broadcast(**columns: Sequence[Any]) -> list[list[Any]]:
    """Columns of one length, in their order: of one entry each is repeated.

    Raises:
        MuseError: lengths that don't go together, or an empty column.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    rows = max(lengths.values())
    if not set(lengths.values()) <= {1, rows} or rows == 0:
        given = {name: count for name, count in lengths.items() if columns[name] != [None]}
        told = ", ".join(f"{count} {name}(s)" for name, count in given.items())
        raise MuseError(f"{told} don't go together. Give as many of each, or one for all.")
    return [list(column) * (rows // len(column)) for column in columns.values()]


def prompts_of(prompt: str | Sequence[str], name: str = "prompt") -> list[str]:
    """One prompt, or several."""
    prompts: list[Any] = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
    for one in prompts:
        if not isinstance(one, str):
            raise MuseError(f"{name} {one!r} is no text. Give a text, or a list of them.")
        if any("\ud800" <= letter <= "\udfff" for letter in one):
            raise MuseError(
                f"{name} {one!r} holds half a surrogate pair, which is no character. Leave it out, "
                "or decode the text from its own encoding."
            )
    return prompts


def targets_of(
    emotion: Emotion | Sequence[Emotion],
) -> list[tuple[dict[str, float] | None, float | None]]:
    """One target, or several, each with its intensity where it says one; None stays."""
    emotions: Sequence[object] = emotion if isinstance(emotion, list | tuple) else [emotion]
    return [_target(one) for one in emotions]


def _target(emotion: object) -> tuple[dict[str, float] | None, float | None]:
    if emotion is None:
        return None, None
    if not isinstance(emotion, str | Mapping):
        raise MuseError(
            f"emotion {emotion!r} is not one. Give a name, a mixture like 'awe:0.7,fear:0.3', a "
            "mapping, None, or a list of them."
        )
    return parse_emotion(emotion)


def size_of(own: Size, height: int | None, width: int | None) -> Size:
    """Height and width, the model's own where they aren't given."""
    size = (own[0] if height is None else height, own[1] if width is None else width)
    check_counts(height=size[0], width=size[1])
    return size


def masks_of(mask: ImageInput) -> list[Mask]:
    """Masks: Pillow images of any mode, or tensors (B, 1, H, W) in [0, 1].

    Raises:
        MuseError: what is neither, or can't be decoded, or is too small.
    """
    return [_mask(one) for one in _listed(mask)]


def _mask(mask: object) -> Mask:
    if isinstance(mask, Tensor):
        of_one = mask.ndim == 3 and len(mask) == 1 and 0 not in mask.shape
        if not of_one or not bool(((mask >= 0) & (mask <= 1)).all()):
            raise MuseError(
                f"mask_image is a tensor {tuple(mask.shape)}. Give one channel, (B, 1, H, W), "
                "of values in [0, 1]."
            )
        mask = to_pil_image(mask.float().cpu())
    if not isinstance(mask, Image.Image):
        raise MuseError(
            f"mask_image is a {type(mask).__name__}. Give a Pillow image, a tensor (B, 1, H, W) in "
            "[0, 1], or a list of them."
        )
    return as_mask(mask, "mask_image")


def _listed(image: ImageInput) -> list[Any]:
    if isinstance(image, Tensor) and image.ndim == 4:
        return list(image)
    return list(image) if isinstance(image, list | tuple) else [image]


def pictures_of(image: ImageInput, size: Size) -> list[tuple[Tensor, tuple[int, int]]]:
    """Pictures at `size`, (1, 3, height, width) in [0, 1] each, with the width and height that they
    were given in. Tensors of that size stay as they
    are; all others are scaled to cover it and cropped at the centre.

    Raises:
        MuseError: what is neither a Pillow image nor a tensor of three channels in [0, 1], or can't
            be decoded, or is too small.
    """
    return [(_picture(one, size), _extent(one)) for one in _listed(image)]


def _extent(image: Any) -> tuple[int, int]:
    if isinstance(image, Tensor):
        return image.shape[-1], image.shape[-2]
    return as_picture(image, "image").image.size


def _picture(image: object, size: Size) -> Tensor:
    if isinstance(image, Image.Image):
        return as_picture(image, "image").fitted(size)
    if not isinstance(image, Tensor):
        raise MuseError(
            f"image is a {type(image).__name__}. Give a Pillow image (PIL.Image.open makes one of "
            "a file), a tensor (B, 3, H, W) in [0, 1], or a list of them."
        )
    if image.ndim != 3 or len(image) != 3 or 0 in image.shape or not image.is_floating_point():
        raise MuseError(
            f"image is a tensor {tuple(image.shape)} of {image.dtype}. Give three channels, "
            "(B, 3, H, W), as floats in [0, 1]."
        )
    if not bool(((image >= 0) & (image <= 1)).all()):
        raise MuseError("image has values outside [0, 1]. Scale it, or clamp it.")
    if image.shape[1:] == size:
        return image[None].float()
    return as_picture(to_pil_image(image.float().cpu()), "image").fitted(size)


def generators_of(generator: Generators, rows: int) -> list[torch.Generator] | torch.Generator:
    """A generator for each row, or one for all: torch's own where none is given."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator or torch.default_generator
    listed: list[Any] = list(generator) if isinstance(generator, list | tuple) else [generator]
    for one in listed:
        if not isinstance(one, torch.Generator):
            raise MuseError(
                f"generator is a {type(one).__name__}. Give a torch.Generator, or a list of them."
            )
    if len(generator) != rows:
        raise MuseError(
            f"{len(generator)} generators for {rows} pictures. Give one for each, or one for all."
        )
    return list(generator)


def seeds_of(generators: list[torch.Generator] | torch.Generator, rows: int) -> list[int]:
    """What steering starts from in each row: its own generator's seed. Where one generator serves
    all rows, the first has its seed and the others one derived from it.
    """
    if isinstance(generators, list):
        return [generator.initial_seed() for generator in generators]
    seed = generators.initial_seed()
    return [seed, *(derive_seed(seed, str(row)) for row in range(1, rows))]


def noise_of(
    latents: Tensor | None,
    shape: tuple[int, ...],
    generators: list[torch.Generator] | torch.Generator,
    device: torch.device,
) -> Tensor:
    """The latents that a call was given, or standard normal ones in float32, drawn as diffusers
    draws them; of `shape` (B, ...).
    """
    if latents is None:
        noise: Tensor = randn_tensor(shape, generators, device, torch.float32)
        return noise
    if not isinstance(latents, Tensor):
        raise MuseError(f"latents is a {type(latents).__name__}. Give a tensor {shape}.")
    if tuple(latents.shape) not in (shape, (1, *shape[1:])):
        raise MuseError(f"latents of shape {tuple(latents.shape)} are not allowed. Give {shape}.")
    return latents.expand(shape)


class _NoGuide(Guide):
    """Stands for the guide where nothing is steered: every emotion is as likely as another."""

    def forward(self, image: Tensor) -> Tensor:
        """Zeros (B, 8)."""
        return image.new_zeros(len(image), len(EMOTIONS))
