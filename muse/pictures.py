"""Reading pictures from files: whatever a camera or a browser saved, as RGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from muse.types import MuseError


def read_picture(path: Path, size: tuple[int, int]) -> Tensor:
    """A picture file as the model sees it, (1, 3, height, width) in [0, 1].

    EXIF rotation is applied, an animation gives its first frame, transparency is laid on white,
    and the picture is scaled to cover `size` and cropped at the centre.

    Raises:
        MuseError: a file that is missing, no picture, truncated, or too large to be one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                picture = _rgb(ImageOps.exif_transpose(file))
    except FileNotFoundError:
        raise MuseError(f"No picture at {str(path)!r}. Check the path in the jobs.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise MuseError(f"{str(path)!r} has too many pixels. Scale it down first.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise MuseError(f"{str(path)!r} can't be read as a picture ({error}).") from error
    height, width = size
    fitted = ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(fitted)).permute(2, 0, 1)
    return pixels[None].float() / 255


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.float32) / 257
        return Image.fromarray(values.round().astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")
