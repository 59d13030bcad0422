"""Pipelines that share parts: a folder says which of them lie elsewhere, and they are stored once.

``muse.json`` beside ``model_index.json``::

    {"shared": {"vae": "../pipeline/vae"}, "options": {"max_sequence_length": 1}}

`shared` gives the folders of parts, relative to the pipeline's own; `options` what its backbone is
loaded with where nothing else is asked for. One part isn't diffusers': `preview`, a small
autoencoder that guide and similarity look through.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muse.core.files import write_text
from muse.core.types import MuseError
from muse.pretrained.packaged import PACKAGED, check_digests

NAME = "muse.json"
PREVIEW = "preview"
"""The name of the part that isn't diffusers'."""


def shared_parts(folder: Path) -> dict[str, Path]:
    """The parts of the pipeline in `folder` that lie elsewhere, part -> folder; weights that come
    with the package are checked by digest.

    Raises:
        MuseError: a ``muse.json`` that can't be read, a part that isn't where it says, or one
            whose weights are altered.
    """
    found = {}
    for part, where in _read(folder, "shared").items():
        path = (folder / str(where)).resolve()
        if not path.is_dir():
            raise MuseError(
                f"{str(folder)!r} has its {part} from {str(path)!r}, which isn't there. Put it "
                f"back, or correct {NAME}."
            )
        for root in PACKAGED.values():
            if path.is_relative_to(root.resolve()):
                check_digests(root.resolve(), path)
        found[part] = path
    return found


def own_preview(folder: Path) -> Path | None:
    """Where the small autoencoder lies that belongs to the pipeline in `folder`, if it has one.

    Raises:
        MuseError: as `shared_parts`.
    """
    own = folder / PREVIEW
    return own if own.is_dir() else shared_parts(folder).get(PREVIEW)


def deciding_parts(path: Path) -> list[Path]:
    """What of `path` decides what is made with it: of a pipeline its index, the parts that this
    names, its preview and what it shares, and not what else lies in its folder (judges, guides,
    a card); anything else as a whole.

    Raises:
        MuseError: as `shared_parts`.
    """
    index = path / "model_index.json"
    try:
        named = json.loads(index.read_text(encoding="utf-8"))
        parts = [name for name, at in named.items() if isinstance(at, list)]
    except (OSError, ValueError, AttributeError):
        return [path, *shared_parts(path).values()]
    own = [path / name for name in (NAME, *parts, PREVIEW)]
    return [index, *(part for part in own if part.exists()), *shared_parts(path).values()]


def own_options(folder: Path) -> dict[str, Any]:
    """What the pipeline in `folder` asks its backbone to be loaded with.

    Raises:
        MuseError: a ``muse.json`` that can't be read.
    """
    return _read(folder, "options")


def note_sharing(folder: Path, shared: Mapping[str, Path], options: Mapping[str, Any]) -> None:
    """Write ``muse.json`` into a pipeline's folder.

    Args:
        folder: the pipeline's.
        shared: part -> its folder, which may lie anywhere; its path is noted relative to `folder`.
        options: what its backbone is to be loaded with.
    """
    parts = {
        part: Path(os.path.relpath(where.resolve(), folder.resolve())).as_posix()
        for part, where in shared.items()
    }
    told = {"shared": parts, "options": dict(options)}
    write_text(folder / NAME, json.dumps(told, indent=1) + "\n")


def _read(folder: Path, what: str) -> dict[str, Any]:
    file = folder / NAME
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get(what, {})
        return dict(found)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise MuseError(
            f"{str(file)!r} can't be read ({error}). It holds {{'shared': {{part: folder}}, "
            "'options': {name: value}}."
        ) from error
