"""What visitors bring, opened with care: by few formats, never larger than can be handled."""

from __future__ import annotations

import base64
import binascii
import warnings
from io import BytesIO
from pathlib import Path

from PIL import Image

from muse.core.pictures import Picture, open_picture
from muse.core.types import MuseError

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF")
"""Of photos. None runs another program or names another file, as SVG and EPS do."""
MOST_PIXELS = 40_000_000
"""Of a photo."""
MOST_BYTES = 25 * 2**20
"""Of a file."""
MASK = "data:image/png;base64,"
MOST_MASK = 4_000_000
"""Pixels of a mask, and letters that it is sent in."""


def open_photo(path: Path) -> Picture:
    """A photo that was uploaded.

    Raises:
        MuseError: no picture of one of the formats, or too large a one.
    """
    name = path.name[:60]
    if path.stat().st_size > MOST_BYTES:
        raise MuseError(f"{name!r} has more than {MOST_BYTES // 2**20} MB. Scale it down first.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bomb is told below
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
    except Image.DecompressionBombError:
        width = height = MOST_PIXELS
    except Exception:  # whatever a decoder stumbles on
        raise MuseError(
            f"{name!r} is no picture that can be read here. Use a PNG, JPEG or WebP."
        ) from None
    if width * height > MOST_PIXELS:
        most = MOST_PIXELS // 10**6
        raise MuseError(f"{name!r} has more than {most} million pixels. Scale it down first.")
    try:
        return open_picture(path)
    except MuseError as error:  # which names the path, that is nobody's business
        raise MuseError(str(error).replace(str(path), path.name)) from None


def read_mask(sent: str) -> Image.Image | None:
    """A mask as the page's brush sends it, a PNG in a data URI: opaque is where the photo may
    change. Nothing sent, or nothing brushed, is no mask.

    Returns:
        the mask, L: white is where the photo may change.

    Raises:
        MuseError: it isn't one.
    """
    if not sent:
        return None
    try:
        if not sent.startswith(MASK) or len(sent) > MOST_MASK:
            raise ValueError("another form")
        data = base64.b64decode(sent.removeprefix(MASK), validate=True)
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > MOST_MASK:
                raise ValueError("too large")
            mask = image.convert("RGBA").getchannel("A")
    except (ValueError, OSError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise MuseError("The mask can't be read. Clear it, and brush it anew.") from None
    return mask if mask.getbbox() else None
