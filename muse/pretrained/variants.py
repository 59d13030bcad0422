"""Weights by variant: what ``save_pretrained(folder, variant="fp16")`` names its files after."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from muse.core.types import MuseError
from muse.pretrained.damage import check_whole

NAME = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model|model)(?:\.(?P<variant>[^.]+?))?"
    r"(?:-\d{5}-of-\d{5}(?:\.(?P<old>[^.]+))?)?\.(?:safetensors|bin)"
)
"""A file of weights, whole or in shards; of old the variant stood behind the shard's number."""
Found: TypeAlias = Mapping[str, Sequence[Path]]
"""The files of weights by variant, "" for those of none."""


def variant_of(file: str) -> str | None:
    """The variant that a file's name says, "" for none; None of a name that isn't one of weights
    in diffusers or transformers.
    """
    match = NAME.fullmatch(file)
    return None if match is None else match["variant"] or match["old"] or ""


def choose_variant(
    folder: Path,
    parts: Sequence[str],
    variant: str | None,
    name: str,
    suffixes: Sequence[str] = (".safetensors",),
    remedy: str = "Choose one by variant",
) -> str | None:
    """The variant to load from a folder: the one asked for; where none is, the only one of a model
    that isn't there without. A part that lacks it is loaded without. The files are looked at first.

    Args:
        folder: of the model; where it isn't one, what was asked for is returned.
        parts: folders in it that hold weights of their own; "" is `folder` itself.
        variant: what was asked for.
        name: the model's, for errors.
        suffixes: of the files that are read, the preferred one first.
        remedy: what to do where there are several.

    Raises:
        MuseError: a variant that isn't there, several to choose from, or files that are no whole
            weights.
    """
    if not folder.is_dir():
        return variant
    every = {part: _weights_in(folder / part, suffixes) for part in parts}
    held = [found for found in every.values() if found]
    chosen = _only(held, name, remedy) if variant is None else _asked(held, variant, name)
    for found in held:
        files = found.get(chosen or "") or found.get("", [])
        best = min((suffixes.index(file.suffix) for file in files), default=0)
        for file in files:
            if file.suffix == suffixes[best]:
                check_whole(file)
    return chosen


def _weights_in(folder: Path, suffixes: Sequence[str]) -> Found:
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*")):
        variant = variant_of(path.name)
        if variant is not None and path.suffix in suffixes:
            found[variant].append(path)
    return found


def _asked(held: Sequence[Found], variant: str, name: str) -> str:
    known = sorted({own for found in held for own in found if own})
    if variant not in known:
        there = f"It has: {', '.join(known)}" if known else "It has none: leave variant out"
        raise MuseError(f"{name!r} has no weights of the variant {variant!r}. {there}.")
    if not all(variant in found or "" in found for found in held):
        raise MuseError(
            f"{name!r} has weights of the variant {variant!r} for some parts alone, and for others "
            f"neither these nor any without a variant. It has: {', '.join(known)}."
        )
    return variant


def _only(held: Sequence[Found], name: str, remedy: str) -> str | None:
    lacking = [set(found) for found in held if "" not in found]
    fitting = sorted(set.intersection(*lacking)) if lacking else []
    if len(fitting) > 1:
        raise MuseError(
            f"{name!r} has weights of the variants {', '.join(fitting)} alone. {remedy}."
        )
    return fitting[0] if fitting else None
