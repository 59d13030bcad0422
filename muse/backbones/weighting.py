r"""Prompts with weights, as A1111's web UI writes them, and prompts longer than CLIP's context, by
compel.

===========  ====================================
written      weight of the words
===========  ====================================
(dog)        1.1; ((dog)) 1.21
[dog]        1 / 1.1
(dog:1.3)    1.3
BREAK        the text goes on in a new piece
\\(dog\\)    1: with a backslash brackets are text
===========  ====================================

What a weight does is compel's: above 1, :math:`z_0 + w\,(z - z_0)` with z the token's embedding and
:math:`z_0` that of the empty prompt at its place; below 1 the embeddings are led towards those of
the prompt in which the words are masked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from muse.core.types import MuseError

ROUND, SQUARE = 1.1, 1 / 1.1
"""What a bracket multiplies the weight by."""
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
PIECE = re.compile(
    rf"\\[\\()\[\]]|[(\[\])]|:\s*{NUMBER}\s*\)|\bBREAK\b|[^\\()\[\]:B]+|.", re.DOTALL
)
"""An escaped bracket, a bracket, the end of a weight, a break, or text."""


@dataclass
class Fragments:
    """Texts and their weights, one after the other: a piece of a prompt.

    Attributes:
        texts: none empty.
        weights: of each.
    """

    texts: list[str] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, text: str, weight: float = 1.0) -> None:
        """Append a text; one of the same weight as the last is joined to it."""
        if self.texts and self.weights[-1] == weight:
            self.texts[-1] += text
        elif text:
            self.texts.append(text)
            self.weights.append(weight)


def read_weights(prompt: str) -> list[Fragments]:
    r"""A prompt's pieces, which ``BREAK`` parts, as texts and weights. A bracket that isn't closed
    counts to the end; one that was never opened is text.

    Args:
        prompt: as A1111's web UI reads it, but for its prompt editing (``[from:to:when]``).
    """
    pieces, open_at = [Fragments()], list[tuple[str, int]]()
    # One weight for each text, so that a bracket can multiply those that stand in it.
    for match in PIECE.finditer(prompt):
        piece, here = match[0], pieces[-1]
        if piece in "([":
            open_at.append((piece, len(here.texts)))
        elif piece == "BREAK":
            pieces.append(Fragments())
            open_at = [(bracket, 0) for bracket, _ in open_at]
        elif piece == ")" and open_at and open_at[-1][0] == "(":
            _multiply(here, open_at.pop()[1], ROUND)
        elif piece == "]" and open_at and open_at[-1][0] == "[":
            _multiply(here, open_at.pop()[1], SQUARE)
        elif piece[0] == ":" and piece[-1] == ")" and open_at and open_at[-1][0] == "(":
            _multiply(here, open_at.pop()[1], float(piece[1:-1]))
        else:
            escaped = piece[0] == "\\" and len(piece) == 2
            here.texts.append(piece[1:] if escaped else piece)
            here.weights.append(1.0)
    while open_at:
        bracket, place = open_at.pop()
        _multiply(pieces[-1], place, ROUND if bracket == "(" else SQUARE)
    return [_joined(piece) for piece in pieces]


def _multiply(piece: Fragments, first: int, by: float) -> None:
    piece.weights[first:] = [weight * by for weight in piece.weights[first:]]


def _joined(piece: Fragments) -> Fragments:
    """Neighbours of one weight as one text, so that words are read whole."""
    joined = Fragments()
    for text, weight in zip(piece.texts, piece.weights, strict=True):
        joined.add(text, weight)
    return joined


def plain_text(prompt: str) -> str:
    """A prompt without its marks."""
    return " ".join("".join(piece.texts) for piece in read_weights(prompt))


class Weighting:
    """Encodes prompts with weights by compel.

    Args:
        inner: whether the last but one layer's states are the embeddings, unnormalised, as in SDXL.

    Raises:
        MuseError: compel isn't installed.
    """

    def __init__(self, inner: bool = False) -> None:
        try:
            import compel
        except ImportError as error:
            raise MuseError(
                "weighting: compel needs what isn't installed: pip install "
                "'muse-emotion[weighting]'."
            ) from error
        self.compel: Any = compel
        kinds = compel.ReturnedEmbeddingsType
        self.kind: Any = kinds.LAST_HIDDEN_STATES_NORMALIZED
        if inner:
            self.kind = kinds.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED

    def tokens(
        self, pipeline: Any, prompts: Sequence[str], device: torch.device, ending: str = ""
    ) -> Tensor:
        """Embeddings (B, n L, d) of B prompts by one text encoder, in n pieces of its context of L
        tokens: as many as the longest prompt has, the others' filled up by the empty prompt.

        Args:
            pipeline: of diffusers, with its text encoders where they shall encode.
            prompts: B texts with marks.
            device: where the encoder is.
            ending: of the names of tokenizer and encoder, such as ``_2``.
        """
        provider = self._provider(pipeline, device, ending)
        rows = [
            [self._piece(pipeline, provider, piece, device) for piece in read_weights(prompt)]
            for prompt in prompts
        ]
        found = [torch.cat(row, dim=1) for row in rows]
        longest, empty = max(row.shape[1] for row in found), provider.empty_z
        return torch.cat(
            [
                torch.cat([row, *[empty.to(row)] * ((longest - row.shape[1]) // empty.shape[1])], 1)
                for row in found
            ]
        )

    def pooled(
        self, pipeline: Any, prompts: Sequence[str], device: torch.device, ending: str
    ) -> Tensor:
        """The pooled vectors (B, p) of B prompts without their marks, up to the context's end: they
        have no tokens that a weight could act on.
        """
        provider = self._provider(pipeline, device, ending)
        texts = [_spelled(pipeline, provider, plain_text(prompt)) for prompt in prompts]
        found: Tensor = provider.get_pooled_embeddings(texts, device=device)
        return found

    def _piece(
        self, pipeline: Any, provider: Any, piece: Fragments, device: torch.device
    ) -> Tensor:
        texts = [_spelled(pipeline, provider, text) for text in piece.texts]
        found: Tensor = provider.get_embeddings_for_weighted_prompt_fragments(
            [texts or [""]], [piece.weights or [1.0]], device=device
        )
        return found

    def _provider(self, pipeline: Any, device: torch.device, ending: str) -> Any:
        """Compel's encoder, made anew: text encoders may have moved."""
        found = self.compel.Compel(
            tokenizer=getattr(pipeline, f"tokenizer{ending}"),
            text_encoder=getattr(pipeline, f"text_encoder{ending}"),
            truncate_long_prompts=False,
            returned_embeddings_type=self.kind,
            device=str(device),
        )
        return found.conditioning_provider


def _spelled(pipeline: Any, provider: Any, text: str) -> str:
    """A text with a textual inversion's word spelled by all of its tokens."""
    return str(pipeline.maybe_convert_prompt(text, provider.tokenizer))
