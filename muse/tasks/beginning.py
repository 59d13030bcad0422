"""Training that begins with another model's weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin

from muse.backbones.options import DTYPE
from muse.core.types import MuseError
from muse.pretrained.weights import UNREADABLE, reason_of

FIRST = {"vae": "autoencoder", "clip": "clip", "unet": "diffusion"}
"""The recipes of ``configs/mini/first`` by the part that they make."""


def check_widths(name: str, given: Sequence[int], unit: int) -> None:
    """Refuse widths of layers that aren't multiples of a number.

    Args:
        name: the option's.
        given: the widths.
        unit: what they are multiples of.

    Raises:
        MuseError: one of them isn't, or there is none.
    """
    if not given or any(width < unit or width % unit for width in given):
        told = ", ".join(map(str, given)) or "nothing"
        raise MuseError(f"{name} = {told} is not allowed. Use multiples of {unit}.")


def load_part(kind: Any, folder: str | Path, **options: Any) -> Any:
    """``kind.from_pretrained``, with one line about what goes wrong.

    Args:
        kind: a class of diffusers or transformers.
        folder: of such a model.
        options: passed on.

    Raises:
        MuseError: there is none; says which recipe makes it, where one of the first stage does.
    """
    try:
        return kind.from_pretrained(folder, **options)
    except (*UNREADABLE, ValueError) as error:
        at = Path(folder)
        remedy = "Give the folder of one that `muse fit` has saved."
        if at.parent.name == "first" and at.name in FIRST:
            remedy = f"Run `muse fit --config configs/mini/first/{FIRST[at.name]}.yaml` first."
        told = f" ({reason_of(error)})" if at.is_dir() else ""
        raise MuseError(f"There is no {kind.__name__} in {str(at)!r}{told}. {remedy}") from error


@torch.no_grad()
def begin_with(model: ModelMixin, start: str, remedy: str, grown: frozenset[str]) -> None:
    """Copies the weights of a model of the same class into another.

    Args:
        model: changed in place.
        start: the other's folder.
        remedy: what to do where the two differ, e.g. "give both the same channels".
        grown: names of those weights that may have more rows or columns than the other's; what is
            more begins at zero.

    Raises:
        MuseError: there is no such model, or the two differ in anything else.
    """
    old = load_part(type(model), start, **{DTYPE: torch.float32}).state_dict()
    new = model.state_dict()
    for name in new.keys() | old.keys():
        given, wanted = (tuple(one[name].shape) if name in one else None for one in (old, new))
        larger = name in grown and given and wanted and all(map(int.__le__, given, wanted))
        if given != wanted and not larger:
            raise MuseError(
                f"{name} of the model to begin with ({start}) is {given or 'missing'}; this one "
                f"needs {wanted or 'none'}: {remedy}."
            )
    for name, weight in new.items():
        weight.zero_()[tuple(slice(length) for length in old[name].shape)] = old[name]
