"""Pictures as cameras and browsers save them, and files that are none."""

import numpy as np
import pytest
import torch
from PIL import Image

from muse.pictures import read_picture
from muse.types import MuseError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(mode="RGB"):
    """Red and green above, blue and white below, 32 x 32."""
    image = Image.new("RGB", (32, 32))
    for color, corner in zip(
        (RED, GREEN, BLUE, WHITE), ((0, 0), (16, 0), (0, 16), (16, 16)), strict=True
    ):
        image.paste(color, (*corner, corner[0] + 16, corner[1] + 16))
    return image.convert(mode)


def corners(picture):
    """The colours of the four quarters, rounded: top left, top right, below."""
    return [
        tuple(int(value) for value in (255 * picture[0, :, y, x]).round())
        for y, x in ((4, 4), (4, 28), (28, 4), (28, 28))
    ]


def refused(path) -> str:
    with pytest.raises(MuseError) as caught:
        read_picture(path, (32, 32))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_plain_picture(tmp_path):
    quarters().save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", (32, 32))
    assert picture.shape == (1, 3, 32, 32)
    assert picture.dtype == torch.float32
    assert corners(picture) == [RED, GREEN, BLUE, WHITE]
    assert picture.min() == 0
    assert picture.max() == 1


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_exif_rotation_is_applied(tmp_path, orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters().save(tmp_path / "a.png", exif=exif)
    assert corners(read_picture(tmp_path / "a.png", (32, 32))) == expected


def test_it_covers_the_size_and_is_cropped_at_the_centre(tmp_path):
    wide = Image.new("RGB", (96, 32), RED)
    wide.paste(GREEN, (32, 0, 64, 32))
    wide.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", (32, 32))
    assert corners(picture) == [GREEN] * 4
    assert read_picture(tmp_path / "a.png", (64, 48)).shape == (1, 3, 64, 48)


def test_transparency_lies_on_white(tmp_path):
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert corners(read_picture(tmp_path / "clear.png", (32, 32))) == [WHITE] * 4
    Image.new("RGBA", (32, 32), (0, 0, 0, 51)).save(tmp_path / "grey.png")
    assert corners(read_picture(tmp_path / "grey.png", (32, 32))) == [(204, 204, 204)] * 4
    Image.new("LA", (32, 32), (0, 0)).save(tmp_path / "la.png")
    assert corners(read_picture(tmp_path / "la.png", (32, 32))) == [WHITE] * 4
    palette = quarters().quantize(4)
    palette.info["transparency"] = palette.getpixel((0, 0))
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    assert corners(read_picture(tmp_path / "p.png", (32, 32)))[0] == WHITE


def test_sixteen_bits_and_grey(tmp_path):
    values = np.full((32, 32), 65535, dtype=np.uint16)
    values[:, :16] = 128 * 257
    Image.fromarray(values).save(tmp_path / "deep.png")
    picture = read_picture(tmp_path / "deep.png", (32, 32))
    assert corners(picture) == [(128, 128, 128), WHITE] * 2
    Image.new("L", (32, 32), 77).save(tmp_path / "grey.png")
    assert corners(read_picture(tmp_path / "grey.png", (32, 32))) == [(77, 77, 77)] * 4
    Image.new("1", (32, 32), 1).save(tmp_path / "bit.png")
    assert corners(read_picture(tmp_path / "bit.png", (32, 32))) == [WHITE] * 4


def test_cmyk(tmp_path):
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = corners(read_picture(tmp_path / "a.jpg", (32, 32)))[0]
    assert red > 240
    assert green < 15
    assert blue < 15


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (32, 32), color) for color in (GREEN, RED, BLUE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert corners(read_picture(tmp_path / "a.gif", (32, 32))) == [GREEN] * 4


@pytest.mark.parametrize("kind", ["png", "jpg", "gif"])
def test_truncated_files(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{kind}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "can't be read as a picture" in refused(path)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_no_picture_at_all(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert "can't be read as a picture" in refused(path)


def test_missing_files_and_folders(tmp_path):
    assert "No picture at" in refused(tmp_path / "none.png")
    refused(tmp_path)


@pytest.mark.parametrize("pixels", [900, 400])
def test_decompression_bombs(tmp_path, monkeypatch, pixels):
    """Pillow warns above its limit and raises above twice the limit: both are refused."""
    path = tmp_path / "a.png"
    quarters().save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
    assert "too many pixels" in refused(path)
