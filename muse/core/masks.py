"""Masks: pictures that say where an emotion may act, white, and where not, black."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from muse.core.pictures import Picture, as_picture, centre, open_picture
from muse.core.types import MuseError


@dataclass(frozen=True)
class Mask:
    """A mask, opened.

    Attributes:
        name: for messages.
        image: upright, L: white is where the picture may change, black where it may not.
    """

    name: str
    image: Image.Image

    def over(self, size: tuple[int, int]) -> Image.Image:
        """At the scale of a picture.

        Args:
            size: the picture's width and height.

        Raises:
            MuseError: a mask of other proportions, by more than a pixel that was rounded away.
        """
        (width, height), (wide, high) = self.image.size, size
        if min(abs(width - wide * height / high), abs(height - high * width / wide)) > 1:
            raise MuseError(
                f"{self.name} is {width}x{height}, and what it masks {wide}x{high}. Give a mask of "
                "the same proportions, at any scale."
            )
        return self.image if self.image.size == size else self.image.resize(size, _by(size, width))

    def fitted(self, size: tuple[int, int], over: tuple[int, int] | None = None) -> Tensor:
        """As a model sees it, (1, 1, height, width) in [0, 1].

        Args:
            size: height and width of the model's pictures.
            over: width and height of the picture that is edited, if one is: the mask lies over it,
                and is scaled and cropped with it (`Picture.fitted`).

        Raises:
            MuseError: other proportions, or black all over what is made.
        """
        there = (size[1], size[0])
        laid = self.over(over or there)
        fitted = ImageOps.fit(laid, there, _by(there, laid.width))
        if not fitted.getbbox():
            where = " where the picture is edited" if laid.getbbox() else ""
            raise MuseError(
                f"{self.name} is black all over{where}, so that nothing could change. Paint white "
                "where the emotion may act."
            )
        return torch.from_numpy(np.array(fitted))[None, None].float() / 255

    def kept(self, made: Image.Image, source: Picture, size: tuple[int, int]) -> Image.Image:
        """An edit with the source's own pixels where the mask is black, at the source's scale.

        Args:
            made: the edit at that scale, as `Picture.restored` has it.
            source: the picture that was edited.
            size: height and width that it was edited at.
        """
        part = source.cut(size)
        laid = centre(self.over(source.image.size), part)
        return Image.composite(made, centre(source.image, part), laid)


def _by(size: tuple[int, int], width: int) -> Image.Resampling:
    """How a mask of some width is scaled: to the share of each pixel, or smoothly where there are
    more of them. Not as pictures are, which overshoots: black must stay black.
    """
    return Image.Resampling.BOX if size[0] < width else Image.Resampling.BILINEAR


def open_mask(path: Path) -> Mask:
    """Open a mask: any picture file, read as `open_picture` does (so that transparency is white),
    and then as grey.

    Raises:
        MuseError: no picture that can be read.
    """
    return Mask(f"the mask {str(path)!r}", open_picture(path).image.convert("L"))


def as_mask(image: Image.Image, name: str) -> Mask:
    """A Pillow image of any mode as a mask.

    Raises:
        MuseError: one that can't be decoded, or is too small.
    """
    return Mask(name, as_picture(image, name).image.convert("L"))
