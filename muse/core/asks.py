"""What a row may ask of the parts that rows share, and the answers.

A row is a generator (`muse.sampling.sampler`): it yields a list of asks and is sent the list of
answers. Asks of many rows are answered in one batched call each (`muse.sampling.answers`), but for
a `Fork`, which the engine answers by running rows.

=============  ==================================================  ================
ask            for                                                 answer
=============  ==================================================  ================
`Predict`      the model's prediction                              `Denoised`
`Observe`      what guide and similarity see                       `Observation`
`Evaluate`     a loss through the model, its gradient, a step      `Evaluation`
`Judge`        a loss, and its gradient by x0, without the model   `Judgement`
`Unroll`       a loss through a whole way, its gradient by x       `Unrolled`
`Match`        how far a step leads from a latent, its gradient    `Matched`
`Fork`         rows within the row                                 a list of what they return
=============  ==================================================  ================
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from torch import Tensor

from muse.core.frames import Frame
from muse.core.types import Cond, Denoised, Goal, Guidance, Node, Tensors

T = TypeVar("T")


class Variation(Protocol):
    """What a loss is differentiated by, and how it enters the model; `muse.steering.Optimization`
    is one. States have the row axis first, and rows are treated apart.
    """

    def variables(self, state: Tensors, /) -> tuple[str, ...]:
        """The names in `state` that the loss is differentiated by; none: no gradient is taken."""

    def inject(
        self, backbone: Any, x: Tensor, cond: Cond, state: Tensors, /
    ) -> tuple[Tensor, Cond]:
        """The latent and the condition that the model is shown."""

    def step(
        self, state: Tensors, gradient: Tensors, loss: Tensor, i: Tensor, k: Tensor, /
    ) -> Tensors:
        """The next state, given the gradient by each variable; `loss` is each row's, `i` its
        sampling step, `k` its inner iteration, (B,).
        """


@dataclass(frozen=True)
class Predict:
    """Ask for the model's prediction, without gradient; answered by a `Denoised`, or, where `take`
    names features, by one and a mapping of those.

    Attributes:
        x, node, cond: the latent, its time, the condition.
        take: names of features to hand out (`muse.backbones.Backbone.denoise_with`).
        give: features to put in place of the model's own, by name, (1, ...).
    """

    x: Tensor
    node: Node
    cond: Cond
    take: tuple[str, ...] = ()
    give: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Observe:
    """Ask what guide and similarity see in a predicted x0, without gradient; answered by an
    `Observation`. The `final` one is decoded in full, others as the backbone previews them.

    Attributes:
        x0: the clean latent, (1, ...).
        prompt: for the similarity.
        final: whether it is the finished picture.
        logits, similarity: whether somebody reads them.
        frame: what stands around x0 where a mask is black; a `final` picture gets its pixels too.
    """

    x0: Tensor
    prompt: str
    final: bool = False
    logits: bool = True
    similarity: bool = True
    frame: Frame | None = None


@dataclass(frozen=True)
class Evaluate:
    r"""Ask for a steered prediction, its loss and gradient, and the state one step on; answered by
    an `Evaluation`.

    Attributes:
        x, node, cond: the latent, its time, the text condition without S.
        unconditional: this step's unconditional prediction, or None without guidance.
        state: of the variation.
        goal: what the loss wants.
        prompt: for the similarity.
        step, iteration: indices i and k, from 0.
        gradient: whether it is wanted, and the state one step on; not where the search ends here.
        trial: whether the state is one that the variation tries out: no gradient is wanted, and it
            makes the state one step on of the loss alone.
        plain: this step's prediction without S, or None where S has no scale of its own.
        variation: what the state is; None is the sampler's own steering.
        guidance: how predictions are mixed.
        null: the negative condition, where the unconditional prediction is to be made anew at the
            varied latent, and differentiated too; in place of `unconditional`.
        pictured: whether the picture is wanted too.
        noise: (1, n, ...), where guide and similarity shall see x0 n times, each with one of these
            added: the loss is then :math:`-\log \frac1n \sum_j e^{-L_j}`, that of the mean
            likelihood (Song et al. 2023; Ye et al. 2024, Sec. 3.1), probabilities and terms are
            means. None: once, as it is.
        frame: as `Observe`'s.
    """

    x: Tensor
    node: Node
    cond: Cond
    unconditional: Denoised | None
    state: Tensors
    goal: Goal
    prompt: str
    step: int
    iteration: int = 0
    gradient: bool = True
    trial: bool = False
    plain: Denoised | None = None
    variation: Variation | None = None
    guidance: Guidance = field(default_factory=Guidance)
    null: Cond | None = None
    pictured: bool = False
    noise: Tensor | None = None
    frame: Frame | None = None


@dataclass(frozen=True)
class Judge:
    """Ask for the loss of a clean latent as it is previewed, and its gradient by that latent; the
    model is not asked. Answered by a `Judgement`. `noise` and `frame` are `Evaluate`'s.
    """

    x0: Tensor
    goal: Goal
    prompt: str
    noise: Tensor | None = None
    frame: Frame | None = None


@dataclass(frozen=True)
class Unroll:
    """Ask for where a latent leads by plain DDIM (Euler, for a flow), for the loss of what comes
    out, and for its gradient by the latent, through every step; answered by an `Unrolled`. Steps
    are checkpointed: memory for one of them at a time, one more prediction each.

    Attributes:
        x: the latent at the first node, (1, ...).
        nodes: the way, the last one the picture's; two or more.
        cond: the text condition.
        null: the negative one, or None without guidance.
        goal, prompt: of the loss.
        guidance: how predictions are mixed.
        gradient: whether it is wanted.
        frame: as `Observe`'s, around the picture at the end of the way.
    """

    x: Tensor
    nodes: Sequence[Node]
    cond: Cond
    null: Cond | None
    goal: Goal
    prompt: str
    guidance: Guidance = field(default_factory=Guidance)
    gradient: bool = True
    frame: Frame | None = None


@dataclass(frozen=True)
class Match:
    """Ask how far a step under a condition leads from a given latent, and for the gradient of that
    by the condition; no guide is asked. Answered by a `Matched`.

    Attributes:
        x, node, cond: the latent, its time, and the condition by whose ``tokens`` the distance is
            differentiated.
        there: the node that the step leads to (DDIM's; Euler's, for a flow).
        wanted: the latent that it should lead to, (1, ...).
    """

    x: Tensor
    node: Node
    cond: Cond
    there: Node
    wanted: Tensor


@dataclass(frozen=True)
class Fork:
    """Ask for rows to be run to their ends; answered by the list of what they return. Each takes a
    place of its own; the row that asks takes none while it waits. It stands alone in its list.
    """

    rows: Sequence[Generator[list[Any], list[Any], Any]]


Ask: TypeAlias = Predict | Observe | Evaluate | Judge | Unroll | Match | Fork
Row: TypeAlias = Generator[list[Ask], list[Any], T]
"""A computation of one row that yields asks, is sent answers, and returns a T."""


@dataclass(frozen=True)
class Observation:
    """A decoded picture (1, 3, H, W), its emotion logits (1, K) in the order of `EMOTIONS`, and its
    similarity to the prompt; None where no part reads one, or nobody asked.
    """

    image: Tensor
    logits: Tensor | None
    similarity: float | None


@dataclass(frozen=True)
class Judgement:
    """How a loss sees a picture.

    Attributes:
        total: the loss.
        terms: its parts by name.
        probabilities: of the emotions, in the order of `EMOTIONS`.
        gradient: of the total by what was asked about, (1, ...); zeros where it wasn't wanted.
        finite: whether loss and gradient are.
    """

    total: float
    terms: dict[str, float]
    probabilities: list[float]
    gradient: Tensor
    finite: bool


@dataclass(frozen=True)
class Unrolled:
    """Where a latent led, (1, ...), and how the loss sees it."""

    latent: Tensor
    judgement: Judgement


@dataclass(frozen=True)
class Matched:
    """How far a step led from where it should.

    Attributes:
        distance: the mean square over the latent.
        gradient: of it by the condition's tokens, (1, L, d), float32 or wider.
    """

    distance: float
    gradient: Tensor


@dataclass(frozen=True)
class Evaluation:
    """One inner iteration.

    Attributes:
        prediction: the model's under S, conditional and unmixed, one row.
        state: the state that made it.
        proposal: the state one step on.
        total: the loss.
        terms: its parts by name.
        probabilities: of the emotions, in the order of `EMOTIONS`.
        finite: whether the prediction and the loss are finite.
        steppable: whether the gradient is too, so that `proposal` can be used; False where none
            was asked for, but for a trial.
        trial: whether `proposal` is one.
        gradient: of the total by each variable, one row; empty where there was none.
        unconditional: the prediction under `Evaluate.null`, where that was given.
        picture: as it was previewed, (1, 3, H, W), where that was wanted.
    """

    prediction: Denoised
    state: Tensors
    proposal: Tensors
    total: float
    terms: dict[str, float]
    probabilities: list[float]
    finite: bool
    steppable: bool
    gradient: Tensors = field(default_factory=dict)
    unconditional: Denoised | None = None
    picture: Tensor | None = None
    trial: bool = False
