"""The values that travel between the parts: predictions, times, conditions, readings, losses.

Shapes: B rows (pictures in a call), K emotions, L text tokens, M emotion tokens, d text width.
Every tensor has the row axis first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from muse.core.errors import MuseError as MuseError  # here, too, for whoever reads values
from muse.core.errors import check_number

Tensors: TypeAlias = Mapping[str, Tensor]
"""Named tensors that share their first axis, the rows: a text condition, a steering state."""

Cond: TypeAlias = Mapping[str, Tensor]
"""A text condition. ``tokens`` (B, L, d) is always there; a backbone may add more."""


def per_row(value: Tensor, like: Tensor) -> Tensor:
    """View `value` (B,) or () so that it broadcasts over `like` (B, ...), in its dtype."""
    value = value.to(like)
    return value.view(-1, *[1] * (like.ndim - 1)) if value.ndim else value


def cat_rows(parts: Sequence[Tensors]) -> dict[str, Tensor]:
    """Stack mappings of equal keys along the rows."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def split_rows(rows: Tensors, count: int) -> list[dict[str, Tensor]]:
    """Undo `cat_rows`: `count` mappings of one row each."""
    columns = [value.split(1) for value in rows.values()]
    return [dict(zip(rows, values, strict=True)) for values in zip(*columns, strict=True)] or [
        {} for _ in range(count)
    ]


@dataclass(frozen=True)
class Node:
    r"""A point in diffusion time at which :math:`x = \alpha x_0 + \sigma \epsilon`.

    Attributes:
        timestep: what the model is told, () or (B,), in the model's own unit and dtype.
        alpha: signal level, () or (B,), in [0, 1].
        sigma: noise level, () or (B,), in [0, 1].
    """

    timestep: Tensor
    alpha: Tensor
    sigma: Tensor

    @staticmethod
    def stack(nodes: Sequence[Node]) -> Node:
        """One node of shape (B,) from B nodes of shape ()."""
        return Node(
            torch.stack([node.timestep for node in nodes]),
            torch.stack([node.alpha for node in nodes]),
            torch.stack([node.sigma for node in nodes]),
        )


@dataclass(frozen=True)
class Denoised:
    r"""What a model sees in `x`: the clean latent and the noise.

    :math:`x = \alpha x_0 + \sigma \epsilon` holds exactly, whatever the model was trained to
    predict, so a sampler needs no word about parameterisations. Moving to another time with
    `at` is the DDIM step (Song et al. 2021, Eq. 12 with :math:`\eta = 0`), and for a flow model
    the Euler step.

    Attributes:
        x0: predicted clean latent, (B, ...); Eq. 7 of the paper.
        eps: predicted noise, (B, ...).
    """

    x0: Tensor
    eps: Tensor

    @classmethod
    def from_eps(cls, x: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Denoised:
        r""":math:`x_0 = (x - \sigma \epsilon) / \alpha`, Eq. 7 of the paper."""
        return cls((x - per_row(sigma, x) * output) / per_row(alpha, x), output)

    @classmethod
    def from_v(cls, x: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Denoised:
        r""":math:`v = \alpha \epsilon - \sigma x_0` with :math:`\alpha^2 + \sigma^2 = 1`
        (Salimans & Ho 2022, App. D).
        """
        a, s = per_row(alpha, x), per_row(sigma, x)
        return cls(a * x - s * output, a * output + s * x)

    @classmethod
    def from_flow(cls, x: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Denoised:
        r""":math:`v = \epsilon - x_0` with :math:`\alpha = 1 - \sigma` (Lipman et al. 2023)."""
        return cls(x - per_row(sigma, x) * output, x + per_row(alpha, x) * output)

    @classmethod
    def from_x0(cls, x: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Denoised:
        r""":math:`\epsilon = (x - \alpha x_0) / \sigma`; `sigma` must not be 0."""
        return cls(output, (x - per_row(alpha, x) * output) / per_row(sigma, x))

    def at(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        r"""The latent at another time, :math:`\alpha' x_0 + \sigma' \epsilon`, (B, ...)."""
        return per_row(alpha, self.x0) * self.x0 + per_row(sigma, self.x0) * self.eps


def mix(
    conditional: Denoised,
    unconditional: Denoised | None,
    scale: float,
    base: Denoised | None = None,
) -> Denoised:
    r"""Classifier-free guidance, :math:`u + s (c - u)`: scale 1 is the condition alone.

    The paper's :math:`\omega` (Eq. 6) is `scale` - 1. Where a `base` is given, what the condition
    adds goes on top of it, :math:`b + s (c - u)`. Linear in x0 and in eps alike, so the identity
    of `Denoised` holds for the mix.
    """
    if unconditional is None:
        return conditional
    base = base or unconditional
    return Denoised(
        base.x0 + scale * (conditional.x0 - unconditional.x0),
        base.eps + scale * (conditional.eps - unconditional.eps),
    )


@dataclass(frozen=True)
class Guidance:
    r"""How a row's predictions are mixed.

    Predictions u of the negative prompt, c of the prompt and :math:`c_S` of prompt and S give
    :math:`u + w\,(c_S - u)`, or, with an `emotion` scale, :math:`u + w\,(c - u) + w_s\,(c_S - c)`.

    Attributes:
        scale: of classifier-free guidance, w; 1 is none, and needs no u.
        emotion: of what S adds on top of the guided plain prediction, :math:`w_s`, or None for the
            paper's one scale.
        of_x0: whether guide and similarity see the x0 of the mix, or that of the conditional
            prediction alone (Eq. 7 leaves it open).

    Raises:
        MuseError: an `emotion` scale that is not above 0.
    """

    scale: float = 1.0
    emotion: float | None = None
    of_x0: bool = True

    def __post_init__(self) -> None:
        if self.emotion is None:
            return
        check_number("emotion_scale", self.emotion)
        if not self.emotion > 0:
            raise MuseError(
                f"emotion_scale = {self.emotion:g} is not allowed. Use a number above 0, or null."
            )

    @property
    def reads_null(self) -> bool:
        """Whether there is an unconditional branch, and the negative prompt is read."""
        return self.scale != 1

    def mixed(
        self, prediction: Denoised, unconditional: Denoised | None, plain: Denoised | None = None
    ) -> Denoised:
        """The guided prediction, with or without S. Given the `plain` one too, S alone acts at the
        `emotion` scale.

        Raises:
            MuseError: no unconditional prediction, where the scale needs one.
        """
        if self.reads_null and unconditional is None:
            raise MuseError(
                f"A guidance scale of {self.scale:g} mixes with an unconditional prediction, and "
                "there is none. A step that rests comes without: ask by `Step.guided`."
            )
        if plain is None or self.emotion is None:
            return mix(prediction, unconditional, self.scale)
        return mix(prediction, plain, self.emotion, mix(plain, unconditional, self.scale))

    def seen(
        self, prediction: Denoised, unconditional: Denoised | None, plain: Denoised | None = None
    ) -> Tensor:
        """The x0 that guide and similarity look at, (B, ...)."""
        shown = self.mixed(prediction, unconditional, plain) if self.of_x0 else prediction
        return shown.x0


@dataclass(frozen=True)
class Reading:
    """What guide and similarity see in a prediction.

    Attributes:
        logits: (B, K), classes in the order of `muse.core.emotions.EMOTIONS`.
        similarity: (B,) in [-100, 100], or None where nobody asked.
    """

    logits: Tensor
    similarity: Tensor | None = None


@dataclass(frozen=True)
class Goal:
    """What the loss pulls to and pushes from.

    Attributes:
        target: distribution over the emotions, (B, K): what the job asks for, or, where that is
            less of an emotion, the plain picture's others (`muse.core.intensity`).
        inherent: one-hot of the inherent emotion, or zeros where there is none, (B, K).
        similarity: the similarity to the prompt when steering began, (B,), or None.
        similar: the emotions that count as similar to the target, by weight, (B, K); traces tell
            their probability. None where nobody says.
        named: what the job names, where `target` is its lack, (B, K); for traces too.
    """

    target: Tensor
    inherent: Tensor
    similarity: Tensor | None = None
    similar: Tensor | None = None
    named: Tensor | None = None


@dataclass(frozen=True)
class LossTerms:
    """A loss per row, never reduced.

    Attributes:
        total: what is minimised, (B,).
        terms: its parts by name, unweighted, (B,) each; ``target`` is always among them.
    """

    total: Tensor
    terms: dict[str, Tensor]


def __getattr__(name: str) -> object:
    """`Tensors` under the name that it had once."""
    if name == "Rows":
        return Tensors
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
