"""Features from inside any torch module: a guide, a judge, a classifier of content."""

from __future__ import annotations

import difflib

from torch import Tensor, nn

from muse.core.types import MuseError
from muse.metrics.features.base import Extractor


class PenultimateFeatures(Extractor):
    """What the last linear layer of a network reads: of a classifier, its penultimate features.

    Args:
        model: any torch module that takes pictures (B, 3, H, W) in [0, 1], such as a guide.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """(B, D) of pictures (B, 3, H, W) in [0, 1].

        Raises:
            MuseError: a network in which no linear layer runs.
        """
        read: list[Tensor] = []
        layers = [layer for layer in self.model.modules() if isinstance(layer, nn.Linear)]
        hooks = [
            layer.register_forward_pre_hook(lambda _, given: read.append(given[0]))
            for layer in layers
        ]
        try:
            self.model(image)
        finally:
            for hook in hooks:
                hook.remove()
        if not read:
            raise MuseError(
                f"No linear layer of {type(self.model).__name__} runs, so it has no penultimate "
                "features. Use LayerFeatures, and name a layer."
            )
        return read[-1].flatten(1)


class LayerFeatures(Extractor):
    """What a layer of a network puts out, flattened; the network itself, where none is named.

    Args:
        model: any torch module that takes pictures (B, 3, H, W) in [0, 1].
        layer: its name in the module, such as ``features.layer4``; "" takes the whole module.

    Raises:
        MuseError: no layer of that name.
    """

    def __init__(self, model: nn.Module, layer: str = "") -> None:
        super().__init__()
        self.model, self.layer = model, layer
        names = [name for name, _ in model.named_modules() if name]
        if layer and layer not in names:
            near = difflib.get_close_matches(layer, names, n=3)
            known = ", ".join(near or [name for name, _ in model.named_children()])
            raise MuseError(
                f"{type(model).__name__} has no layer {layer!r}. Give one of its own, such as: "
                f"{known}."
            )

    def forward(self, image: Tensor) -> Tensor:
        """(B, D) of pictures (B, 3, H, W) in [0, 1].

        Raises:
            MuseError: a layer that doesn't run, or puts out more than one tensor.
        """
        out: list[object] = []
        module = self.model.get_submodule(self.layer)
        hook = module.register_forward_hook(lambda _, __, given: out.append(given))
        try:
            self.model(image)
        finally:
            hook.remove()
        if not out or not isinstance(out[-1], Tensor):
            found = type(out[-1]).__name__ if out else "nothing"
            raise MuseError(
                f"Layer {self.layer!r} of {type(self.model).__name__} puts out {found}. Name a "
                "layer that puts out one tensor."
            )
        return out[-1].flatten(1)
