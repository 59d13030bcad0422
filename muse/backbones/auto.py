"""Choosing the backbone that a model's own index asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline

from muse.backbones.options import check_options, hub_options, options_of
from muse.backbones.pipeline import PipelineBackbone
from muse.core.registry import available
from muse.core.types import MuseError
from muse.pretrained.packaged import locate


def load_backbone(pretrained: str, **options: Any) -> PipelineBackbone:
    """The backbone for a diffusers folder or hub id, chosen by its ``model_index.json``.

    Args:
        pretrained: a folder of the diffusers layout, a hub id, or ``muse-mini``.
        options: for the backbone's constructor.

    Raises:
        MuseError: no such folder or id, a pipeline that no backbone loads (names those that are
            known), or an option that the backbone hasn't.
    """
    cls = backbone_class(pretrained, options.get("hub"))
    check_options(options, options_of(cls), cls.__name__)
    return cls(pretrained, **options)


def backbone_class(pretrained: str, hub: Mapping[str, Any] | None = None) -> type[PipelineBackbone]:
    """The class of backbone that loads a diffusers folder or hub id.

    Args:
        pretrained: as for `load_backbone`.
        hub: how a hub id is fetched (`muse.backbones.options.HUB`).

    Raises:
        MuseError: no such folder or id, or a pipeline that no backbone loads.
    """
    path = locate(pretrained)
    if Path(path).is_file():
        raise MuseError(
            f"{pretrained!r} is a single file, which doesn't say what model it is. Name the "
            f"backbone: {', '.join(available(PipelineBackbone))}."  # type: ignore[type-abstract]
        )
    fetching = hub_options(hub)
    try:
        name: str = DiffusionPipeline.load_config(path, **fetching)["_class_name"]
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MuseError(
            f"No diffusers model under {pretrained!r} ({reason}). Give a folder with a "
            "model_index.json, a hub id (needs the network once), or 'muse-mini'."
        ) from error
    known = available(PipelineBackbone)  # type: ignore[type-abstract]
    for cls in known.values():
        if name == cls.pipeline_class.__name__:
            return cls
    loads = ", ".join(sorted(cls.pipeline_class.__name__ for cls in known.values()))
    raise MuseError(f"{pretrained!r} is a {name}, which no backbone loads. Known: {loads}.")
