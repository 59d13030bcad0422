"""Finding and reading weights: packaged names, folders, and files that nothing unpickles."""

from __future__ import annotations

import json
import pickle
import textwrap
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from muse.digests import check_digests
from muse.types import MuseError

PACKAGED: dict[str, Path] = {"muse-mini": Path(__file__).parent / "mini" / "pipeline"}
"""Pipelines that come with the package, by the name that stands for their folder."""


UNREADABLE = (OSError, pickle.UnpicklingError, EOFError, RuntimeError, SafetensorError)
"""What reading damaged or refused weights raises."""


def locate(name: str) -> str:
    """The folder or file behind a packaged name (``muse-mini``, ``muse-mini/clip``).

    Any other name (a hub id, a path) is returned as it is.

    Raises:
        MuseError: the name begins with a packaged pipeline's, but there is no such part in it, or
            its weights are missing or altered (checked by digest).
    """
    head, _, rest = name.partition("/")
    if head not in PACKAGED or Path(name).exists():
        return name
    path = PACKAGED[head] / rest
    check_digests(PACKAGED[head], path)
    if not path.exists():
        parts = ", ".join(sorted(entry.name for entry in PACKAGED[head].glob("*")))
        raise MuseError(f"{head} has no part {rest!r}. It has: {parts or 'nothing'}.")
    return str(path)


def load_state(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a checkpoint: its tensors in float32 and its metadata.

    Args:
        name: a ``.safetensors`` file, or a ``.pt``/``.pth`` state dict (read with
            ``weights_only=True``, so nothing in it can run); packaged names are allowed.

    Raises:
        MuseError: no such file, a damaged one, or one that holds more than tensors.
    """
    path = Path(locate(name))
    if not path.is_file():
        raise MuseError(f"No checkpoint at {name!r}. Give the path of a .safetensors or .pth file.")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
                return state, file.metadata() or {}
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise MuseError(
            f"{name!r} can't be read as a state dict of tensors ({reason_of(error)}). "
            "Save it with safetensors, or as a plain state dict."
        ) from error
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise MuseError(f"{name!r} holds more than a state dict. Save only `model.state_dict()`.")
    return {key: value.float() for key, value in loaded.items()}, {}


def reason_of(error: BaseException) -> str:
    """Why weights can't be read, in one line."""
    if isinstance(error, pickle.UnpicklingError):  # torch's own text advises to unpickle it
        return "it is damaged, or holds more than tensors, and unpickling it could run code"
    return str(error).strip().partition("\n")[0].rstrip(".")


def labels_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The class names that a checkpoint's metadata carries under ``labels``, a JSON list."""
    return tuple(json.loads(metadata["labels"])) if "labels" in metadata else None


def fill(module: torch.nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load `state` into `module`; a missing, extra or misshapen tensor is a `MuseError`."""
    try:
        module.load_state_dict(dict(state))
    except RuntimeError as error:
        lines = " ".join(line.strip() for line in str(error).splitlines()[1:])
        details = textwrap.shorten(lines, 300, placeholder=" ...")
        expected = ", ".join(f"{k} {tuple(v.shape)}" for k, v in module.state_dict().items())
        raise MuseError(f"{name!r} does not fit: {details} Expected: {expected[:300]}.") from error
