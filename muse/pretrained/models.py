"""transformers models by name, and their own preprocessing with gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from muse.core.types import MuseError
from muse.pretrained.packaged import locate
from muse.pretrained.variants import choose_variant
from muse.pretrained.weights import UNREADABLE, reason_of

PROBE = 64
"""Side of the picture that a processor is tried on."""
READ = (".safetensors", ".bin")
"""Files of weights, the safest first; of the others nothing but tensors is unpickled."""


class Preprocessing:
    """A model's own image processor, as a differentiable function of decoded pictures.

    transformers' processors are made of torch operations. Fed with floats they neither round nor
    clamp, so gradients pass, also where a picture leaves [0, 1].

    Args:
        processor: a transformers image processor.
        name: the model's, for the error.

    Raises:
        MuseError: a processor that lets no gradient through, or makes no (B, 3, h, w) of pictures.
    """

    def __init__(self, processor: Any, name: str) -> None:
        self.processor = processor
        try:
            found = self(torch.zeros(1, 3, PROBE, PROBE, requires_grad=True))
            fits = found.ndim == 4 and found.requires_grad
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
            fits = False
        if not fits:
            raise MuseError(
                f"{name!r} brings pictures to its size by {type(processor).__name__}, which lets "
                "no gradients through or cuts pictures into patches. Use a model of a fixed "
                "picture size."
            )
        self.size: int = found.shape[-1]

    def __call__(self, image: Tensor) -> Tensor:
        """What the model reads, (B, 3, h, w), of pictures (B, 3, H, W) in about [0, 1]."""
        transform = getattr(self.processor, "val_transforms", None)
        if transform is not None:  # timm's own, for timm models in transformers: reads [0, 1]
            prepared: Tensor = transform(image)
            return prepared
        # The processor keeps mean and std as tensors: made under inference mode, they would refuse
        # to serve gradients later.
        with torch.inference_mode(False):
            batch = self.processor(
                images=list(255 * image),  # the range of bytes, as the processor expects it
                return_tensors="pt",
                input_data_format="channels_first",
                disable_grouping=False,
            )
        prepared = batch["pixel_values"]
        return prepared


def load(kind: Any, name: str, what: str, **options: Any) -> Any:
    """``kind.from_pretrained``, with one line about what goes wrong.

    Args:
        kind: an auto class of transformers.
        name: a hub id, a folder, or a packaged name such as ``muse-mini/clip``.
        what: what is looked for, for the error.
        options: passed on.

    Raises:
        MuseError: nothing of the kind under that name, no network to fetch it, or weights that
            are damaged or need unpickling.
    """
    path = locate(name)
    try:
        return kind.from_pretrained(path, trust_remote_code=False, **options)
    except (*UNREADABLE, ValueError, ImportError) as error:
        raise MuseError(
            f"No {what} under {name!r} ({reason_of(error)}). Give a transformers folder, or a hub "
            "id (needs the network once)."
        ) from error


def load_model(kind: Any, name: str, what: str) -> Any:
    """A whole transformers model in float32: no weight of it is left at random. Of a folder that
    has a variant's weights alone, these.

    Raises:
        MuseError: what `load` refuses, files that are no whole weights, and weights that are
            missing or of other shapes.
    """
    options: dict[str, Any] = {"ignore_mismatched_sizes": True, "output_loading_info": True}
    variant = choose_variant(Path(locate(name)), [""], None, name, READ, "Keep one of them")
    if variant is not None:
        options["variant"] = variant
    model, info = load(kind, name, what, dtype=torch.float32, **options)
    wrong = [f"{key} is missing" for key in sorted(info["missing_keys"])]
    wrong += [
        f"{key} is {tuple(found)} instead of {tuple(wanted)}"
        for key, found, wanted in sorted(info["mismatched_keys"])
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise MuseError(
            f"{name!r} is no whole {what} ({type(model).__name__}): {', '.join(wrong[:3])}{more}. "
            "Give a model whose weights are all there."
        )
    return model
