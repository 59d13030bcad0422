"""The shared calls: the asks of many rows, answered by one pass through the parts each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from muse.backbones import Backbone
from muse.core.asks import (
    Ask,
    Evaluate,
    Evaluation,
    Judge,
    Judgement,
    Match,
    Matched,
    Observation,
    Observe,
    Predict,
    Unroll,
    Unrolled,
    Variation,
)
from muse.core.frames import Frame
from muse.core.types import (
    Cond,
    Denoised,
    Goal,
    LossTerms,
    Node,
    Reading,
    Tensors,
    cat_rows,
    split_rows,
)
from muse.guides import Guide, Similarity
from muse.losses import EmotionLoss
from muse.pretrained.clip import pictures_read_once
from muse.sampling.stacking import (
    framed,
    is_finite,
    join_denoised,
    kind_of,
    repeat_goals,
    seen_by_rows,
    smoothed,
    split_denoised,
    stack_goals,
)
from muse.steering import Optimization, Steering


class Answers(nn.Module):
    """The parts that rows share, and the batched work on them.

    Args:
        backbone: the diffusion model.
        guide: the emotion classifier.
        steering: what varies in an `Evaluate` that names nothing else.
        loss: what is minimised.
        similarity: of a picture to its prompt, or None where no part asks for it.
    """

    def __init__(
        self,
        backbone: Backbone,
        guide: Guide,
        steering: Steering,
        loss: EmotionLoss,
        similarity: Similarity | None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.guide = guide
        self.steering = steering
        self.loss = loss
        self.similarity = similarity

    def forward(self, asks: Sequence[Ask]) -> list[Any]:
        """Answer asks in their order; those of equal kind and shape share one call."""
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for index, ask in enumerate(asks):
            groups[kind_of(ask)].append(index)
        answers: list[Any] = [None] * len(asks)
        for indices in groups.values():
            group: list[Any] = [asks[index] for index in indices]
            for index, answer in zip(indices, self._answer(group), strict=True):
                answers[index] = answer
        return answers

    def _answer(self, group: list[Any]) -> Sequence[Any]:
        by: dict[type, Callable[[list[Any]], Sequence[Any]]] = {
            Predict: self.predict,
            Observe: self.observe,
            Evaluate: self.evaluate,
            Judge: self.judge,
            Unroll: self.unroll,
            Match: self.match,
        }
        return by[type(group[0])](group)

    @torch.no_grad()
    def predict(self, asks: Sequence[Predict]) -> list[Any]:
        """One model call without gradient."""
        x = torch.cat([ask.x for ask in asks])
        node = Node.stack([ask.node for ask in asks])
        cond: Cond = cat_rows([ask.cond for ask in asks])
        take = asks[0].take
        if not take and not asks[0].give:
            return split_denoised(self.backbone.denoise(x, node, cond))
        give = cat_rows([ask.give for ask in asks])
        denoised, taken = self.backbone.denoise_with(x, node, cond, take, give)
        if not take:
            return split_denoised(denoised)
        return list(zip(split_denoised(denoised), split_rows(taken, len(asks)), strict=True))

    @torch.no_grad()
    def observe(self, asks: Sequence[Observe]) -> list[Observation]:
        """One decoding, one look by guide and similarity, as far as somebody reads them."""
        decode = self.backbone.decode if asks[0].final else self.backbone.preview
        frames = [ask.frame for ask in asks]
        image = decode(framed(Frame.around, torch.cat([ask.x0 for ask in asks]), frames))
        if asks[0].final:
            image = framed(Frame.composited, image, frames)
        shown = framed(Frame.shown, image, frames)
        named = [index for index, ask in enumerate(asks) if ask.logits]
        compared = [index for index, ask in enumerate(asks) if ask.similarity]
        logits: dict[int, Tensor] = {}
        similarity: dict[int, float] = {}
        with pictures_read_once():
            if compared and self.similarity is not None:
                found = self._compared(_some(shown, compared), [asks[i].prompt for i in compared])
                similarity = dict(zip(compared, found.tolist(), strict=True))
            if named:
                read = self.guide.read(_some(shown, named))
                logits = dict(zip(named, read.split(1), strict=True))
        return [
            Observation(one, logits.get(index), similarity.get(index))
            for index, one in enumerate(image.split(1))
        ]

    def look(
        self, x0: Tensor, asks: Sequence[Evaluate | Judge | Unroll]
    ) -> tuple[Tensor, Reading, LossTerms]:
        """Clean latents as they are previewed, in their frames; what guide and, where the loss
        reads it, similarity see in the pictures; and the loss, a smoothed one where the asks have
        noises (`muse.core.asks.Evaluate`).
        """
        prompts, frames = [ask.prompt for ask in asks], [ask.frame for ask in asks]
        goal = stack_goals([ask.goal for ask in asks])
        noises = [ask.noise for ask in asks if not isinstance(ask, Unroll)]
        added = [noise for noise in noises if noise is not None]
        if not added:
            image = self.backbone.preview(framed(Frame.around, x0, frames))
            return image, *self._judged(framed(Frame.shown, image, frames), prompts, goal)
        noise = torch.cat(added).to(x0)
        times = noise.shape[1]
        frames = [frame for frame in frames for _ in range(times)]
        near = (x0[:, None] + noise).flatten(0, 1)
        image = self.backbone.preview(framed(Frame.around, near, frames))
        repeated = [prompt for prompt in prompts for _ in range(times)]
        shown = framed(Frame.shown, image, frames)
        reading, loss = self._judged(shown, repeated, repeat_goals(goal, times))
        return image[::times], *smoothed(reading, loss, times)

    def _judged(
        self, image: Tensor, prompts: Sequence[str], goal: Goal
    ) -> tuple[Reading, LossTerms]:
        with pictures_read_once():
            similarity = None
            if self.similarity is not None and self.loss.needs_similarity:
                similarity = self._compared(image, prompts)
            reading = Reading(self.guide.read(image), similarity)
        return reading, self.loss(reading, goal)

    def _compared(self, image: Tensor, prompts: Sequence[str]) -> Tensor:
        """The similarity of pictures to their prompts' words, (B,)."""
        assert self.similarity is not None
        found: Tensor = self.similarity(image, [self.backbone.words(one) for one in prompts])
        return found

    def evaluate(self, asks: Sequence[Evaluate]) -> list[Evaluation]:
        """One model call with gradient to what varies (two, where the unconditional branch varies
        with it), and one step; where no gradient is wanted, none of it.
        """
        x = torch.cat([ask.x for ask in asks])
        node = Node.stack([ask.node for ask in asks])
        cond = cat_rows([ask.cond for ask in asks])
        state = cat_rows([ask.state for ask in asks])
        unconditional = join_denoised([ask.unconditional for ask in asks])
        plain = join_denoised([ask.plain for ask in asks])
        variation = self._variation(asks)
        names = variation.variables(state) if asks[0].gradient else ()
        leaves = {name: state[name].detach().clone().requires_grad_() for name in names}
        with torch.set_grad_enabled(bool(names)):
            shown, extended = variation.inject(self.backbone, x, cond, {**state, **leaves})
            prediction = self.backbone.denoise(shown, node, extended)
            nulls = [ask.null for ask in asks if ask.null is not None]
            if nulls:
                unconditional = self.backbone.denoise(shown, node, cat_rows(nulls))
            guidances = [ask.guidance for ask in asks]
            seen_x0 = seen_by_rows(guidances, prediction, unconditional, plain)
            image, reading, loss = self.look(seen_x0, asks)
            summed = loss.total.sum()  # rows are independent: each gets its own gradient
        slopes = torch.autograd.grad(summed, list(leaves.values())) if names else ()
        gradient = dict(zip(names, slopes, strict=True))
        anew, seen = unconditional if nulls else None, (image.detach(), reading, loss)
        return self._evaluations(asks, prediction, anew, *seen, gradient, state)

    @torch.no_grad()
    def _evaluations(
        self,
        asks: Sequence[Evaluate],
        prediction: Denoised,
        unconditional: Denoised | None,
        image: Tensor,
        reading: Reading,
        loss: LossTerms,
        gradient: Tensors,
        state: Tensors,
    ) -> list[Evaluation]:
        """What was found, row by row, as numbers."""
        finite = is_finite(prediction.x0, prediction.eps, loss.total[:, None])
        steppable, proposal = self._step(asks, state, gradient, loss.total, finite)
        predictions, proposals = split_denoised(prediction), split_rows(proposal, len(asks))
        numbers, slopes = judged(reading, loss), split_rows(gradient, len(asks))
        sound, steps = finite.tolist(), steppable.tolist()
        anew = [None] * len(asks) if unconditional is None else split_denoised(unconditional)
        return [
            Evaluation(
                predictions[b],
                ask.state,
                proposals[b],
                *numbers[b],
                sound[b],
                steps[b],
                slopes[b],
                anew[b],
                image[b : b + 1] if ask.pictured else None,
                steps[b] and self._tries(asks, proposals[b]),
            )
            for b, ask in enumerate(asks)
        ]

    def _step(
        self,
        asks: Sequence[Evaluate],
        state: Tensors,
        gradient: Tensors,
        loss: Tensor,
        finite: Tensor,
    ) -> tuple[Tensor, Tensors]:
        """Which rows can go on, (B,), and where to."""
        variation = self._variation(asks)
        if not asks[0].gradient:
            trials = finite & finite.new_tensor([ask.trial for ask in asks])
            if isinstance(variation, Optimization) and bool(trials.any()):
                return trials, variation.tried(state, loss)
            return trials, state
        i = torch.tensor([ask.step for ask in asks], device=finite.device)
        k = torch.tensor([ask.iteration for ask in asks], device=finite.device)
        steppable = torch.stack([finite, *map(is_finite, gradient.values())]).all(0)
        return steppable, variation.step(state, gradient, loss, i, k)

    def _tries(self, asks: Sequence[Evaluate], proposal: Tensors) -> bool:
        variation = self._variation(asks)
        return isinstance(variation, Optimization) and variation.tries(proposal)

    def _variation(self, asks: Sequence[Evaluate]) -> Variation:
        found: Any = asks[0].variation or self.steering
        return cast(Variation, found)

    def judge(self, asks: Sequence[Judge]) -> list[Judgement]:
        """One decoding with gradient, one look."""
        x0 = torch.cat([ask.x0 for ask in asks]).detach().requires_grad_()
        with torch.enable_grad():
            _, reading, loss = self.look(x0, asks)
            [gradient] = torch.autograd.grad(loss.total.sum(), [x0])
        return judgements(reading, loss, gradient)

    def unroll(self, asks: Sequence[Unroll]) -> list[Unrolled]:
        """As many model calls as there are steps, each made again on the way back."""
        guidance, wanted = asks[0].guidance, asks[0].gradient
        cond = cat_rows([ask.cond for ask in asks])
        nulls = [ask.null for ask in asks if ask.null is not None]
        null = cat_rows(nulls) if nulls else None

        def advance(x: Tensor, here: Node, there: Node) -> Tensor:
            unconditional = None if null is None else self.backbone.denoise(x, here, null)
            mixed = guidance.mixed(self.backbone.denoise(x, here, cond), unconditional)
            return mixed.at(there.alpha, there.sigma)

        start = torch.cat([ask.x for ask in asks]).detach().requires_grad_(wanted)
        ways = zip(*(ask.nodes for ask in asks), strict=True)
        nodes = [Node.stack(step) for step in ways]
        with torch.set_grad_enabled(wanted):
            x = start
            for here, there in pairwise(nodes):
                if wanted:
                    x = checkpoint(advance, x, here, there, use_reentrant=False)
                else:
                    x = advance(x, here, there)
            _, reading, loss = self.look(x, asks)
            gradient = torch.zeros_like(start)
            if wanted:
                [gradient] = torch.autograd.grad(loss.total.sum(), [start])
        each = zip(x.detach().split(1), judgements(reading, loss, gradient), strict=True)
        return [Unrolled(*row) for row in each]

    def match(self, asks: Sequence[Match]) -> list[Matched]:
        """One model call with gradient to the condition's tokens, and no decoding."""
        x, wanted = torch.cat([ask.x for ask in asks]), torch.cat([ask.wanted for ask in asks])
        node, there = (
            Node.stack(nodes) for nodes in zip(*((a.node, a.there) for a in asks), strict=True)
        )
        cond = cat_rows([ask.cond for ask in asks])
        tokens = cond["tokens"].detach().clone().requires_grad_()
        with torch.enable_grad():
            denoised = self.backbone.denoise(x, node, {**cond, "tokens": tokens})
            off = (denoised.at(there.alpha, there.sigma) - wanted).square().flatten(1)
            # Of the sum, not the mean: that could be too small for half precision.
            [slope] = torch.autograd.grad(off.sum(), [tokens])
        wide = torch.promote_types(slope.dtype, torch.float32)
        gradient = (slope.to(wide) / off.shape[1]).split(1)
        return [Matched(*row) for row in zip(off.detach().mean(1).tolist(), gradient, strict=True)]


def judged(reading: Reading, loss: LossTerms) -> list[tuple[float, dict[str, float], list[float]]]:
    """Of each row the total, the terms by name and the emotions' probabilities, as numbers."""
    terms = zip(*(term.tolist() for term in loss.terms.values()), strict=True)
    named = [dict(zip(loss.terms, row, strict=True)) for row in terms]
    probabilities = reading.logits.detach().softmax(-1).tolist()
    return list(zip(loss.total.tolist(), named, probabilities, strict=True))


def judgements(reading: Reading, loss: LossTerms, gradient: Tensor) -> list[Judgement]:
    """Of each row how the loss sees it, with the gradient (B, ...)."""
    finite = is_finite(loss.total[:, None], gradient).tolist()
    each = zip(judged(reading, loss), gradient.detach().split(1), finite, strict=True)
    return [Judgement(*numbers, slope, sound) for numbers, slope, sound in each]


def _some(rows: Tensor, indices: Sequence[int]) -> Tensor:
    """These rows; `rows` itself, and no copy, where they are all."""
    return rows if len(indices) == len(rows) else rows[list(indices)]
