"""The interfaces of components and all that implements them, imported."""

from __future__ import annotations

import typing
from inspect import isclass

from torch import nn

import muse.backbones
import muse.guides
import muse.latents
import muse.losses
import muse.schedulers
import muse.steering  # noqa: F401  (importing registers the components)
from muse.sampling import Sampler


def interfaces() -> dict[str, type[nn.Module]]:
    """``{"backbone": Backbone, "guide": Guide, ...}``, read off the sampler's signature."""
    hints = typing.get_type_hints(Sampler.__init__)
    found = {}
    for name, hint in hints.items():
        bases = [part for part in (hint, *typing.get_args(hint)) if isclass(part)]
        for base in bases:
            if issubclass(base, nn.Module):
                found[name] = base
    return found
