"""Parts of a pipeline that a user puts in place of its own: the autoencoder, and the scheduler."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch

from muse.backbones.failures import UNLOADABLE, short
from muse.backbones.loading import UNCONVERTIBLE, common
from muse.backbones.options import DTYPE, check_options
from muse.core.types import MuseError
from muse.pretrained.labelled import weights_file
from muse.pretrained.packaged import locate
from muse.pretrained.variants import choose_variant

OTHER = (*UNLOADABLE, *UNCONVERTIBLE)
"""What diffusers raises of a file that isn't what it was taken for."""
UNMADE = (ValueError, TypeError, RuntimeError, ImportError, ArithmeticError, LookupError)
"""What its schedulers raise of settings that they can't be made with."""
TRIED = 10
"""Steps that a scheduler is tried with."""


def put_autoencoder(
    pipeline: Any, name: str, dtype: torch.dtype, config: str, hub: Mapping[str, Any]
) -> None:
    """Put another autoencoder into a pipeline.

    Args:
        pipeline: of diffusers.
        name: a folder of the diffusers layout (the autoencoder's, or a whole model's), a hub id, or
            a ``.safetensors`` file.
        dtype: of its weights.
        config: the folder or hub id of the model whose autoencoder's configuration a single file
            goes with.
        hub: how a hub id is fetched.

    Raises:
        MuseError: there is none under that name, or its latents are not the model's.
    """
    own, path = pipeline.vae, locate(name)
    file = weights_file("vae", path)
    try:
        vae = _load(type(own), path, file, dtype, config, hub)
    except OTHER as error:
        raise MuseError(
            f"No {type(own).__name__} under {name!r} ({short(error)}). Give a folder of the "
            "diffusers layout with safetensors weights, a hub id (needs the network once), or a "
            ".safetensors file."
        ) from error
    made, wanted = _latents(vae), _latents(own)
    if made != wanted:
        raise MuseError(
            f"vae {name!r} makes latents of {made[0]} channels at 1/{made[1]} of the size, the "
            f"model's have {wanted[0]} at 1/{wanted[1]}. Give one that was made for this model."
        )
    pipeline.register_modules(vae=vae)


def _load(
    cls: Any, path: str, file: Path | None, dtype: torch.dtype, config: str, hub: Mapping[str, Any]
) -> Any:
    if file is not None:
        model = locate(config)
        source = {"config": model, "subfolder": "vae"} if not Path(model).is_file() else {}
        return cls.from_single_file(path, **{DTYPE: dtype}, **source, **hub)
    whole = (Path(path) / "vae").is_dir()
    place = {"subfolder": "vae"} if whole else {}
    folder = Path(path, *place.values())
    variant = choose_variant(folder, [""], None, path, remedy="Keep one of them")
    kind = cls.load_config(path, **place, **hub).get("_class_name")
    if kind != cls.__name__:
        raise ValueError(f"it is of class {kind}")
    return cls.from_pretrained(path, variant=variant, **common(dtype), **place, **hub)


def _latents(vae: Any) -> tuple[int, int]:
    """Channels of the latents, and pixels for each latent pixel."""
    return vae.config.latent_channels, 2 ** (len(vae.config.block_out_channels) - 1)


def put_scheduler(
    pipeline: Any, name: str | None, options: Mapping[str, Any] | None, known: Sequence[str]
) -> None:
    """Put another scheduler into a pipeline, made from the config of its own: it says which nodes
    there are.

    Args:
        pipeline: of diffusers.
        name: its class in diffusers; None is the pipeline's own.
        options: settings in place of the config's, such as ``use_karras_sigmas``.
        known: the classes whose nodes the backbone knows.

    Raises:
        MuseError: a class that isn't known, an option that it hasn't, or values that it can't be
            made with.
    """
    own = pipeline.scheduler
    name = type(own).__name__ if name is None else name
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise MuseError(f"Unknown scheduler {name!r}.{hint} Use one of: {', '.join(known)}.")
    kind = getattr(diffusers, name)
    settings = set(inspect.signature(kind.__init__).parameters) - {"self"}
    check_options(options or {}, settings, name)
    try:
        scheduler = kind.from_config(own.config, **(options or {}))
        _try(scheduler)
    except UNMADE as error:
        raise MuseError(
            f"{name} can't be made with scheduler_options = {dict(options or {})} "
            f"({str(error).strip().partition(chr(10))[0]}). Correct them, or leave them out."
        ) from error
    pipeline.register_modules(scheduler=scheduler)


def _try(scheduler: Any) -> None:
    """Many a setting is only looked at once the nodes are asked for."""
    config = scheduler.config
    dynamic = config.get("use_dynamic_shifting")
    shifted = {"mu": (config.base_shift + config.max_shift) / 2} if dynamic else {}
    scheduler.set_timesteps(min(TRIED, config.num_train_timesteps), **shifted)
    levels = getattr(scheduler, "sigmas", getattr(scheduler, "alphas_cumprod", None))
    if levels is not None and not (torch.isfinite(levels).all() and (levels >= 0).all()):
        raise ValueError("its noise levels aren't numbers from 0 up")
