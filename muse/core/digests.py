"""Digests of files and folders: what is in them, read once."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path) -> str:
    """As `file_digest`; a file is read once in a process, unless its size or time changes."""
    state = path.stat()
    return _digest_of(path, state.st_size, state.st_mtime_ns)


class Digests:
    """Digests of files and folders, for whoever asks again: a file whose size and time are as they
    were is not read again.

    Args:
        known: what was remembered before (`Digests.known`).

    Attributes:
        known: path -> size, time in nanoseconds, and sha256; JSON as it is.
    """

    def __init__(self, known: dict[str, list[Any]] | None = None) -> None:
        self.known = dict(known or {})

    def of(self, path: Path, *more: Path) -> str:
        """The sha256 of a file, or of all files in a folder and their names.

        Args:
            path: the file or folder.
            more: others that count as parts of it.
        """
        if more:
            both = "\n".join(self.of(each) for each in (path, *more))
            return hashlib.sha256(both.encode()).hexdigest()
        if path.is_file():
            return self._of_file(path)
        inner = sorted(file for file in path.rglob("*") if file.is_file())
        listing = [f"{file.relative_to(path).as_posix()} {self._of_file(file)}" for file in inner]
        return hashlib.sha256("\n".join(listing).encode()).hexdigest()

    def _of_file(self, path: Path) -> str:
        state = path.stat()
        size, changed, digest = self.known.get(str(path), (None, None, ""))
        if (size, changed) != (state.st_size, state.st_mtime_ns):
            digest = known_digest(path)
            self.known[str(path)] = [state.st_size, state.st_mtime_ns, digest]
        return str(digest)


@cache
def _digest_of(path: Path, size: int, changed: int) -> str:
    return file_digest(path)
