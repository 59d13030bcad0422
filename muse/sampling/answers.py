"""The shared calls: the asks of many rows, answered by one pass through the parts each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from muse.backbones import Backbone
from muse.core.asks import Ask, Evaluate, Evaluation, Observation, Observe, Predict
from muse.core.types import (
    Denoised,
    Goal,
    LossTerms,
    Node,
    Reading,
    Rows,
    cat_rows,
    mix,
    split_rows,
)
from muse.guides import Guide, Similarity
from muse.losses import EmotionLoss
from muse.steering import Steering


class Answers(nn.Module):
    """The frozen parts, and the batched work on them.

    Args:
        backbone: the diffusion model.
        guide: the emotion classifier.
        steering: how S enters the model, and its optimiser.
        loss: what S minimises.
        similarity: of a picture to its prompt, or None where no part asks for it.
        guidance_scale: of classifier-free guidance, 1 for none.
        guided_x0: whether guide and similarity see the x0 of the guided mix, or that of the
            conditional prediction alone (Eq. 7 leaves it open).
        emotion_scale: of what S adds, or None for the paper's one scale.
    """

    def __init__(
        self,
        backbone: Backbone,
        guide: Guide,
        steering: Steering,
        loss: EmotionLoss,
        similarity: Similarity | None,
        guidance_scale: float,
        guided_x0: bool,
        emotion_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.guide = guide
        self.steering = steering
        self.loss = loss
        self.similarity = similarity
        self.guidance_scale = guidance_scale
        self.guided_x0 = guided_x0
        self.emotion_scale = emotion_scale
        self.eval().requires_grad_(False)

    @property
    def guides_prompt(self) -> bool:
        """Whether there is classifier-free guidance, and the negative prompt is read."""
        return self.guidance_scale != 1

    def guided(
        self, prediction: Denoised, unconditional: Denoised | None, plain: Denoised | None = None
    ) -> Denoised:
        """Classifier-free guidance of a prediction, with or without S. Given the `plain` one too,
        S alone acts at `emotion_scale`, on top of the guided plain prediction.
        """
        if plain is None or self.emotion_scale is None:
            return mix(prediction, unconditional, self.guidance_scale)
        base = mix(plain, unconditional, self.guidance_scale)
        return mix(prediction, plain, self.emotion_scale, base)

    def seen(
        self, prediction: Denoised, unconditional: Denoised | None, plain: Denoised | None = None
    ) -> Tensor:
        """The x0 that guide and similarity look at, (B, ...)."""
        shown = self.guided(prediction, unconditional, plain) if self.guided_x0 else prediction
        return shown.x0

    def forward(self, asks: Sequence[Ask]) -> list[Any]:
        """Answer asks in their order; those of equal kind and shape share one call."""
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for index, ask in enumerate(asks):
            groups[_kind(ask)].append(index)
        answers: list[Any] = [None] * len(asks)
        for indices in groups.values():
            group: list[Any] = [asks[index] for index in indices]
            for index, answer in zip(indices, self._answer(group), strict=True):
                answers[index] = answer
        return answers

    def _answer(self, group: list[Any]) -> Sequence[Any]:
        if isinstance(group[0], Predict):
            return self.predict(group)
        return self.observe(group) if isinstance(group[0], Observe) else self.evaluate(group)

    @torch.no_grad()
    def predict(self, asks: Sequence[Predict]) -> list[Denoised]:
        """One model call without gradient."""
        x = torch.cat([ask.x for ask in asks])
        node = Node.stack([ask.node for ask in asks])
        return _split(self.backbone.denoise(x, node, cat_rows([ask.cond for ask in asks])))

    @torch.no_grad()
    def observe(self, asks: Sequence[Observe]) -> list[Observation]:
        """One decoding, one look by guide and similarity."""
        decode = self.backbone.decode if asks[0].final else self.backbone.preview
        image = decode(torch.cat([ask.x0 for ask in asks]))
        prompts = [ask.prompt for ask in asks]
        similarity: list[Any] = [None] * len(asks)
        if self.similarity is not None:
            similarity = self.similarity(image, prompts).tolist()
        columns = image.split(1), self.guide.read(image).split(1), similarity
        return [Observation(*row) for row in zip(*columns, strict=True)]

    def evaluate(self, asks: Sequence[Evaluate]) -> list[Evaluation]:
        """One model call with gradient to the steering variable, and one optimiser step; no
        gradient where no row will step again.
        """
        x = torch.cat([ask.x for ask in asks])
        node = Node.stack([ask.node for ask in asks])
        cond = cat_rows([ask.cond for ask in asks])
        state = cat_rows([ask.state for ask in asks])
        goal = _stack_goals([ask.goal for ask in asks])
        unconditional = _join([ask.unconditional for ask in asks])
        plain = _join([ask.plain for ask in asks])
        stepping = not all(ask.last for ask in asks)
        names = self.steering.variables(state) if stepping else ()
        leaves = {name: state[name].detach().clone().requires_grad_() for name in names}
        with torch.set_grad_enabled(bool(names)):
            shown, extended = self.steering.inject(self.backbone, x, cond, {**state, **leaves})
            prediction = self.backbone.denoise(shown, node, extended)
            image = self.backbone.preview(self.seen(prediction, unconditional, plain))
            similarity = None
            if self.similarity is not None and self.loss.needs_similarity:
                similarity = self.similarity(image, [ask.prompt for ask in asks])
            reading = Reading(self.guide.read(image), similarity)
            loss = self.loss(reading, goal)
            summed = loss.total.sum()  # rows are independent: each gets its own gradient
        slopes = torch.autograd.grad(summed, list(leaves.values())) if names else ()
        gradient = dict(zip(names, slopes, strict=True))
        return self._evaluations(asks, prediction, reading, loss, gradient, state)

    @torch.no_grad()
    def _evaluations(
        self,
        asks: Sequence[Evaluate],
        prediction: Denoised,
        reading: Reading,
        loss: LossTerms,
        gradient: Rows,
        state: Rows,
    ) -> list[Evaluation]:
        finite = _finite(prediction.x0) & _finite(prediction.eps) & loss.total.isfinite()
        steppable, proposal = torch.zeros_like(finite), state
        if gradient:
            steppable = torch.stack([finite, *map(_finite, gradient.values())]).all(0)
            i = torch.tensor([ask.step for ask in asks], device=finite.device)
            k = torch.tensor([ask.iteration for ask in asks], device=finite.device)
            proposal = self.steering.step(state, gradient, i, k)
        columns = zip(
            asks,
            _split(prediction),
            split_rows(proposal, len(asks)),
            loss.total.tolist(),
            zip(*(term.tolist() for term in loss.terms.values()), strict=True),
            reading.logits.softmax(-1).tolist(),
            finite.tolist(),
            steppable.tolist(),
            strict=True,
        )
        return [
            Evaluation(one, ask.state, new, total, dict(zip(loss.terms, terms, strict=True)), *rest)
            for ask, one, new, total, terms, *rest in columns
        ]


def _kind(ask: Ask) -> Hashable:
    if isinstance(ask, Observe):
        return Observe, ask.x0.shape, ask.final
    shapes = tuple((name, value.shape) for name, value in ask.cond.items())
    return type(ask), ask.x.shape, shapes


def _split(denoised: Denoised) -> list[Denoised]:
    x0, eps = denoised.x0.detach().split(1), denoised.eps.detach().split(1)
    return [Denoised(*row) for row in zip(x0, eps, strict=True)]


def _join(rows: Sequence[Denoised | None]) -> Denoised | None:
    given = [row for row in rows if row is not None]
    if not given:
        return None
    return Denoised(torch.cat([r.x0 for r in given]), torch.cat([r.eps for r in given]))


def _stack_goals(goals: Sequence[Goal]) -> Goal:
    similarity = [goal.similarity for goal in goals if goal.similarity is not None]
    return Goal(
        torch.cat([goal.target for goal in goals]),
        torch.cat([goal.inherent for goal in goals]),
        torch.cat(similarity) if similarity else None,
    )


def _finite(value: Tensor) -> Tensor:
    return value.detach().flatten(1).isfinite().all(1)
