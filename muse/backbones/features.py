"""Features of a model by name: what its modules put out, handed out or replaced."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from muse.core.types import MuseError


@contextmanager
def module_outputs(
    model: nn.Module, take: Sequence[str], give: Mapping[str, Tensor]
) -> Iterator[dict[str, Tensor]]:
    """Inside, the outputs of some modules are kept, and those of others replaced.

    Names are the modules' own, as `named_modules` gives them: ``...attn1.to_q`` and ``...to_k``
    decide an attention map, ``up_blocks.1.resnets.1`` an activation. A module that puts out a tuple
    counts by its first tensor.

    Args:
        model: whose modules.
        take: names of those whose outputs are kept.
        give: name -> what its output is replaced by, in its shape.

    Yields:
        the outputs that were kept, by name, filled as the model is called.

    Raises:
        MuseError: no module of that name, or a replacement of another shape.
    """
    parts, taken = dict(model.named_modules()), dict[str, Tensor]()

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            taken[name] = output[0] if isinstance(output, tuple) else output

        return hook

    def replace(name: str, value: Tensor) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            own = output[0] if isinstance(output, tuple) else output
            if own.shape != value.shape:
                raise MuseError(
                    f"Feature {name!r} is {tuple(own.shape)}, and {tuple(value.shape)} was given."
                )
            new = value.to(own)
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return hook

    with ExitStack() as hooks:
        for name, value in give.items():  # first, so that what is taken is what was given
            handle = _part(parts, name).register_forward_hook(replace(name, value))
            hooks.callback(handle.remove)
        for name in take:
            handle = _part(parts, name).register_forward_hook(keep(name))
            hooks.callback(handle.remove)
        yield taken


def _part(parts: Mapping[str, nn.Module], name: str) -> nn.Module:
    if name in parts:
        return parts[name]
    near = difflib.get_close_matches(name, list(parts), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise MuseError(f"The model has no feature {name!r}.{hint} Names are those of its modules.")
