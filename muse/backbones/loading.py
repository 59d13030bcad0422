"""Loading what diffusers saved: whole pipelines, and tiny autoencoders."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

import torch
from diffusers import AutoencoderTiny, DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.utils import is_accelerate_available
from safetensors import safe_open

from muse.memory import is_out_of_memory
from muse.types import MuseError
from muse.weights import UNREADABLE, locate, reason_of

UNLOADABLE = (*UNREADABLE, ImportError, ValueError)
"""What diffusers raises of a model that isn't there, or isn't complete."""
UNCONVERTIBLE = (SingleFileComponentError, IndexError, KeyError)
"""What its converters trip over in a single file of another model."""
TEXT = ("cond_stage_model.", "conditioner.", "text_encoders.")
"""What the names of text encoders' weights begin with in single files."""
AUTOENCODER = ("first_stage_model.", "vae.")
"""And those of the autoencoder's."""
VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model")
"""Files that a tokenizer's folder has one of."""


def load_pipeline(
    cls: type[DiffusionPipeline],
    pretrained: str,
    dtype: torch.dtype,
    config: str | None = None,
    denoiser: str = "unet",
    **options: Any,
) -> Any:
    """Load a diffusers pipeline of class `cls` from a folder, a hub id or a single file.

    A file without text encoders holds the denoiser, and perhaps the autoencoder: these are taken
    from it, and all else from `config`.

    Args:
        cls: the pipeline's class.
        pretrained: the folder, hub id, ``.safetensors`` file or packaged name.
        dtype: of the weights.
        config: the folder or hub id that a single file goes with.
        denoiser: the name of the component that denoises.
        options: for diffusers' loading, such as components to leave out.

    Raises:
        MuseError: nothing loadable under that name, a pipeline of another class, a component that
            is missing, or weights that only unpickling would read.
    """
    path = locate(pretrained)
    if Path(path).is_file():
        return _load_single_file(cls, pretrained, path, dtype, config, denoiser, options)
    if config is not None:
        raise MuseError(
            f"config = {config!r} goes with a single file, and {pretrained!r} is none, or "
            "isn't there. Leave it out, or give the path of a .safetensors file."
        )
    _check_index(cls, pretrained, path, options)
    with _told(cls, pretrained):
        return cls.from_pretrained(path, **_common(dtype), **options)


def load_tiny(name: str, dtype: torch.dtype) -> Any:
    """Load an `AutoencoderTiny` from a folder, a hub id or a packaged name.

    Raises:
        MuseError: there is none under that name.
    """
    path = locate(name)
    try:
        kind = AutoencoderTiny.load_config(path).get("_class_name")
        if kind != "AutoencoderTiny":
            raise ValueError(f"it is of class {kind}")
        return AutoencoderTiny.from_pretrained(path, **_common(dtype))
    except UNLOADABLE as error:
        raise MuseError(
            f"No AutoencoderTiny under {name!r} ({_short(error)}). Give a folder with safetensors "
            "weights, or a hub id such as 'madebyollin/taesd' (needs the network once)."
        ) from error


@contextmanager
def _told(cls: Any, pretrained: str, *more: type[Exception]) -> Iterator[None]:
    """What loading raises, in one line. Nothing but a call of diffusers goes inside, so that a bug
    of ours is never told as a user's mistake.
    """
    expected: tuple[type[Exception], ...] = (*UNLOADABLE, *more)
    try:
        yield
    except expected as error:
        if is_out_of_memory(error):
            raise
        if "tiktoken" in str(error):  # what transformers tries last where sentencepiece isn't there
            raise MuseError(
                f"The tokenizer of {pretrained!r} needs sentencepiece and protobuf. Install them: "
                "pip install 'muse-emotion[large]'."
            ) from error
        raise MuseError(
            f"No {cls.__name__} under {pretrained!r} ({_short(error)}). Give a folder of the "
            "diffusers layout with safetensors weights (others would have to be unpickled), a hub "
            "id (needs the network once), or a .safetensors file with its `config`."
        ) from error


def _common(dtype: torch.dtype) -> dict[str, Any]:
    return {
        "torch_dtype": dtype,
        "use_safetensors": True,
        "low_cpu_mem_usage": is_accelerate_available(),
    }


def _load_single_file(
    cls: Any,
    pretrained: str,
    path: str,
    dtype: torch.dtype,
    config: str | None,
    denoiser: str,
    options: dict[str, Any],
) -> Any:
    if Path(path).suffix != ".safetensors":
        raise MuseError(
            f"{pretrained!r} would have to be unpickled, which can run code. Give a .safetensors "
            "file, or a folder of the diffusers layout."
        )
    if not hasattr(cls, "from_single_file"):
        raise MuseError(
            f"diffusers loads no {cls.__name__} from a single file. Give a folder of the diffusers "
            "layout, or a hub id."
        )
    with _told(cls, pretrained):
        counts = _counts(path)
    if not any(name.startswith(TEXT) for name in counts):
        return _load_around(cls, pretrained, path, dtype, config, denoiser, counts, options)
    config = None if config is None else locate(config)
    with _told(cls, pretrained, *UNCONVERTIBLE):
        return cls.from_single_file(path, config=config, torch_dtype=dtype, **options)


def _load_around(
    cls: Any,
    pretrained: str,
    path: str,
    dtype: torch.dtype,
    config: str | None,
    denoiser: str,
    counts: Mapping[str, int],
    options: dict[str, Any],
) -> Any:
    """The denoiser (and autoencoder) of a file without text encoders, all else from `config`."""
    told = f"{pretrained!r} holds no text encoders, so `config` has to be a whole model"
    if config is None:
        raise MuseError(f"{told}. Give a folder of the diffusers layout, or a hub id.")
    held = [denoiser, *(["vae"] if any(name.startswith(AUTOENCODER) for name in counts) else [])]
    source, kinds = locate(config), get_type_hints(cls.__init__)
    with _because(told):
        _check_index(cls, config, source, {**options, **dict.fromkeys(held)})
    with _told(cls, pretrained, *UNCONVERTIBLE):
        parts = {
            part: kinds[part].from_single_file(
                path, config=source, subfolder=part, torch_dtype=dtype
            )
            for part in held
        }
    # Weights that the file lacks diffusers leaves random, and those beyond it drops.
    found, wanted = sum(counts.values()), sum(map(_count, parts.values()))
    if found != wanted:
        raise MuseError(
            f"{pretrained!r} holds {found} weights, and {' and '.join(held)} of {config!r} "
            f"{wanted}. Give the `config` of the file's own kind of model; quantised files aren't "
            "read."
        )
    with _because(told):
        return load_pipeline(cls, config, dtype, **parts, **options)


@contextmanager
def _because(told: str) -> Iterator[None]:
    """What is wrong with a `config`, and why all of it is needed."""
    try:
        yield
    except MuseError as error:
        raise MuseError(f"{told}. {error}") from error


def _counts(path: str) -> dict[str, int]:
    """How many weights stand under each name of a ``.safetensors`` file."""
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        return {name: math.prod(file.get_slice(name).get_shape()) for name in names}


def _count(part: torch.nn.Module) -> int:
    return sum(value.numel() for value in part.state_dict().values())


def _check_index(
    cls: type[DiffusionPipeline],
    pretrained: str,
    path: str,
    options: Mapping[str, Any],
) -> None:
    """Refuse another pipeline's folder, and one that lacks a component: of a tokenizer that isn't
    there, transformers would make up an empty one.
    """
    with _told(cls, pretrained):
        index = cls.load_config(path)
    name = index.get("_class_name")
    if name != cls.__name__:
        raise MuseError(
            f"{pretrained!r} is a {name}, not a {cls.__name__}. Name the backbone that loads it; "
            "`muse components` lists them."
        )
    folder = Path(path)
    if not folder.is_dir():
        return
    parts = [part for part, source in index.items() if isinstance(source, list) and source[0]]
    wanted = [part for part in parts if part not in options]
    missing = [part for part in wanted if not (folder / part).is_dir()]
    missing += [
        f"the vocabulary of {part}"
        for part in wanted
        if part.startswith("tokenizer") and part not in missing
        if not any((folder / part / file).is_file() for file in VOCABULARIES)
    ]
    if missing:
        raise MuseError(
            f"{pretrained!r} lacks {', '.join(missing)}, which its model_index.json names. "
            "Complete the folder."
        )


def _short(error: BaseException) -> str:
    return textwrap.shorten(reason_of(error), 250, placeholder=" ...")
