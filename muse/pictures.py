"""Reading pictures from files: whatever a camera or a browser saved, as RGB."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from muse.types import MuseError

LEAST = 8
"""Pixels that a picture must have each way."""


@dataclass(frozen=True)
class Picture:
    """A picture file, opened.

    Attributes:
        name: of the file.
        image: upright, RGB: the first frame, transparency laid on white.
        mode: as Pillow names what was saved, such as ``RGBA`` or ``CMYK``.
        changes: what else was done to it, in words.
    """

    name: str
    image: Image.Image
    mode: str
    changes: tuple[str, ...]

    def cut(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the largest centre of it that has the proportions of `size`."""
        width, height = self.image.size
        wide, high = width * size[0], height * size[1]
        return round(min(wide, high) / size[1]), round(min(wide, high) / size[0])

    def fitted(self, size: tuple[int, int]) -> Tensor:
        """As a model sees it, (1, 3, height, width) in [0, 1]: scaled to cover `size` and cropped
        at the centre.
        """
        fitted = ImageOps.fit(self.image, (size[1], size[0]), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].float() / 255

    def restored(self, made: Image.Image, size: tuple[int, int]) -> Image.Image:
        """A picture that was made at `size` from this one, at this one's own scale."""
        height, width = self.cut(size)
        if made.size == (width, height):
            return made
        return made.resize((width, height), Image.Resampling.LANCZOS)

    def remark(self, size: tuple[int, int], restored: bool = True) -> str | None:
        """What happens to it on its way through a model of `size`, and back where the result is
        `restored` to its scale, in one line; None where nothing does.
        """
        width, height = self.image.size
        high, wide = self.cut(size)
        if (height, width, self.mode, self.changes) == (*size, "RGB", ()):
            return None
        part = "" if (high, wide) == (height, width) else f"its centre ({wide}x{high}) "
        at = f"{size[1]}x{size[0]}"
        written = f"{wide}x{high}" if restored else at
        done = [*self.changes, f"{part}edited at {at}", f"written at {written}"]
        return f"{self.name} is {width}x{height} {self.mode}: {', '.join(done)}."


def open_picture(path: Path) -> Picture:
    """Open a picture file: EXIF rotation is applied, an animation gives its first frame, and
    transparency is laid on white.

    Raises:
        MuseError: a file that is missing, no picture, truncated, too small, or so large that
            decoding it could fill the memory (it isn't decoded then).
    """
    given = repr(str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                picture = as_picture(file, path.name)
    except FileNotFoundError:
        raise MuseError(f"No picture at {given}. Check the path.") from None
    except IsADirectoryError:
        raise MuseError(f"{given} is a folder. Give the path of a picture.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise MuseError(
            f"{given} has more than {most:.0f} million pixels. Scale it down first."
        ) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        reason = " ".join(str(error).replace(given, "").split())
        raise MuseError(
            f"{given} can't be read as a picture ({reason}). Save it again as PNG or JPEG."
        ) from error
    width, height = picture.image.size
    if min(width, height) < LEAST:
        raise MuseError(
            f"{given} is {width}x{height} pixels, too small to show anything. "
            f"Use a picture of {LEAST}x{LEAST} or more."
        )
    return picture


def as_picture(image: Image.Image, name: str) -> Picture:
    """A Pillow image of any mode as a `Picture`, converted as `open_picture` does."""
    changes, mode = _changes(image), image.mode
    return Picture(name, _rgb(ImageOps.exif_transpose(image)), mode, changes)


def read_picture(path: Path, size: tuple[int, int]) -> Tensor:
    """A picture file as a model sees it, (1, 3, height, width) in [0, 1]; see `open_picture` and
    `Picture.fitted`.

    Raises:
        MuseError: as `open_picture` does.
    """
    return open_picture(path).fitted(size)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.float64)
        if picture.mode != "I" or values.max() > 255:  # 16 bits, also where they come as 32
            values /= 257
        bytes_ = values.clip(0, 255).round().astype(np.uint8)
        return Image.fromarray(bytes_).convert("RGB")
    if _transparent(picture):
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _changes(picture: Image.Image) -> tuple[str, ...]:
    frames = getattr(picture, "n_frames", 1)
    found = {
        f"the first of {frames} frames": frames > 1,
        "turned upright": picture.getexif().get(ExifTags.Base.Orientation) in range(2, 9),
        "transparency laid on white": _transparent(picture),
    }
    return tuple(words for words, true in found.items() if true)


def _transparent(picture: Image.Image) -> bool:
    return picture.mode[-1] in "Aa" or "transparency" in picture.info
