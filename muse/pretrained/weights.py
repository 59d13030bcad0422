"""Reading weights: files that nothing unpickles."""

from __future__ import annotations

import json
import pickle
import struct
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from muse.core.types import MuseError
from muse.pretrained.damage import check_whole
from muse.pretrained.packaged import locate

T = TypeVar("T")
CUT_OFF = (EOFError, IndexError, struct.error)
"""What reading raises where a file ends too early."""
UNREADABLE = (OSError, pickle.UnpicklingError, RuntimeError, SafetensorError, *CUT_OFF)
"""What reading damaged or refused weights raises."""
WRAPPED = ("state_dict", "model_state_dict", "model")
"""Under what names training loops save a state dict, beside epochs and optimisers."""
PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")
"""What the names of all tensors begin with that were saved from torch's ``DataParallel``, or from
a compiled model, inside it or around it."""


def load_state(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a checkpoint: its tensors in float32 and its metadata.

    A state dict is found inside a training checkpoint too (under ``state_dict``,
    ``model_state_dict`` or ``model``), and names lose the ``module.`` that ``DataParallel`` gives
    to all of them.

    Args:
        name: a ``.safetensors`` file, or a ``.pt``/``.pth`` state dict (read with
            ``weights_only=True``, so nothing in it can run); packaged names are allowed.

    Raises:
        MuseError: no such file, a damaged one, or one without a state dict.
    """
    path = Path(locate(name))
    if not path.is_file():
        raise MuseError(f"No checkpoint at {name!r}. Give the path of a .safetensors or .pth file.")
    check_whole(path)
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return _plain(state, file.metadata() or {})
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise MuseError(
            f"{name!r} can't be read as a state dict of tensors ({reason_of(error)}). "
            "Save it with safetensors, or as a plain state dict."
        ) from error
    inner = [loaded.get(key) for key in WRAPPED] if isinstance(loaded, Mapping) else []
    for state in (loaded, *inner):
        if isinstance(state, Mapping) and all(isinstance(v, Tensor) for v in state.values()):
            return _plain(state, {})
    raise MuseError(f"{name!r} holds more than a state dict. Save only `model.state_dict()`.")


def _plain(
    state: Mapping[str, Tensor], metadata: dict[str, str]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors in float32, under the names that the model itself gives them."""
    if "labels" not in metadata:  # what muse saved is named as it should be
        for prefix in PREFIXES:
            if all(key.startswith(prefix) for key in state):
                state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {key: value.float() for key, value in state.items()}, metadata


def reason_of(error: BaseException) -> str:
    """Why weights can't be read, in one line."""
    if isinstance(error, pickle.UnpicklingError):  # torch's own text advises to unpickle it
        return "it is damaged, or holds more than tensors, and unpickling it could run code"
    if isinstance(error, CUT_OFF) or str(error).startswith("unexpected EOF"):
        return "it ends too early: download the file again"
    return str(error).strip().partition("\n")[0].rstrip(".")


def json_in(
    metadata: Mapping[str, str], key: str, kind: type[T], file: str = "The checkpoint"
) -> T | None:
    """What a checkpoint's metadata carries as JSON under a key; None where it has no such key.

    Args:
        metadata: the checkpoint's.
        key: its name there.
        kind: dict, or list of texts.
        file: the checkpoint's, for the error.

    Raises:
        MuseError: it is no JSON, or of another kind.
    """
    if key not in metadata:
        return None
    try:
        found = json.loads(metadata[key])
    except ValueError:
        found = None
    texts = not isinstance(found, list) or all(isinstance(one, str) for one in found)
    if isinstance(found, kind) and texts:
        return found
    given = textwrap.shorten(repr(metadata[key]), 80, placeholder=" ...")
    wanted = "a list of texts" if kind is list else "an object"
    raise MuseError(
        f"{file!r} has the {key} {given} in its metadata, and not {wanted} in JSON. Save it with "
        f"one, or without {key}."
    )


def labels_in(metadata: Mapping[str, str], file: str = "The checkpoint") -> tuple[str, ...] | None:
    """The class names that a checkpoint's metadata carries under ``labels``, a JSON list
    (`json_in`).
    """
    found = json_in(metadata, "labels", list, file)
    return None if found is None else tuple(found)


def fill(module: torch.nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load `state` into `module`; a missing, extra or misshapen tensor is a `MuseError`."""
    try:
        module.load_state_dict(dict(state))
    except RuntimeError as error:
        lines = " ".join(line.strip() for line in str(error).splitlines()[1:])
        details = textwrap.shorten(lines, 300, placeholder=" ...")
        expected = ", ".join(f"{k} {tuple(v.shape)}" for k, v in module.state_dict().items())
        raise MuseError(f"{name!r} does not fit: {details} Expected: {expected[:300]}.") from error
