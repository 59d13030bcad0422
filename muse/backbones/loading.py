"""Loading what diffusers saved: whole pipelines, and tiny autoencoders."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

import torch
from diffusers import AutoencoderTiny, DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.utils import is_accelerate_available
from safetensors import safe_open

from muse.backbones.failures import UNLOADABLE, short, told
from muse.backbones.options import DTYPE, HUB
from muse.backbones.shared_parts import load_shared
from muse.core.types import MuseError
from muse.pretrained.damage import check_whole
from muse.pretrained.packaged import locate
from muse.pretrained.sharing import PREVIEW, own_preview, shared_parts
from muse.pretrained.variants import choose_variant

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
    variant: str | None = None,
    **options: Any,
) -> Any:
    """Load a diffusers pipeline of class `cls` from a folder, a hub id or a single file. A folder
    may share parts with another (`muse.pretrained.sharing`).

    A file without text encoders holds the denoiser, and perhaps the autoencoder: these are taken
    from it, and all else from `config`.

    Args:
        cls: the pipeline's class.
        pretrained: the folder, hub id, ``.safetensors`` file or packaged name.
        dtype: of the weights.
        config: the folder or hub id that a single file goes with.
        denoiser: the name of the component that denoises.
        variant: of the weights of a folder or hub id; None takes those without, and in a folder
            that has one variant alone, that one.
        options: for diffusers' loading, such as components to leave out, and those of
            `muse.backbones.options.HUB`.

    Raises:
        MuseError: nothing loadable under that name, a pipeline of another class, a component that
            is missing, a variant that isn't there, files that are no whole weights, a package
            that is needed, or weights that only unpickling would read.
    """
    path = locate(pretrained)
    if Path(path).is_file():
        return _load_single_file(cls, pretrained, path, dtype, config, denoiser, variant, options)
    if config is not None:
        raise MuseError(
            f"config = {config!r} goes with a single file, and {pretrained!r} is none, or "
            "isn't there. Leave it out, or give the path of a .safetensors file."
        )
    left = {PREVIEW, *options}
    shared = {part: at for part, at in shared_parts(Path(path)).items() if part not in left}
    index = _checked_index(cls, pretrained, path, {**options, **shared})
    with told(cls, pretrained):
        options |= load_shared(index, shared, dtype)
    # diffusers wants to be told of a part that its own saving noted as left out.
    left_out = [part for part, source in index.items() if source == [None, None]]
    options |= {part: None for part in left_out if part not in cls._optional_components}
    variant = choose_variant(Path(path), _wanted(index, options), variant, pretrained)
    with told(cls, pretrained):
        return cls.from_pretrained(path, variant=variant, **common(dtype), **options)


def own_tiny(pretrained: str) -> str | None:
    """The folder of the small autoencoder that comes with a pipeline, if one does."""
    found = own_preview(Path(locate(pretrained)))
    return None if found is None else str(found)


def load_tiny(name: str, dtype: torch.dtype, **hub: Any) -> Any:
    """Load an `AutoencoderTiny` from a folder, a hub id or a packaged name.

    Args:
        name: the folder, hub id or packaged name.
        dtype: of the weights.
        hub: those of `muse.backbones.options.HUB`.

    Raises:
        MuseError: there is none under that name, or its files are no whole weights.
    """
    path = locate(name)
    variant = choose_variant(Path(path), [""], None, name, remedy="Keep one of them")
    try:
        kind = AutoencoderTiny.load_config(path, **hub).get("_class_name")
        if kind != "AutoencoderTiny":
            raise ValueError(f"it is of class {kind}")
        return AutoencoderTiny.from_pretrained(path, variant=variant, **common(dtype), **hub)
    except UNLOADABLE as error:
        raise MuseError(
            f"No AutoencoderTiny under {name!r} ({short(error)}). Give a folder with safetensors "
            "weights, or a hub id such as 'madebyollin/taesd' (needs the network once)."
        ) from error


def common(dtype: torch.dtype) -> dict[str, Any]:
    """How all weights are loaded."""
    return {
        DTYPE: dtype,
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
    variant: str | None,
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
    check_whole(Path(path))
    with told(cls, pretrained):
        counts = _counts(path)
    if not any(name.startswith(TEXT) for name in counts):
        return _load_around(
            cls, pretrained, path, dtype, config, denoiser, counts, variant, options
        )
    if variant is not None:
        raise MuseError(
            f"variant = {variant!r} goes with a folder or a hub id, and {pretrained!r} is a file "
            "that holds the whole model. Leave it out."
        )
    config = None if config is None else locate(config)
    with told(cls, pretrained, *UNCONVERTIBLE):
        return cls.from_single_file(path, config=config, **{DTYPE: dtype}, **options)


def _load_around(
    cls: Any,
    pretrained: str,
    path: str,
    dtype: torch.dtype,
    config: str | None,
    denoiser: str,
    counts: Mapping[str, int],
    variant: str | None,
    options: dict[str, Any],
) -> Any:
    """The denoiser (and autoencoder) of a file without text encoders, all else from `config`."""
    why = f"{pretrained!r} holds no text encoders, so `config` has to be a whole model"
    if config is None:
        raise MuseError(f"{why}. Give a folder of the diffusers layout, or a hub id.")
    held = [denoiser, *(["vae"] if any(name.startswith(AUTOENCODER) for name in counts) else [])]
    source, kinds = locate(config), get_type_hints(cls.__init__)
    with _because(why):
        _checked_index(cls, config, source, {**options, **dict.fromkeys(held)})
    hub = _hub(options)
    hub["config_revision"] = hub.pop("revision", None)
    with told(cls, pretrained, *UNCONVERTIBLE):
        parts = {
            part: kinds[part].from_single_file(
                path, config=source, subfolder=part, **{DTYPE: dtype}, **hub
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
    with _because(why):
        return load_pipeline(cls, config, dtype, variant=variant, **parts, **options)


@contextmanager
def _because(why: str) -> Iterator[None]:
    """What is wrong with a `config`, and why all of it is needed."""
    try:
        yield
    except MuseError as error:
        raise MuseError(f"{why}. {error}") from error


def _counts(path: str) -> dict[str, int]:
    """How many weights stand under each name of a ``.safetensors`` file."""
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        return {name: math.prod(file.get_slice(name).get_shape()) for name in names}


def _count(part: torch.nn.Module) -> int:
    return sum(value.numel() for value in part.state_dict().values())


def _hub(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in HUB if name in options}


def _wanted(index: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """The components to load: those of an index that aren't given."""
    parts = [part for part, source in index.items() if isinstance(source, list) and source[0]]
    return [part for part in parts if part not in options]


def _checked_index(
    cls: type[DiffusionPipeline],
    pretrained: str,
    path: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """What ``model_index.json`` says. Another pipeline's folder is refused, and one that lacks a
    component: of a tokenizer that isn't there, transformers would make up an empty one.
    """
    with told(cls, pretrained):
        index: dict[str, Any] = cls.load_config(path, **_hub(options))
    name = index.get("_class_name")
    if name != cls.__name__:
        raise MuseError(
            f"{pretrained!r} is a {name}, not a {cls.__name__}. Name the backbone that loads it; "
            "`muse components` lists them."
        )
    folder = Path(path)
    if not folder.is_dir():
        return index
    if "revision" in options:
        raise MuseError(
            f"revision = {options['revision']!r} goes with a hub id, and {pretrained!r} is a "
            "folder. Leave it out."
        )
    wanted = _wanted(index, options)
    missing = [part for part in wanted if not (folder / part).is_dir()]
    for part in wanted:
        if part.startswith("tokenizer") and part not in missing:
            files = (folder / part / file for file in VOCABULARIES)
            read = next((file for file in files if file.is_file()), None)
            if read is None:
                missing.append(f"the vocabulary of {part}")
            else:
                check_whole(read)
    if missing:
        raise MuseError(
            f"{pretrained!r} lacks {', '.join(missing)}, which its model_index.json names. "
            "Complete the folder."
        )
    return index
