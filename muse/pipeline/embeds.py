"""Prompts that a call was given as embeddings, by diffusers' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from muse.core.types import Cond, MuseError

NAMES = {
    "tokens": "{}prompt_embeds",
    "pooled": "{}pooled_prompt_embeds",
    "mask": "{}prompt_attention_mask",
}
"""What a condition calls it -> what diffusers does, for prompts and, with ``negative_``, negative
ones."""
EMBEDS = tuple(name.format(kind) for kind in ("", "negative_") for name in NAMES.values())


def rows_of(options: dict[str, Any], kind: str) -> list[dict[str, Tensor] | None]:
    """The embeddings of each row, ``tokens`` (1, L, d) and what else was given, by a condition's
    names; one None where there are none. They are taken out of `options`.

    Args:
        options: of a call, those of `EMBEDS` among them.
        kind: "" or ``negative_``.

    Raises:
        MuseError: none of a tensor's shape, or some without ``prompt_embeds``.
    """
    given: dict[str, Tensor] = {}
    for part, pattern in NAMES.items():
        name, axes = pattern.format(kind), 3 if part == "tokens" else 2
        value = options.pop(name, None)
        if value is None:
            continue
        if not isinstance(value, Tensor) or value.ndim != axes or not len(value):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            wanted = "(B, tokens, width)" if axes == 3 else "(B, length)"
            raise MuseError(f"{name} is {shape}. Give a tensor {wanted}.")
        given[part] = value
    if not given:
        return [None]
    counts = {NAMES[part].format(kind): len(value) for part, value in given.items()}
    if "tokens" not in given or len(set(counts.values())) > 1:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise MuseError(f"{told} are given. Give {kind}prompt_embeds, and as many of each.")
    columns = [value.split(1) for value in given.values()]
    return [dict(zip(given, row, strict=True)) for row in zip(*columns, strict=True)]


def condition(given: Mapping[str, Tensor], like: Cond, kind: str) -> Cond:
    """A row's condition with these embeddings in place of a prompt's.

    Args:
        given: what `rows_of` gives of one row.
        like: the condition of any prompt: sizes and the like are taken over.
        kind: as there.

    Raises:
        MuseError: another width than the model's, or more or less than its condition has.
    """
    wanted = [part for part in NAMES if part in like]
    if set(wanted) != set(given):
        names = " and ".join(NAMES[part].format(kind) for part in wanted)
        told = ", ".join(NAMES[part].format(kind) for part in given)
        raise MuseError(f"{told} alone say too much or too little for this model. Give {names}.")
    for part, value in given.items():
        if part != "mask" and value.shape[-1] != like[part].shape[-1]:
            raise MuseError(
                f"{NAMES[part].format(kind)} is {value.shape[-1]} wide, the model reads "
                f"{like[part].shape[-1]}. Give embeddings by its own text encoders."
            )
    if "mask" in given and given["mask"].shape[1] != given["tokens"].shape[1]:
        raise MuseError(
            f"{NAMES['mask'].format(kind)} is of {given['mask'].shape[1]} tokens, "
            f"{NAMES['tokens'].format(kind)} of {given['tokens'].shape[1]}. Give as many."
        )
    return {**like, **{part: value.to(like[part]) for part, value in given.items()}}
