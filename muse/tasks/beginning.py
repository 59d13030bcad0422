"""Training that begins with another model's weights."""

from __future__ import annotations

import torch
from diffusers import ModelMixin

from muse.core.types import MuseError


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
        MuseError: where the two differ in anything else.
    """
    old = type(model).from_pretrained(start, torch_dtype=torch.float32).state_dict()
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
