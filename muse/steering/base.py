"""HOW the model is steered: the contract.

A steering is a row within the row: at each steered step it is given where the row stands, asks for
what it needs (`muse.core.asks`), and returns the prediction that the step is taken with and what it
carries to the next one. How methods are made of the same pieces:

======================  =================================================================
method                  asks, at each step
======================  =================================================================
MUSE                    `Evaluate`, until the loss is small: `Optimization` of tokens
Universal Guidance      one `Evaluate` that varies x
TFG, and its cases      that, and a few `Judge`: gradients by x0, none through the model
DATE                    one `Evaluate` that varies the text, at every tenth step
noise optimisation      `Unroll`, a few times, at the first step alone
best of N               one `Fork` of N rows, at the first step alone
FK steering             one from each resampling to the next
Plug-and-Play           `Predict` of the source with `take`, then of the edit with `give`
word in the prompt      `Predict` under another prompt
prompt only             nothing
======================  =================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from muse.backbones import Backbone
from muse.core.asks import (
    Ask,
    Evaluate,
    Evaluation,
    Judgement,
    Observation,
    Predict,
    Row,
    Variation,
)
from muse.core.jobs import Job
from muse.core.results import Trace
from muse.core.types import Cond, Denoised, Goal, Guidance, MuseError, Node, Tensors
from muse.latents import LatentSource
from muse.schedulers import TimeGrid


class Onward(Protocol):
    """Where the plain model leads: `Step.onward`."""

    def __call__(
        self, x: Tensor, i: int, until: int | None = None, noise: torch.Generator | None = None, /
    ) -> Row[tuple[Tensor, Observation]]:
        """A row from a latent (1, ...) at node `i`, to node `until` or to the end."""


@dataclass(frozen=True)
class Step:
    """Where a row stands when it is steered.

    Attributes:
        job: whose row it is.
        x: the latent, (1, ...).
        i: the sampling step, from 0.
        grid: the row's nodes; `node` is the present one.
        cond: the text condition.
        null: the negative one, or None without guidance.
        unconditional: this step's unconditional prediction; None without guidance, in a step that
            rests (`Steering.follow`), or where the steering needs none.
        plain: this step's prediction under `cond`, or None where it wasn't needed yet
            (`predicted`).
        goal: what the loss wants.
        guidance: how predictions are mixed.
        trace: what is recorded of the row.
        generator: the row's own random stream for steering, on the CPU; it goes on from step to
            step.
        search: when an inner loop ends: `muse.sampling.search.Search.run`.
        satisfied: whether nothing needs to be searched at an iterate.
        advance: ``advance(prediction)`` is the latent that the row's solver makes of a guided
            prediction at this node, (1, ...); noise that the solver adds is drawn.
        onward: ``onward(x, i)`` is a row, for a `Fork`: where the plain model leads from a latent
            at node i, the last latent and the `Observation` of it. ``onward(x, i, j, noise)`` ends
            at node j, with the `Observation` of the prediction that led there; what the solver
            adds comes from the generator `noise`, from the job's own stream where that is None.
        embed: ``embed(prompt)`` is the condition of another prompt, one row.
        inject: ``inject(variation, cond, state)`` is the latent and the condition that the model is
            shown under a variation's state (`muse.core.asks.Variation`).
        worded: whether `cond` is that of the job's prompt; False where it came as embeddings, to
            which no word can be added.
        source: the ask for the model's prediction of the source picture at this node, where the
            start has a path (`muse.latents.Start`); None where it has none.
        edits: whether the row starts from a picture (`LatentSource.needs_picture`).
        feature_names: what `Predict.take` may name.
        tell: told of every inner iteration, for watchers.
        pictured: whether those want to see pictures.
        tolerance: the loss below which a search ends.
    """

    job: Job
    x: Tensor
    i: int
    grid: TimeGrid
    cond: Cond
    null: Cond | None
    unconditional: Denoised | None
    plain: Denoised | None
    goal: Goal
    guidance: Guidance
    trace: Trace
    generator: torch.Generator
    search: Callable[..., Row[Evaluation | None]]
    satisfied: Callable[[Evaluation | Judgement], bool]
    advance: Callable[[Denoised], Tensor]
    onward: Onward
    embed: Callable[[str], Cond]
    inject: Callable[[Variation, Cond, Tensors], tuple[Tensor, Cond]]
    worded: bool = True
    source: Predict | None = None
    edits: bool = False
    feature_names: Sequence[str] = ()
    tell: Callable[[int, Evaluation | Judgement], None] = field(
        default=lambda iteration, found: None
    )
    pictured: bool = False
    tolerance: float = 0.0

    @property
    def node(self) -> Node:
        """The present node."""
        return self.grid[self.i]

    def predicted(self) -> Row[Denoised]:
        """The plain prediction, asked for where it isn't there."""
        if self.plain is not None:
            return self.plain
        [plain] = yield [Predict(self.x, self.node, self.cond)]
        assert isinstance(plain, Denoised)
        return plain

    def guided(
        self, cond: Cond, give: Tensors | None = None, x: Tensor | None = None
    ) -> Row[Denoised]:
        """The guided prediction under a condition in place of the prompt's, all of it asked for at
        once: the unconditional one too, and, where what is added has a scale of its own
        (`Guidance.emotion`), the prompt's, as far as they aren't there.

        Args:
            cond: of what is added, such as the prompt with more words.
            give: features for all of them, in place of the model's own (`Predict.give`).
            x: the latent under `cond`, where it is another.
        """
        give = give or {}
        unconditional, plain = (None, None) if give else (self.unconditional, self.plain)
        asks = {"added": Predict(self.x if x is None else x, self.node, cond, give=give)}
        if self.null is not None and unconditional is None:
            asks["null"] = Predict(self.x, self.node, self.null, give=give)
        if self.guidance.emotion is not None and plain is None:
            asks["plain"] = Predict(self.x, self.node, self.cond, give=give)
        found = yield [*asks.values()]
        by: dict[str, Denoised] = dict(zip(asks, found, strict=True))
        return self.guidance.mixed(
            by["added"], by.get("null", unconditional), by.get("plain", plain)
        )

    def note(self, iteration: int, found: Evaluation | Judgement) -> None:
        """Record what was found at an iterate of this step, and tell the watchers."""
        self.trace.note(self.i, iteration, self.goal, found)
        self.tell(iteration, found)

    def evaluate(self, variation: Any, state: Tensors, **more: Any) -> Evaluate:
        """The ask for the loss under a variation's state, at the first iteration.

        Args:
            variation: what varies (`muse.core.asks.Variation`).
            state: its state; where that has a ``tolerance`` (1,), it is filled with the search's.
            more: other attributes of `Evaluate`.
        """
        if "tolerance" in state:
            ends = torch.full_like(state["tolerance"], self.tolerance)
            state = {**state, "tolerance": ends}
        given: dict[str, Any] = {
            "x": self.x,
            "node": self.node,
            "cond": self.cond,
            "unconditional": self.unconditional,
            "state": state,
            "goal": self.goal,
            "prompt": self.job.prompt,
            "step": self.i,
            "plain": None if self.guidance.emotion is None else self.plain,
            "variation": variation,
            "guidance": self.guidance,
            "pictured": self.pictured,
        }
        return Evaluate(**{**given, **more})


@dataclass(frozen=True)
class Steered:
    """What a steering returns for a step.

    Attributes:
        denoised: the guided prediction that the step is taken with.
        state: what the next steered step is given.
        x: a latent that stands at node `node`, where the steering has moved by itself: no step is
            taken then, the row goes on from there; None for most.
        node: that node, 0 to the number of steps.
        quiet: whether the look at this step found nothing to do: the next ones may rest
            (`Steering.follow`).

    Raises:
        MuseError: neither a prediction nor a latent with its node.
    """

    denoised: Denoised | None
    state: Tensors
    x: Tensor | None = None
    node: int | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.denoised is None and (self.x is None or self.node is None):
            raise MuseError(
                "A Steered without a prediction has moved by itself. Give it the latent `x`, and "
                "the `node` that this stands at."
            )


class Steering(nn.Module, ABC):
    """A way to lead the model to an emotion.

    State is a mapping of tensors with the row axis first; it goes in and comes out, and nothing
    about a row is kept here.
    """

    needs_plain: bool = False
    """Whether every steered step that is looked at shall come with its plain prediction: it shares
    a call with the unconditional one then."""

    needs_unconditional: bool = True
    """Whether it shall come with its unconditional prediction, where there is guidance; a steering
    that makes it anew, at another latent, needs none.
    """
    asks_guide: bool = True
    """Whether the guide has a say in the picture: tables star a judge that had."""

    reads_goal: bool = True
    """Whether it follows the goal, by the loss or by itself; one that doesn't can't be told to
    lessen an emotion (`muse.core.intensity`)."""

    scales_apart: bool = True
    """Whether what it adds to the plain prediction may have a scale of its own
    (`Guidance.emotion`); where not, that scale is not read, and no plain prediction made for it."""

    predicts: bool = True
    """Whether it returns predictions of the row's own latent; between those of another, to which it
    has moved by itself, and the plain ones no intensity can lie."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Refuse a class that was written for the contract before this one."""
        if "forward" in cls.__abstractmethods__ and hasattr(cls, "inject"):
            raise MuseError(
                f"{cls.__name__} subclasses Steering with init, inject and step, a contract that "
                "muse.steering.Optimization has now. Subclass that instead."
            )
        return super().__new__(cls)

    def check(self, backbone: Backbone, latents: LatentSource) -> None:
        """Refuse a backbone or a source of latents that this steering can't go with. By default all
        are fine.

        Raises:
            MuseError: such a part.
        """

    def prompts(self, job: Job) -> Sequence[str]:
        """Other prompts than the job's own that it has encoded (`Step.embed`); by default none. Who
        checks prompts before a run checks these too.
        """
        return ()

    def init(self, x: Tensor, cond: Cond, generator: torch.Generator) -> Tensors:
        """The state of one row (1, ...) when steering begins; by default none.

        Args:
            x: its latent.
            cond: its text condition.
            generator: its own random stream for steering, on the CPU.
        """
        return {}

    @abstractmethod
    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """Steer one step of one row.

        Args:
            step: where the row stands.
            state: what `init` or the last step returned.

        Returns:
            by the generator's return a `Steered`.
        """

    def follow(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """A step that rests: nothing is looked at, it goes on as the last look has left things. By
        default it is the plain model's.

        Args:
            step: where the row stands, without predictions but for those that timing or an
                intensity needed; `Step.guided` asks for the others at once.
            state: what the last step returned.
        """
        guidance = step.guidance
        if step.plain is not None and (step.unconditional is not None or step.null is None):
            return Steered(guidance.mixed(step.plain, step.unconditional), state)
        alone = replace(step, guidance=replace(guidance, emotion=None))
        return Steered((yield from alone.guided(step.cond)), state)
