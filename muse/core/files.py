"""Writing files so that nothing half-written stays behind."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from muse.core.types import MuseError

TEMPORARY = ".muse-{host}-{pid}"
"""How the names of temporary files begin: whoever finds one knows whether its process still runs.
"""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(), suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the temporary files of this machine's processes that were killed while they wrote."""
    mine = TEMPORARY.format(host=_host(), pid="")
    for file in folder.glob(f"{mine}*"):
        pid = file.name.removeprefix(mine).partition("-")[0]
        if pid.isdigit() and not _runs(int(pid)):
            file.unlink(missing_ok=True)


@contextmanager
def written(what: str) -> Iterator[None]:
    """Tell of a disk that is full, or a folder that can't be written to, in one line.

    Raises:
        MuseError: `what` couldn't be written.
    """
    try:
        yield
    except OSError as error:
        raise MuseError(
            f"Can't write {what} ({error.strerror or error}). What is finished stays; make room "
            "and run the same command again."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class _Dumper(yaml.SafeDumper):
    """Quotes texts with U+0085, which YAML's short forms read back as a line break."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None
    ),
)


def as_yaml(settings: Any) -> str:
    """Settings as YAML that is read back to the same settings."""
    text: str = yaml.dump(settings, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def make_folder(path: Path, option: str = "--output_dir") -> Path:
    """Make a folder (and its parents) that can be written to.

    Args:
        path: the folder.
        option: what a person chooses another one with.

    Raises:
        MuseError: it can't be made, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise MuseError(
            f"Can't write to the folder {str(path)!r} ({error.strerror}). "
            f"Choose another one with {option}."
        ) from None


def _prefix() -> str:
    return TEMPORARY.format(host=_host(), pid=os.getpid()) + "-"


def _host() -> str:
    return "".join(letter for letter in socket.gethostname() if letter.isalnum())


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's, or a system that can't tell
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
