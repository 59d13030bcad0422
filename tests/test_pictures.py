"""Pictures as cameras and browsers save them, and files that are none."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from muse.core.pictures import open_picture, read_picture
from muse.core.types import MuseError

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


def chunk(kind, data):
    """A part of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def png(width, height, rows, depth=8):
    """A PNG of RGB, byte for byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


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
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_exif_rotation_is_applied(tmp_path, orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters().save(tmp_path / "a.png", exif=exif)
    assert corners(read_picture(tmp_path / "a.png", (32, 32))) == expected


TIFF = b"Exif\0\0II*\0\x08\0\0\0"
TURNED = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
BROKEN = {
    "no TIFF": b"Exif\0\0garbage and more of it",
    "nothing": TIFF[:-4],
    "cut off": TIFF + b"\1\0" + TURNED[:-2],
    "noise": TIFF + b"\xff" * 40,
    "an orientation in letters": TIFF + b"\1\0" + struct.pack("<HHI4s", 0x0112, 2, 4, b"six"),
}


@pytest.mark.parametrize("exif", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_a_broken_exif_turns_nothing(tmp_path, name, exif):
    """And nothing is said of it: Pillow's warnings would be errors here."""
    quarters().save(tmp_path / name, exif=exif, lossless=True, quality=100)
    picture = open_picture(tmp_path / name)
    assert picture.changes == ()
    seen = 255 * picture.fitted((32, 32))[0, :, 4, 4]
    assert torch.allclose(seen, torch.tensor(RED).float(), atol=12)


def test_of_an_exif_that_is_broken_elsewhere_the_orientation_counts(tmp_path):
    elsewhere = struct.pack("<HHII", 0x011A, 5, 1, 99999)
    exif = TIFF + b"\2\0" + TURNED + elsewhere + bytes(4)
    quarters().save(tmp_path / "a.png", exif=exif)
    picture = open_picture(tmp_path / "a.png")
    assert picture.changes == ("turned upright",)
    assert corners(picture.fitted((32, 32))) == [BLUE, RED, WHITE, GREEN]


PACKED = zlib.compress(bytes(3 * 10**6))
HUGE = {
    "tEXt": chunk(b"tEXt", b"a\0" + b"x" * 70 * 10**6),
    "zTXt": chunk(b"zTXt", b"a\0\0" + PACKED),
    "iTXt": chunk(b"iTXt", b"a\0\1\0\0\0" + PACKED),
    "iCCP": chunk(b"iCCP", b"a\0\0" + PACKED),
}


@pytest.mark.parametrize("place", [33, -12], ids=["before", "after"])
@pytest.mark.parametrize("huge", HUGE.values(), ids=HUGE)
def test_huge_texts_and_profiles_are_passed_over(tmp_path, huge, place):
    """Behind the header, or before the end."""
    path = tmp_path / "a.png"
    quarters().save(path)
    data = path.read_bytes()
    path.write_bytes(data[:place] + huge + data[place:])
    assert corners(read_picture(path, (32, 32))) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("huge", HUGE.values(), ids=HUGE)
def test_a_truncated_picture_with_one_is_refused_all_the_same(tmp_path, huge):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + huge + data[33:-3000])
    assert "truncated" in refused(path)


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


def test_sixteen_bits_of_any_format(tmp_path):
    values = np.full((32, 32), 65535, dtype=np.uint16)
    values[:, :16] = 128 * 257
    Image.fromarray(values).save(tmp_path / "a.tif")
    (tmp_path / "a.pgm").write_bytes(b"P5\n32 32\n65535\n" + values.astype(">u2").tobytes())
    colors = struct.pack(">HHH", 65535, 128 * 257, 0) * 32
    (tmp_path / "a.png").write_bytes(png(32, 32, (b"\0" + colors) * 32, depth=16))
    for name in ("a.tif", "a.pgm"):
        assert corners(read_picture(tmp_path / name, (32, 32))) == [(128, 128, 128), WHITE] * 2
    assert corners(read_picture(tmp_path / "a.png", (32, 32))) == [(255, 128, 0)] * 4


@pytest.mark.parametrize("name", ["a.tif", "a.pfm"])
def test_floats(tmp_path, name):
    """Of 0 to 1, or of 0 to 255 where one is above 1; what is beyond is cut off."""
    top, bottom = tmp_path / f"1{name}", tmp_path / f"255{name}"
    values = np.zeros((32, 32), dtype=np.float32)
    values[:16], values[:, 16:] = 0.2, 1
    Image.fromarray(values).save(top)
    assert corners(read_picture(top, (32, 32))) == [(51, 51, 51), WHITE, (0, 0, 0), WHITE]
    values[:16], values[:, 16:] = 51, 300
    values[16:, :16] = np.nan
    Image.fromarray(values).save(bottom)
    assert corners(read_picture(bottom, (32, 32))) == [(51, 51, 51), WHITE, (0, 0, 0), WHITE]


def test_palette(tmp_path):
    quarters().quantize(4).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        assert file.mode == "P"
    assert corners(read_picture(tmp_path / "a.png", (32, 32))) == [RED, GREEN, BLUE, WHITE]


def test_cmyk(tmp_path):
    ink = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    ink.paste((255, 0, 0, 51), (0, 16, 32, 32))
    ink.save(tmp_path / "a.tif")
    expected = [RED, RED, (0, 204, 204), (0, 204, 204)]
    assert corners(read_picture(tmp_path / "a.tif", (32, 32))) == expected
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = corners(read_picture(tmp_path / "a.jpg", (32, 32)))[0]
    assert red > 240
    assert green < 15
    assert blue < 15


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_an_animation_gives_its_first_frame(tmp_path, name):
    frames = [Image.new("RGB", (32, 32), color) for color in (GREEN, RED, BLUE)]
    options = {"lossless": True} if name == "a.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert corners(read_picture(tmp_path / name, (32, 32))) == [GREEN] * 4


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
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize("pixels", [900, 400])
def test_decompression_bombs(tmp_path, monkeypatch, pixels):
    """Pillow warns above its limit and raises above twice the limit: both are refused."""
    path = tmp_path / "a.png"
    quarters().save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
    assert "more than 0 million pixels" in refused(path)


def test_20000_x_20000_is_refused_before_it_is_decoded(tmp_path):
    """Only a header: had it been decoded, the missing pixels would be told."""
    (tmp_path / "a.png").write_bytes(png(20000, 20000, b""))
    assert "more than 89 million pixels. Scale it down" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(1, 1), (7, 500)])
def test_too_small(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "a.png")
    assert f"is {size[0]}x{size[1]} pixels, too small" in refused(tmp_path / "a.png")


def test_the_way_back_has_the_scale_of_the_source(tmp_path):
    Image.new("RGBA", (640, 480)).save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png")
    assert picture.cut((64, 64)) == (480, 480)
    assert picture.cut((32, 64)) == (320, 640)
    assert picture.cut((480, 640)) == (480, 640)
    made = quarters().resize((64, 64), Image.Resampling.NEAREST)
    back = picture.restored(made, (64, 64))
    assert back.size == (480, 480)
    places = ((9, 9), (470, 9), (9, 470), (470, 470))
    assert [back.getpixel(place) for place in places] == [RED, GREEN, BLUE, WHITE]


def test_a_picture_of_the_models_size_comes_back_as_it_was_made(tmp_path):
    quarters().save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png")
    made = quarters()
    assert picture.restored(made, (32, 32)) is made
    assert picture.remark((32, 32)) is None


@pytest.mark.parametrize(
    ("size", "mode", "told"),
    [
        ((640, 480), "RGBA", "a.png is 640x480 RGBA: transparency laid on white, its centre "
         "(480x480) edited at 64x64, written at 480x480."),
        ((64, 64), "L", "a.png is 64x64 L: edited at 64x64, written at 64x64."),
        ((20, 20), "RGB", "a.png is 20x20 RGB: edited at 64x64, written at 20x20."),
    ],
)  # fmt: skip
def test_what_happens_to_a_picture_is_told(tmp_path, size, mode, told):
    Image.new(mode, size).save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png")
    assert picture.remark((64, 64)) == told
    kept = picture.remark((64, 64), restored=False)
    assert kept == f"{told.rpartition(' ')[0]} 64x64."


def test_turning_and_frames_are_told(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32)).save(tmp_path / "a.jpg", exif=exif)
    told = open_picture(tmp_path / "a.jpg").remark((64, 64))
    assert told.startswith("a.jpg is 32x64 RGB: turned upright, its centre (32x32) edited")
    frames = [Image.new("L", (64, 64), value) for value in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    told = open_picture(tmp_path / "a.gif").remark((64, 64))
    assert told.startswith("a.gif is 64x64 P: the first of 2 frames, edited at 64x64")
