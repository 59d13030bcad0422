"""Picture files: whatever a camera or a browser saved, as RGB; and PNGs, written whole."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from muse.core.files import replacing
from muse.core.types import MuseError

LEAST = 8
"""Pixels that a picture must have each way."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation."""
PNG = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""
ASIDE = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""Chunks of a PNG that its pixels don't need."""


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


def centre(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The centre of an image, of height and width `size`."""
    height, width = size
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def open_picture(path: Path) -> Picture:
    """Open a picture file: EXIF rotation is applied (where the EXIF can be read), an animation
    gives its first frame, and transparency is laid on white.

    Raises:
        MuseError: a file that is missing, no picture, truncated, too small, or so large that
            decoding it could fill the memory (it isn't decoded then).
    """
    with _told(repr(str(path))), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an EXIF that is broken
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = _read(path, path.name)
        except ValueError:  # as of texts that Pillow finds too large
            picture = _read(BytesIO(_without_texts(path.read_bytes())), path.name)
    return _large_enough(picture, repr(str(path)))


def as_picture(image: Image.Image, name: str) -> Picture:
    """A Pillow image of any mode as a `Picture`, converted as `open_picture` does.

    Raises:
        MuseError: one that can't be decoded, as of a truncated or closed file, or is too small.
    """
    with _told(name):
        picture = _converted(image, name)
    return _large_enough(picture, name)


def read_picture(path: Path, size: tuple[int, int]) -> Tensor:
    """A picture file as a model sees it, (1, 3, height, width) in [0, 1]; see `open_picture` and
    `Picture.fitted`.

    Raises:
        MuseError: as `open_picture` does.
    """
    return open_picture(path).fitted(size)


def save_png(path: Path, picture: Image.Image, about: PngInfo | None = None) -> None:
    """Write a PNG whole or not at all, with what its text chunks shall say."""
    with replacing(path) as temporary:
        picture.save(temporary, pnginfo=about)


@contextmanager
def _told(given: str) -> Iterator[None]:
    """What fails inside, whatever a decoder may raise, as a `MuseError` about a picture."""
    try:
        yield
    except MemoryError:
        raise
    except FileNotFoundError:
        raise MuseError(f"No picture at {given}. Check the path.") from None
    except IsADirectoryError:
        raise MuseError(f"{given} is a folder. Give the path of a picture.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise MuseError(
            f"{given} has more than {most:.0f} million pixels. Scale it down first."
        ) from None
    except Exception as error:
        said = str(error)
        said = said.replace(given, "") if given[0] in "'\"" else said  # a path, told already
        reason = " ".join(said.split()) or type(error).__name__
        raise MuseError(
            f"{given} can't be read as a picture ({reason}). Save it again as PNG or JPEG."
        ) from error


def _large_enough(picture: Picture, given: str) -> Picture:
    width, height = picture.image.size
    if min(width, height) < LEAST:
        raise MuseError(
            f"{given} is {width}x{height} pixels, too small to show anything. "
            f"Use a picture of {LEAST}x{LEAST} or more."
        )
    return picture


def _read(file: Path | BytesIO, name: str) -> Picture:
    with Image.open(file) as image:
        return _converted(image, name)


def _without_texts(data: bytes) -> bytes:
    """A PNG without what is `ASIDE`; other data as they are."""
    if not data.startswith(PNG):
        return data
    kept, at = [PNG], len(PNG)
    while at < len(data):  # a chunk: length, kind, that many bytes, checksum
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in ASIDE:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _converted(image: Image.Image, name: str) -> Picture:
    changes, mode = _changes(image), image.mode
    image.load()
    turn = TURNS.get(_orientation(image))  # only now: a TIFF is upright once it is loaded
    return Picture(name, _rgb(image if turn is None else image.transpose(turn)), mode, changes)


def _orientation(image: Image.Image) -> int:
    """As its EXIF has it, 1 to 8; 1, which is upright, where that says nothing or is broken."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises whatever it stumbles on; the pixels may be sound
        return 1
    return said if isinstance(said, int) and said in TURNS else 1


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode[0] in "IF":
        return Image.fromarray(_eight_bits(np.asarray(picture), picture.mode)).convert("RGB")
    if _transparent(picture):
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(values: np.ndarray[Any, Any], mode: str) -> np.ndarray[Any, Any]:
    """Grey values of more than 8 bits in 0 to 255: floats are taken for those of 0 to 1, or, where
    one is above 1, of 0 to 255.
    """
    values = values.astype(np.float64)
    most = values.max(where=np.isfinite(values), initial=0)
    if mode == "F":
        values *= 255 if most <= 1 else 1
    elif mode != "I" or most > 255:  # 16 bits, also where they come as 32
        values /= 257
    return np.nan_to_num(values).clip(0, 255).round().astype(np.uint8)


def _changes(picture: Image.Image) -> tuple[str, ...]:
    frames = getattr(picture, "n_frames", 1)
    found = {
        f"the first of {frames} frames": frames > 1,
        "turned upright": _orientation(picture) > 1,
        "transparency laid on white": _transparent(picture),
    }
    return tuple(words for words, true in found.items() if true)


def _transparent(picture: Image.Image) -> bool:
    return picture.mode[-1] in "Aa" or "transparency" in picture.info
