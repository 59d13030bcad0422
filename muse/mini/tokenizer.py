"""A CLIP tokenizer with a small vocabulary: every caption word is one token.

It is byte-level BPE as CLIP's, so any other word still encodes, in pieces.
"""

import itertools
from pathlib import Path

from transformers import CLIPTokenizer

from muse.mini.captions import vocabulary

CONTEXT = 24
"""Tokens of a prompt, start and end included."""


def _alphabet() -> list[str]:
    """GPT-2's 256 printable stand-ins for bytes, in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def _split(word: str, merges: list[tuple[str, str]]) -> list[str]:
    """Byte-pair encoding: joins the neighbours of the earliest merge until none applies."""
    pieces = [*word[:-1], word[-1] + "</w>"]
    while True:
        pairs = [pair for pair in itertools.pairwise(pieces) if pair in merges]
        if not pairs:
            return pieces
        best = min(pairs, key=merges.index)
        at = list(itertools.pairwise(pieces)).index(best)
        pieces[at : at + 2] = ["".join(best)]


def _merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Merges that make one token of every word.

    Each word joins what the merges before it leave apart; later merges have less priority, so
    they can't break an earlier word.
    """
    merges: list[tuple[str, str]] = []
    for word in words:
        left, *rest = _split(word, merges)
        for right in rest:
            merges.append((left, right))
            left += right
    return merges


def save_tokenizer(folder: str | Path) -> CLIPTokenizer:
    """Builds the tokenizer of this world's captions and saves it.

    Args:
        folder: where it goes; `CLIPTokenizer.from_pretrained(folder)` reads it.
    """
    letters, merges = _alphabet(), _merges(vocabulary())
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,
        model_max_length=CONTEXT,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
