"""Time and memory of steering at full size, on a GPU, with random weights: nothing is downloaded.

python benchmarks/full_size.py --model sdxl --batches '[1]' --gradient_checkpointing true

Every steered step makes the same number of optimiser steps: with random weights losses mean
nothing. `--tiny true` runs the same code on small models, to see that it works.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal
from unittest import mock

import published
import torch
from jsonargparse import auto_cli

from muse.backbones import PipelineBackbone, load_backbone
from muse.commands.lightning import quiet
from muse.core.asks import Evaluate
from muse.core.jobs import Job
from muse.guides import EmoGen
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampling import Sampler
from muse.sampling.answers import Answers
from muse.schedulers import StepWindow
from muse.steering import TokenOptimization


def save(folder: Path, model: str, dtype: torch.dtype, device: str, tiny: bool) -> None:
    """Save a random pipeline, and ``taesd`` beside it; made on the device, which is faster."""
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            made, taesd = published.pipeline(model, tiny), published.tiny_autoencoder(model, tiny)
    finally:
        torch.set_default_dtype(torch.float32)
    taesd.save_pretrained(folder / "taesd")
    made.save_pretrained(folder / model)


@contextmanager
def timed(answers: Answers, device: str) -> Iterator[list[float]]:
    """Collects the seconds of the batched inner iterations that take a gradient.

    Args:
        answers: the sampler's, who make them.
        device: where they run; its queue is waited for.
    """
    seconds: list[float] = []
    evaluate = answers.evaluate

    def watched(asks: Sequence[Evaluate]) -> Any:
        begun = now(device)
        found = evaluate(asks)
        if asks[0].gradient:
            seconds.append(now(device) - begun)
        return found

    with mock.patch.object(answers, "evaluate", watched):
        yield seconds


def now(device: str) -> float:
    """Seconds, once the device has done all it was asked."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(
    backbone: PipelineBackbone,
    reader: EmoGen,
    batch: int,
    steps: int,
    start: int,
    iterations: int,
    device: str,
) -> str:
    """Make `batch` pictures in one go; what it took, in words."""
    sampler = Sampler(
        backbone, reader, TokenOptimization(), StepWindow(start / steps), MultiEmotionLoss(),
        GaussianNoise(), steps=steps, max_iterations=iterations, tolerance=-math.inf, keep="last",
    ).to(device)  # fmt: skip
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begun = now(device)
    jobs = [Job(str(i), "a dog", {"awe": 1.0}, i) for i in range(batch)]
    with timed(sampler.answers, device) as inner_seconds:
        results = list(sampler.sample(jobs, slots=batch))
    seconds = (now(device) - begun) / batch
    for result in results:
        if result.failure is not None:
            raise RuntimeError(result.failure)
        assert sum(result.trace.iterations) == iterations * (steps - start)
    inner = 1000 * median(inner_seconds)
    peak = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device == "cuda" else "unknown"
    return (
        f"{seconds:.2f} s an image, {inner:.1f} ms an inner iteration "
        f"({inner / batch:.1f} a picture), peak memory {peak}"
    )


def main(
    model: Literal["sd15", "sdxl"] = "sd15",
    batches: Sequence[int] = (1, 4, 8),
    steps: int = 50,
    start: int = 10,
    iterations: int = 3,
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16",
    gradient_checkpointing: bool = False,
    tiny: bool = False,
) -> None:
    """Print a line for each decoder path and batch.

    Args:
        model: at its own size, 512 or 1024 px.
        batches: pictures in a call.
        steps: sampling steps.
        start: the first steered one.
        iterations: optimiser steps in each steered one.
        dtype: of the backbone's weights; the guide's are float32.
        gradient_checkpointing: of UNet and decoder.
        tiny: small models instead, on the CPU in float32.
    """
    quiet()
    device = "cuda" if torch.cuda.is_available() and not tiny else "cpu"
    kept = "float32" if tiny else dtype
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(
        f"{model}{' (tiny)' if tiny else ''}, {kept}, {steps} steps, {iterations} iterations from "
        f"step {start} on, gradient checkpointing {gradient_checkpointing}; {name}, torch "
        f"{torch.__version__}"
    )
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        save(Path(folder), model, getattr(torch, kept), device, tiny)
        with torch.device(device):
            reader = published.guide(tiny)
        for path, options in published.PATHS.items():
            backbone = load_backbone(
                f"{folder}/{model}",
                dtype=kept,
                gradient_checkpointing=gradient_checkpointing,
                **options(f"{folder}/taesd", 16 if tiny else 224),
            )
            measure(backbone, reader, 1, 2, 1, 1, device)  # to warm up
            for batch in batches:
                told = measure(backbone, reader, batch, steps, start, iterations, device)
                print(f"{path}, batch {batch}: {told}", flush=True)
            del backbone
            gc.collect()  # cycles too: else the next peak would hold these weights
            if device == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    auto_cli(main)
