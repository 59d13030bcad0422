"""What a text encoder can't read in a prompt: words outside a small vocabulary, its end where it is
too long, and the marks of programs that give words a weight.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Mapping
from typing import Any

SMALL = 2000
"""A vocabulary of fewer tokens is taken for one of whole words, as muse-mini's is: a word that
falls into pieces was never seen in training. Larger ones spell any word out of pieces."""

NUMBER = r"[-+]?(?:\d*\.\d+|\d+)"
MARKS = re.compile(
    rf"(?<!\\)\([^()]*[^\d\s()]\s*:\s*{NUMBER}\s*\)"  # (dog:1.3); not (16:9), nor (at 12:30)
    r"|<(?:lora|lyco|hypernet):[^<>]+>",
    re.IGNORECASE,
)
"""What other programs read as a weight, or as a file to load."""


def unread_marks(prompt: str) -> list[str]:
    """A line about weights and LoRAs in `prompt`, which are no part of its text elsewhere; none
    where there are none.
    """
    marks = dict.fromkeys(MARKS.findall(prompt))
    if not marks:
        return []
    told = textwrap.shorten(", ".join(map(repr, marks)), 120, placeholder=" ...")
    shown = textwrap.shorten(prompt, 60, placeholder=" ...")
    return [
        f"Prompt {shown!r}: {told} is read as text, marks and all: there are no weights and no "
        "LoRAs in a prompt here. Write the words alone; the backbone's options weighting and lora "
        "are for those."
    ]


def unknown_words(tokenizer: Any, prompt: str) -> dict[str, list[str]]:
    """The words of `prompt` that a small vocabulary lacks, each with the nearest ones it has, best
    first; nothing for a large vocabulary.

    Args:
        tokenizer: CLIP's, of transformers.
        prompt: any text.
    """
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) >= SMALL:
        return {}
    ends = [token.removesuffix("</w>") for token in vocabulary if token.endswith("</w>")]
    known = sorted(word for word in ends if len(word) > 1 and word.isalpha())
    special = set(tokenizer.all_special_tokens)
    for learned in sorted(tokenizer.get_added_vocab().keys() - special, key=len, reverse=True):
        prompt = prompt.replace(learned, " ")
    words = dict.fromkeys(re.findall(r"[^\W\d_]+", prompt.lower()))
    missing = [word for word in words if len(tokenizer.tokenize(word)) > 1]
    return {word: difflib.get_close_matches(word, known, n=3) for word in missing}


def room(tokenizer: Any, context: int) -> int:
    """How many tokens of a text fit into a context of so many: its special ones take their places
    there.
    """
    return context - int(tokenizer.num_special_tokens_to_add())


def cut_off(tokenizer: Any, text: str, context: int) -> str:
    """The end of `text` that doesn't fit into a context in tokens, as its tokens spell it.

    Args:
        tokenizer: any of transformers.
        text: as the encoder reads it.
        context: how many tokens the encoder reads, special ones among them.
    """
    tokens = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return str(tokenizer.decode(tokens[room(tokenizer, context) :])).strip()


def unknown_remarks(tokenizer: Any, prompt: str) -> list[str]:
    """A line about the words of `prompt` that a small vocabulary lacks, where there are any."""
    told = [
        f"{word!r} (nearest: {', '.join(near)})" if near else f"{word!r} (nothing is near)"
        for word, near in unknown_words(tokenizer, prompt).items()
    ]
    shown = textwrap.shorten(prompt, 60, placeholder=" ...")
    line = f"Prompt {shown!r}: the model doesn't know {', '.join(told)}, and may draw anything."
    return [line] if told else []


def remarks(tokenizer: Any, prompt: str) -> list[str]:
    """What a person should know about how `prompt` is read, in a line each."""
    name = f"Prompt {textwrap.shorten(prompt, 60, placeholder=' ...')!r}"
    lines = unread_marks(prompt) + unknown_remarks(tokenizer, prompt)
    context: int = tokenizer.model_max_length
    rest = cut_off(tokenizer, prompt, context)
    if rest:
        shown = textwrap.shorten(rest, 60, placeholder=" ...")
        lines.append(
            f"{name} is too long: the model reads {room(tokenizer, context)} tokens of it, and not "
            f"{shown!r}."
        )
    return lines


def cut_offs(prompt: str, readers: Mapping[str, tuple[Any, int]]) -> list[str]:
    """What each of several encoders leaves out of `prompt`, in one line, and none where all of them
    read it whole; before it one about weights and LoRAs (`unread_marks`).

    Args:
        prompt: any text.
        readers: tokenizer and context in tokens of each encoder, by name.
    """
    rests = {
        name: cut_off(tokenizer, prompt, context) for name, (tokenizer, context) in readers.items()
    }
    lines, told = unread_marks(prompt), list[str]()
    if not any(rests.values()):
        return lines
    for name, reader in readers.items():
        shown = textwrap.shorten(rests[name], 60, placeholder=" ...")
        part = f"{room(*reader)} tokens, and not {shown!r}" if shown else "it whole"
        told.append(f"{name} reads {part}")
    shown = textwrap.shorten(prompt, 60, placeholder=" ...")
    return [*lines, f"Prompt {shown!r}: {'; '.join(told)}."]
