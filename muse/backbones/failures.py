"""What diffusers raises while it loads, told in a line that says what to do."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from muse.core.memory import is_out_of_memory
from muse.core.types import MuseError
from muse.pretrained.variants import variant_of
from muse.pretrained.weights import UNREADABLE, reason_of

UNLOADABLE = (*UNREADABLE, ImportError, ValueError)
"""What diffusers raises of a model that isn't there, or isn't complete."""
NEEDED = re.compile(r"(?:pip\s+install|sure to install)\s+([\w.-]+)")
"""What diffusers says of a package that a class of its own needs, and that isn't there."""


@contextmanager
def told(cls: Any, pretrained: str, *more: type[Exception]) -> Iterator[None]:
    """What loading raises, in one line. Nothing but a call of diffusers goes inside, so that a bug
    of ours is never told as a user's mistake.

    Args:
        cls: the pipeline's class.
        pretrained: the folder, hub id or file, as it was given.
        more: what else the call may raise.

    Raises:
        MuseError: it failed.
    """
    expected: tuple[type[Exception], ...] = (*UNLOADABLE, *more)
    try:
        yield
    except expected as error:
        if is_out_of_memory(error):
            raise
        raise MuseError(_reason(cls, pretrained, error)) from error


def _reason(cls: Any, pretrained: str, error: Exception) -> str:
    said = str(error)
    if "tiktoken" in said:  # what transformers tries last where sentencepiece isn't there
        return (
            f"The tokenizer of {pretrained!r} needs sentencepiece and protobuf. Install them: "
            "pip install 'muse-emotion[large]'."
        )
    packages = " ".join(dict.fromkeys(NEEDED.findall(said)))
    if isinstance(error, ImportError) and packages:
        return _lacking(pretrained, said, packages)
    found = [variant_of(file) for file in re.findall(r"([^/']+\.safetensors)'", said)]
    variants = sorted({variant for variant in found if variant})
    if said.startswith("Could not find the necessary") and variants:
        return f"{pretrained!r} has weights of the variant {' and '.join(variants)} alone. " + (
            f"Choose it by variant: {variants[0]}."
        )
    return (
        f"No {cls.__name__} under {pretrained!r} ({short(error)}). Give a folder of the "
        "diffusers layout with safetensors weights (others would have to be unpickled), a hub "
        "id (needs the network once), or a .safetensors file with its `config`."
    )


def _lacking(pretrained: str, said: str, packages: str) -> str:
    """What to do about a class of diffusers that needs packages."""
    match = re.match(r"\s*(\w+) requires", said)
    name = match[1] if match else "scheduler"
    told = f"The {name} of {pretrained!r} needs what isn't installed: pip install {packages}."
    if name.lower().endswith("scheduler"):
        told += (
            " Or save the pipeline with a scheduler that needs nothing more, such as DDIMScheduler "
            "(for flow models FlowMatchEulerDiscreteScheduler)."
        )
    return told


def short(error: BaseException) -> str:
    """Why it failed, as much as fits into a line."""
    return textwrap.shorten(reason_of(error), 250, placeholder=" ...")
