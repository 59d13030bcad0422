"""Weights that come with the package: their folder by name, and whether they are as they were made.

`muse fit` keeps their digests true; ``python -m muse.pretrained.packaged`` writes them anew, after
weights in the package were replaced by hand.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from muse.core.digests import known_digest
from muse.core.files import write_text
from muse.core.types import MuseError

MINI = Path(__file__).parents[1] / "mini"
PACKAGED: dict[str, Path] = {"muse-mini": MINI / "pipeline", "muse-mini-flow": MINI / "flow"}
"""Pipelines that come with the package, by the name that stands for their folder."""
NAME = "digests.json"
REMEDY = (
    "Install muse again (pip install --force-reinstall muse-emotion), in a checkout run "
    "git checkout -- muse/mini; or, where you replaced them on purpose, run "
    "python -m muse.pretrained.packaged."
)


def locate(name: str | os.PathLike[str]) -> str:
    """The folder or file behind a packaged name (``muse-mini``, ``muse-mini/clip``).

    Any other name (a hub id, a path) is returned as it is.

    Raises:
        MuseError: the name begins with a packaged pipeline's, but there is no such part in it, or
            its weights are missing or altered (checked by digest).
    """
    name = os.fspath(name)
    head, _, rest = name.partition("/")
    if head not in PACKAGED or Path(name).exists():
        return name
    path = PACKAGED[head] / rest
    check_digests(PACKAGED[head], path)
    if not path.exists():
        parts = ", ".join(sorted(entry.name for entry in PACKAGED[head].glob("*")))
        raise MuseError(f"{head} has no part {rest!r}. It has: {parts or 'nothing'}.")
    return str(path)


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
        if known.get(name) != known_digest(file):
            raise MuseError(f"The weights {str(file)!r} are altered (checked by digest). {REMEDY}")


def write_digests(root: Path) -> None:
    """Write the digests of all weights of the pipeline in `root`."""
    _write(root, {name: known_digest(root / name) for name in _weights(root)})


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
                n: known_digest(root / n) for n in _weights(root) if (root / n).is_relative_to(path)
            }
            _write(root, {**kept, **saved})


def _read(listing: Path) -> dict[str, str]:
    known: dict[str, str] = json.loads(listing.read_text(encoding="utf-8"))
    return known


def _write(root: Path, digests: dict[str, str]) -> None:
    write_text(root / NAME, json.dumps(digests, indent=1, sort_keys=True) + "\n")


def _weights(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.safetensors"))


if __name__ == "__main__":
    for pipeline in PACKAGED.values():
        write_digests(pipeline)
        print(pipeline / NAME)
