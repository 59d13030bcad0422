"""The eight emotions, their wheel, and targets over them.

Three orders of the classes are in use in this field, so muse matches labels by name and never
trusts an index. `EMOTIONS` is the order of EmoSet, EmoGen and EmoEdit.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

from muse.core.errors import MuseError, check_choice

EMOTIONS = (
    "amusement",
    "awe",
    "contentment",
    "excitement",
    "anger",
    "disgust",
    "fear",
    "sadness",
)
"""Mikels' eight emotions (Mikels et al. 2005); the first four are positive."""

WHEEL = (
    "amusement",
    "contentment",
    "awe",
    "excitement",
    "fear",
    "sadness",
    "disgust",
    "anger",
)
"""Mikels' wheel, a ring: neighbours are similar emotions, and anger neighbours amusement."""

COLORS = {
    "amusement": "#f2a900",
    "contentment": "#6aa84f",
    "awe": "#4c78d0",
    "excitement": "#e8543f",
    "fear": "#5b4b8a",
    "sadness": "#4a90a4",
    "disgust": "#8a8f2a",
    "anger": "#b02a30",
}
"""One colour for each emotion, the same in every sheet and plot, in the wheel's order."""

POSITIVE = frozenset(EMOTIONS[:4])

SimilarRule = Literal["ring", "same_polarity"]


def distance(first: str, second: str) -> int:
    """Steps between two emotions around the wheel, 0 to 4."""
    apart = abs(WHEEL.index(first) - WHEEL.index(second))
    return min(apart, len(WHEEL) - apart)


@cache  # every inner iteration of every row asks
def neighbours(emotion: str, rule: SimilarRule = "ring") -> tuple[str, ...]:
    """The similar emotions of one emotion: its neighbours on the wheel.

    Args:
        emotion: a name from `EMOTIONS`.
        rule: ``ring`` takes both neighbours, ``same_polarity`` only those that are positive (or
            negative) as the emotion itself.
    """
    near = (other for other in WHEEL if distance(emotion, other) == 1)
    if rule == "ring":
        return tuple(near)
    return tuple(other for other in near if (other in POSITIVE) == (emotion in POSITIVE))


@cache
def neighbour_table(rule: SimilarRule = "ring") -> Tensor:
    """Which emotions are similar to which, (K, K) of zeros and ones."""
    check_choice("similar_rule", rule, get_args(SimilarRule))
    near = [neighbours(emotion, rule) for emotion in EMOTIONS]
    return torch.tensor([[float(other in row) for other in EMOTIONS] for row in near])


def spread_over(target: Tensor, table: Tensor) -> Tensor:
    """The similar emotions of each target as weights, (B, K) -> (B, K): for every component its
    share, spread evenly over its neighbours in `table` (K, K) outside the target's support.
    """
    outside = (target == 0).to(target)[:, None, :] * table.to(target)
    share = outside / outside.sum(-1, keepdim=True).clamp(min=1)
    return (target[:, :, None] * share).sum(1)


def check_emotion(name: object) -> str:
    """Return the emotion's name in lower case, or raise a `MuseError` with the nearest names."""
    given = str(name).strip().lower()
    if given in EMOTIONS:
        return given
    near = difflib.get_close_matches(given, EMOTIONS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise MuseError(f"Unknown emotion {name!r}.{hint} Allowed: {', '.join(EMOTIONS)}.")


def parse_target(given: str | Mapping[str, float]) -> dict[str, float]:
    """Read a target: ``"awe"``, ``"awe:0.7,fear:0.3"`` or ``{"awe": 0.7, "fear": 0.3}``.

    Returns:
        name -> weight, positive weights that sum to 1, in the order of `EMOTIONS`.

    Raises:
        MuseError: an unknown name, a weight that is no number, is negative, or a sum of zero.
    """
    pairs = list(given.items()) if isinstance(given, Mapping) else _pairs(given)
    weights: dict[str, float] = {}
    for name, value in pairs:
        emotion, weight = check_emotion(name), _weight(value, given)
        if emotion in weights:
            raise MuseError(f"Target {given!r} names {emotion!r} twice. Give each emotion once.")
        weights[emotion] = weight
    total = sum(weights.values())
    if not math.isfinite(total):
        raise MuseError(f"Target {given!r} has weights beyond all numbers. Give smaller ones.")
    if abs(total - 1) < 1e-12:  # so that a target that was parsed once stays bit for bit
        total = 1.0
    if not total > 0:
        raise MuseError(f"Target {given!r} has no weight above 0. Give at least one emotion some.")
    return {name: weights[name] / total for name in EMOTIONS if weights.get(name, 0) > 0}


def _pairs(text: str) -> list[tuple[str, str]]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) == 1 and ":" not in parts[0]:
        return [(parts[0], "1")]
    if any(":" not in part for part in parts):
        raise MuseError(
            f"Target {text!r} mixes emotions without weights. "
            "Write one emotion ('awe') or weights for all ('awe:0.7,fear:0.3')."
        )
    return [(name, value) for name, _, value in (part.partition(":") for part in parts)]


def _weight(value: object, given: object) -> float:
    try:
        weight = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise MuseError(f"Target {given!r}: weight {value!r} is not a number.") from None
    if not math.isfinite(weight) or weight < 0:
        raise MuseError(f"Target {given!r}: weight {weight:g} is not allowed. Use 0 or more.")
    return weight


def strongest(weights: Mapping[str, float]) -> str:
    """The name of most weight in a target, or of most probability in a reading."""
    return max(weights, key=lambda name: weights[name])


def distribution(target: Mapping[str, float]) -> Tensor:
    """The target as probabilities over `EMOTIONS`, (1, K), float32."""
    return torch.tensor([[target.get(name, 0.0) for name in EMOTIONS]])


def order_of(labels: Sequence[str]) -> list[int]:
    """Where each emotion stands among a classifier's labels.

    ``logits[:, order_of(labels)]`` has the classes in the order of `EMOTIONS`.

    Raises:
        MuseError: the labels are not exactly the eight emotions.
    """
    given = [label.strip().lower() for label in labels]
    if sorted(given) != sorted(EMOTIONS):
        missing = ", ".join(sorted(set(EMOTIONS) - set(given))) or "none"
        extra = ", ".join(sorted(set(given) - set(EMOTIONS))) or "none"
        raise MuseError(
            f"The guide's labels are not the eight emotions: missing {missing}; unknown {extra}. "
            f"Use a classifier of {', '.join(EMOTIONS)} (in any order)."
        )
    return [given.index(name) for name in EMOTIONS]


def target_text(target: Mapping[str, float] | None) -> str:
    """``awe``, or ``awe:0.7,fear:0.3``; ``plain`` for none."""
    if not target:
        return "plain"
    if len(target) == 1:
        return next(iter(target))
    return ",".join(f"{name}:{weight:g}" for name, weight in target.items())
