"""Loading for `MusePipeline.from_pretrained`: what diffusers' has of options, taken or answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

from muse.backbones.auto import backbone_class
from muse.backbones.options import check_options, options_of
from muse.backbones.pipeline import DTYPES, PipelineBackbone
from muse.core.types import MuseError

OWN = {"hub", "config"}
"""Options of backbones that `from_pretrained` has by other names, or that single files need."""


def load(
    pretrained: str,
    named: Collection[str],
    dtype: str | torch.dtype,
    torch_dtype: str | torch.dtype | None,
    hub: Mapping[str, Any],
    options: Mapping[str, Any],
) -> PipelineBackbone:
    """The backbone that ``model_index.json`` asks for.

    Args:
        pretrained: as for `from_pretrained`.
        named: the parameters that `from_pretrained` has itself.
        dtype: of the weights.
        torch_dtype: another name for it.
        hub: how a hub id is fetched; None is diffusers' default.
        options: for the backbone's constructor; and what diffusers' pipelines have.

    Raises:
        MuseError: nothing loadable under that name, or an option that isn't one.
    """
    name = dtype_of(dtype, torch_dtype)
    options = answered(options)
    fetching = {key: value for key, value in hub.items() if value is not None}
    cls = backbone_class(pretrained, fetching)
    check_options(options, {*named, *options_of(cls)} - OWN, "MusePipeline.from_pretrained")
    if fetching:
        options["hub"] = fetching
    return cls(pretrained, dtype=name, **options)


def dtype_of(dtype: str | torch.dtype, torch_dtype: str | torch.dtype | None) -> Any:
    """The dtype's name, given under either of its names.

    Raises:
        MuseError: none of a model's, or two of them.
    """
    name, other = (str(given).removeprefix("torch.") for given in (dtype, torch_dtype))
    if torch_dtype is not None and name not in ("float32", other):
        raise MuseError(f"dtype = {name} and torch_dtype = {other} are one option. Give one.")
    name = name if torch_dtype is None else other
    if name not in DTYPES:
        raise MuseError(f"dtype = {name} is not allowed. Use one of {', '.join(DTYPES)}.")
    return name


def answered(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without what diffusers' pipelines have and muse doesn't: None says nothing.

    Raises:
        MuseError: a safety checker, or a scheduler that is no name.
    """
    rest = dict(options)
    if rest.pop("safety_checker", None) is not None:
        raise MuseError(
            "safety_checker is not used: muse checks no pictures. Leave it out, or give None, and "
            "check the pictures yourself."
        )
    if not isinstance(rest.get("scheduler"), str | None):
        raise MuseError(
            "scheduler is not used: muse steps by its own DDIM (flow models: Euler's step) on the "
            "nodes of the pipeline's scheduler. For other nodes give the name of a class, such as "
            "scheduler='EulerDiscreteScheduler', and scheduler_options."
        )
    return {name: value for name, value in rest.items() if name != "scheduler" or value}
