"""Loading the parts that a pipeline shares with another (`muse.pretrained.sharing`)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from muse.backbones.options import DTYPE

LIBRARIES = ("diffusers", "transformers")
Source = tuple[str, str, Path]
"""Library, class and folder of a part."""


def load_shared(
    index: Mapping[str, Any], shared: Mapping[str, Path], dtype: torch.dtype
) -> dict[str, Any]:
    """Parts that lie outside of the pipeline's folder, each of the class that its index names;
    what comes from one folder twice is one object.

    Args:
        index: the pipeline's ``model_index.json``.
        shared: part -> its folder.
        dtype: of the weights.

    Raises:
        OSError, ValueError: as diffusers and transformers raise them.
    """
    strange = [part for part in shared if not isinstance(index.get(part), list)]
    if strange:
        raise ValueError(f"it shares {', '.join(strange)}, which its model_index.json doesn't name")
    sources: dict[str, Source] = {part: (*index[part], at) for part, at in shared.items()}
    made = {source: _load(*source, dtype) for source in dict.fromkeys(sources.values())}
    return {part: made[source] for part, source in sources.items()}


def _load(library: str, name: str, folder: Path, dtype: torch.dtype) -> Any:
    if library not in LIBRARIES:  # an index decides no code that is run
        raise ValueError(f"a part of {library!r} is shared, not of {' or '.join(LIBRARIES)}")
    kind = getattr(importlib.import_module(library), name, None)
    if kind is None:
        raise ValueError(f"{library} has no {name}")
    if not issubclass(kind, nn.Module):
        return kind.from_pretrained(folder)
    word = "dtype" if library == "transformers" else DTYPE
    return kind.from_pretrained(folder, use_safetensors=True, **{word: dtype}).eval()
