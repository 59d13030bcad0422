"""Files of a user's own, and what is said of them behind a colon: ``style.safetensors:0.8``."""

from __future__ import annotations

from pathlib import Path

from muse.core.types import MuseError
from muse.pretrained.damage import check_whole


def labelled(given: str) -> tuple[str, str | None]:
    """A file, folder or hub id, and what stands behind its last colon.

    The whole text is a name where something lies under it, and where what stands behind the colon
    is a path (``C:/loras``).

    Args:
        given: ``FILE`` or ``FILE:LABEL``.

    Returns:
        the name, and the label or None.
    """
    name, colon, label = given.rpartition(":")
    whole = not colon or not name or not label or "/" in label or "\\" in label
    return (given, None) if whole or Path(given).exists() else (name, label)


def weights_file(option: str, name: str) -> Path | None:
    """The ``.safetensors`` file of that name; None where it is a folder, or may be a hub id.

    Raises:
        MuseError: no file there, one that only unpickling would read, or one that is no whole
            weights.
    """
    path = Path(name)
    if path.is_file() and path.suffix != ".safetensors":
        raise MuseError(
            f"{option} {name!r} would have to be unpickled, which can run code. Give a "
            ".safetensors file."
        )
    if path.is_file():
        check_whole(path)
        return path
    if path.suffix == ".safetensors" and not path.is_dir():
        raise MuseError(
            f"{option} {name!r} is not there. Give the path of a .safetensors file, a folder with "
            "one, or a hub id."
        )
    return None
