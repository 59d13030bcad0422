"""Out of memory, told in one line that says what needs less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from muse.types import MuseError

OUT_OF_MEMORY = (
    "Out of memory. These need less, the first ones most: slots: 1; of the backbone dtype: "
    "bfloat16, preview_decoder (a tiny autoencoder) or preview_size: 224, gradient_checkpointing: "
    "true, text_device: offload or cpu, decoder_tiling: true; a smaller size. Of the presets, "
    "configs/sd15.yaml needs least; docs/backbones.md says how much."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the GPU or of the host, as torch tells it."""
    named = type(error).__name__ in ("OutOfMemoryError", "MemoryError")
    return named or "DefaultCPUAllocator: can't allocate memory" in str(error)


@contextmanager
def memory_told() -> Iterator[None]:
    """Tell of it, should memory run out inside.

    Raises:
        MuseError: it did; the original error is the cause.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise MuseError(OUT_OF_MEMORY) from error
        raise
