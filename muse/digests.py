"""Digests of packaged weights: whoever loads them learns whether they are missing or altered.

`muse fit` keeps them true; ``python -m muse.digests`` writes them anew, after weights in the
package were replaced by hand.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from muse.files import write_text
from muse.types import MuseError

NAME = "digests.json"
REMEDY = (
    "Install muse again (pip install --force-reinstall muse-emotion); or, where you replaced them "
    "on purpose, run python -m muse.digests."
)


def check_digests(root: Path, path: Path) -> None:
    """Compare the weights at or below `path` with the digests of the pipeline in `root`. A file is
    read once in a process, unless it changes.

    Raises:
        MuseError: a file that is missing, altered, or has no digest.
    """
    listing = root / NAME
    if not listing.is_file():
        raise MuseError(f"{str(root)!r} has no {NAME} to check its weights by. {REMEDY}")
    known = _read(listing)
    for name in sorted({*known, *_weights(root)}):
        file = root / name
        if not file.is_relative_to(path):
            continue
        if not file.is_file():
            raise MuseError(f"The weights {str(file)!r} are missing. {REMEDY}")
        if known.get(name) != _digest(file):
            raise MuseError(f"The weights {str(file)!r} are altered (checked by digest). {REMEDY}")


def write_digests(root: Path) -> None:
    """Write the digests of all weights of the pipeline in `root`."""
    _write(root, {name: _digest(root / name) for name in _weights(root)})


def note_digests(path: Path) -> None:
    """Keep the digests of the pipeline around `path`, if it has any, true after weights were saved
    there; those of other parts stay, so that an altered one is still refused.

    Args:
        path: a file of weights, or the folder of a part.
    """
    path = path.resolve()
    for root in path.parents:
        if (root / NAME).is_file():
            kept = {
                n: d for n, d in _read(root / NAME).items() if not (root / n).is_relative_to(path)
            }
            saved = {
                n: _digest(root / n) for n in _weights(root) if (root / n).is_relative_to(path)
            }
            _write(root, {**kept, **saved})


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path) -> str:
    """As `file_digest`; a file is read once in a process, unless its size or time changes."""
    return _digest(path)


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

    def of(self, path: Path) -> str:
        """The sha256 of a file, or of all files in a folder and their names."""
        if path.is_file():
            return self._of_file(path)
        inner = sorted(file for file in path.rglob("*") if file.is_file())
        listing = [f"{file.relative_to(path).as_posix()} {self._of_file(file)}" for file in inner]
        return hashlib.sha256("\n".join(listing).encode()).hexdigest()

    def _of_file(self, path: Path) -> str:
        state = path.stat()
        size, changed, digest = self.known.get(str(path), (None, None, ""))
        if (size, changed) != (state.st_size, state.st_mtime_ns):
            digest = _digest(path)
            self.known[str(path)] = [state.st_size, state.st_mtime_ns, digest]
        return str(digest)


def _read(listing: Path) -> dict[str, str]:
    known: dict[str, str] = json.loads(listing.read_text(encoding="utf-8"))
    return known


def _write(root: Path, digests: dict[str, str]) -> None:
    write_text(root / NAME, json.dumps(digests, indent=1, sort_keys=True) + "\n")


def _weights(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.safetensors"))


def _digest(path: Path) -> str:
    state = path.stat()
    return _digest_of(path, state.st_size, state.st_mtime_ns)


@cache
def _digest_of(path: Path, size: int, changed: int) -> str:
    return file_digest(path)


if __name__ == "__main__":
    from muse.weights import PACKAGED

    for pipeline in PACKAGED.values():
        write_digests(pipeline)
        print(pipeline / NAME)
