"""Example configurations: the files of ``configs``, which come with the package."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "configs"
"""Whole runs, trainings and studies; the repository shows it as ``configs`` too."""


def examples() -> list[str]:
    """The names of the files for `muse fit-free`, and of those that lay a model over a preset."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def example(name: str, folder: str = "") -> Path | None:
    """The example that a name stands for.

    Args:
        name: of a file without its ending (``sd15``), or a path as the documentation writes it
            (``configs/guides/simemo_emoset.yaml``).
        folder: of the examples, where names are looked for.

    Returns:
        its file; None of anything else.
    """
    first, *below = Path(name).parts or ("",)
    path = FOLDER.joinpath(*below) if first == FOLDER.name else FOLDER / folder / f"{name}.yaml"
    return path if (first == FOLDER.name or not below) and path.is_file() else None


def here_or_example(name: str, folder: str = "") -> str:
    """A file that is here, or else the example that `name` stands for, or else `name` as it is.

    Args:
        name, folder: as of `example`.
    """
    found = None if Path(name).is_file() else example(name, folder)
    return name if found is None else str(found)
