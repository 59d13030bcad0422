"""Out of memory, told in one line that says what needs less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from muse.core.types import MuseError

OUT_OF_MEMORY = (
    "Out of memory. These need less, the first ones most: slots: 1; of the backbone dtype: "
    "bfloat16, preview_decoder (a tiny autoencoder) or preview_size: 224, gradient_checkpointing: "
    "true, text_device: offload or cpu, decoder_tiling: true; a smaller size. Or a smaller model: "
    "configs/sd15.yaml with slots: 1 takes 4.9 GiB; docs/backbones.md says what others take."
)
TOLD = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")
"""Words of torch's errors that aren't of a class of their own: CUDA's, cuBLAS's and cuDNN's, MPS's,
the CPU allocator's.
"""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the GPU or of the host, as torch tells it."""
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in TOLD)
    return told or type(error).__name__ in ("OutOfMemoryError", "MemoryError")


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
