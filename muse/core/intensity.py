"""Intensity: how strongly an emotion is wanted, from its lack over the plain picture to all of it.

=============  =====================================================================
intensity      the picture
=============  =====================================================================
1              all of the emotion, what a job makes that says nothing
0 to 1         each steered step is taken between the plain prediction and the
               steered one
0              the plain picture, bit for bit
-1             steered to the plain picture's emotions without this one
-1 to 0        between the plain picture and that
=============  =====================================================================

It is a dose on the steps, and the search is for all of the emotion. The other way, to search for a
distribution between the plain reading and the emotion, was measured beside it on the exact toy: it
moves little until just below 1 (docs/intensity.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from muse.core.emotions import parse_target, target_text
from muse.core.types import Denoised, MuseError

AT = "@"
"""Between an emotion and its intensity: ``awe@0.6``."""


def check_intensity(given: object) -> float:
    """An intensity as a number; a `MuseError` where it is none in [-1, 1]."""
    try:
        intensity = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise MuseError(f"intensity {given!r} is not a number. Use -1 to 1.") from None
    if not -1 <= intensity <= 1:
        raise MuseError(
            f"intensity {intensity:g} is out of range. Use 0 (plain) to 1 (all of the emotion), or "
            "down to -1 for less of it than the plain picture has."
        )
    return intensity


def parse_emotion(given: str | Mapping[str, float]) -> tuple[dict[str, float], float | None]:
    """Read a target with its intensity: ``"awe@0.6"``, ``"awe:0.7,fear:0.3@0.6"``.

    Returns:
        the target as `muse.core.emotions.parse_target` reads it, and the intensity in [-1, 1], None
        where none is said.

    Raises:
        MuseError: no target, or no intensity.
    """
    if not isinstance(given, str) or AT not in given:
        return parse_target(given), None
    emotion, _, intensity = given.rpartition(AT)
    return parse_target(emotion), check_intensity(intensity.strip())


def emotion_text(target: Mapping[str, float] | None, intensity: float | None) -> str:
    """``awe``, or ``awe@0.6`` where an intensity is said that isn't 1; ``plain`` for no target."""
    text = target_text(target)
    return text if intensity in (None, 1) or not target else f"{text}{AT}{intensity:g}"


def without(logits: Tensor, target: Tensor) -> Tensor:
    r"""The guide's reading of a picture without the target's emotions, the others as they are to
    each other: :math:`q_k \propto p_k\,[t_k = 0]`.

    Args:
        logits: of the picture, (B, K).
        target: the emotions that it shall lose, (B, K); not all of them.

    Returns:
        (B, K), rows sum to 1.
    """
    # In logarithms, so that something is left of a picture that is nothing but the target.
    return logits.log_softmax(-1).masked_fill(target > 0, -math.inf).softmax(-1)


def dosed(plain: Denoised, steered: Denoised, dose: float) -> Denoised:
    r"""A prediction between the plain one and the steered one, :math:`d + \lambda\,(d_S - d)`:
    linear in x0 and eps alike, so that the identity of `Denoised` holds.

    Args:
        plain, steered: guided predictions of one latent.
        dose: :math:`\lambda`, 0 to 1.
    """
    return Denoised(
        torch.lerp(plain.x0, steered.x0, dose), torch.lerp(plain.eps, steered.eps, dose)
    )
