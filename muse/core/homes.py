"""Modules under the names that they had before muse had folders, for programs that import them."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

HOMES = {
    "muse.answers": "muse.sampling.answers",
    "muse.asks": "muse.core.asks",
    "muse.clip": "muse.pretrained.clip",
    "muse.emotions": "muse.core.emotions",
    "muse.jobs": "muse.core.jobs",
    "muse.pictures": "muse.core.pictures",
    "muse.records": "muse.runs.records",
    "muse.registry": "muse.core.registry",
    "muse.results": "muse.core.results",
    "muse.sampler": "muse.sampling.sampler",
    "muse.types": "muse.core.types",
    "muse.weights": "muse.pretrained.weights",
}
"""Old name -> the module."""


class _Alias(Loader):
    """Gives a module under another name, and leaves it as it is."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(HOMES[spec.name])
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # importing has put the old name there


class OldNames(MetaPathFinder):
    """Finds modules by the names in `HOMES`."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The module's specification, None of any other name."""
        return ModuleSpec(fullname, _Alias()) if fullname in HOMES else None


def keep_old_names() -> None:
    """Let modules be imported by the names in `HOMES` too."""
    if not any(isinstance(finder, OldNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, OldNames())
