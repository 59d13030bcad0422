"""Files that lie where weights should: what they are instead, told by their first bytes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from muse.core.types import MuseError

POINTER = b"version https://git-lfs.github.com/spec/"
"""What Git LFS leaves in a clone in place of a large file."""
PAGE = (b"<!doctype html", b"<html", b"<?xml", b"<head")
"""What a web page begins with, in lower case."""
ZIP = b"PK\x03\x04"
"""What torch's files begin with."""
LONGEST = 100_000_000
"""Bytes of the longest header that safetensors reads."""
AGAIN = "Download the file again"


def check_whole(path: Path) -> None:
    """Refuse a file that isn't the weights that it is named after. A file that is whole, or that
    nothing is known about, passes: reading it says more.

    Args:
        path: a file that is there.

    Raises:
        MuseError: a Git LFS pointer, a web page, an empty file, or a part of one.
    """
    told = damage(path)
    if told is not None:
        raise MuseError(f"{str(path)!r} {told}.")


def damage(path: Path) -> str | None:
    """What a file is instead of whole weights, and the remedy; None where nothing shows."""
    with path.open("rb") as file:
        start = file.read(512)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return f"is empty. {AGAIN}"
    if start.startswith(POINTER):
        return (
            "is a Git LFS pointer, not the weights themselves. Run `git lfs pull` in the folder "
            "that was cloned, or download the file"
        )
    if text.startswith(PAGE):
        return (
            "is a web page (HTML), not weights. Download the file itself, by its own link (on "
            "GitHub 'raw', on the hub 'resolve') and logged in where that is needed"
        )
    if start.startswith(ZIP):
        return None if zipfile.is_zipfile(path) else f"is only the beginning of a file. {AGAIN}"
    return _cut_off(path, start) if path.suffix == ".safetensors" else None


def _cut_off(path: Path, start: bytes) -> str | None:
    """A safetensors file says itself, in its header, how long it is."""
    size, header = path.stat().st_size, 8 + int.from_bytes(start[:8], "little")
    if len(start) < 8 or header > LONGEST:
        return None
    with path.open("rb") as file:
        tensors = _tensors(file.read(header)[8:])
    if size >= header and tensors is None:
        return None
    ends = [tensor["data_offsets"][1] for tensor in (tensors or {}).values()]
    whole = header + max(ends, default=0)
    if size >= whole:
        return None
    more = "more than " if tensors is None else ""
    return f"is only the first {size:,} bytes of {more}{whole:,}. {AGAIN}"


def _tensors(header: bytes) -> dict[str, dict[str, list[int]]] | None:
    try:
        said = json.loads(header)
        return {name: said[name] for name in said if name != "__metadata__"}
    except ValueError:
        return None
