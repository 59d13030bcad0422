"""Out of memory, wherever it happens: one line, from the command line and from Python."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from muse import MusePipeline
from muse.backbones import GaussianMixture
from muse.core.memory import OUT_OF_MEMORY, is_out_of_memory
from muse.core.types import MuseError
from tests.toy import jobs, sampler

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB, other allocations: 1 GB)."),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS)
def test_it_is_known_by_what_torch_says(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(ValueError(str(error)))


def failing(monkeypatch: pytest.MonkeyPatch, method: str, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(GaussianMixture, method, fail)


@pytest.mark.parametrize("method", ["embed", "denoise", "decode"])
@pytest.mark.parametrize("error", [ERRORS[0], ERRORS[1]])
def test_a_sampler_tells_of_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, method: str
) -> None:
    """In the rows and in the shared calls: it is no job's own failure."""
    failing(monkeypatch, method, error)
    with pytest.raises(MuseError) as caught:
        list(sampler(steps=2).sample(jobs(1)))
    assert str(caught.value) == OUT_OF_MEMORY
    assert "\n" not in OUT_OF_MEMORY
    assert caught.value.__cause__ is error


def test_a_pipeline_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = MusePipeline(GaussianMixture())
    pipe.set_progress_bar_config(disable=True)
    for method, does in (
        ("to", lambda: pipe.to("cpu")),
        ("_apply", lambda: pipe("a park")),  # what moves the parts that were put in
        ("denoise", lambda: pipe("a park")),
    ):
        monkeypatch.undo()
        failing(monkeypatch, method, ERRORS[0])
        with pytest.raises(MuseError, match=r"Out of memory\. These need less"):
            does()


def test_another_error_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("a bug")
    failing(monkeypatch, "denoise", error)
    with pytest.raises(RuntimeError) as caught:
        list(sampler(steps=2).sample(jobs(1)))
    assert caught.value is error
