"""muse: make a frozen text-to-image diffusion model express an emotion, at test time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muse.core.homes import keep_old_names

if TYPE_CHECKING:
    from muse.pipeline import MusePipeline

__all__ = ["MusePipeline"]

keep_old_names()


def __getattr__(name: str) -> Any:
    """`MusePipeline`, imported when it is asked for: ``import muse`` alone needs no torch."""
    if name == "MusePipeline":
        from muse.pipeline import MusePipeline

        return MusePipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
