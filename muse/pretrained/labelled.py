"""Files that are named together with something about them: ``style.safetensors:0.8``."""

from __future__ import annotations

from pathlib import Path


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
