"""Where the time goes: the paper's loop as it is usually written, then muse's savings one by one.

python benchmarks/waterfall.py                # muse-mini, three quarters of an hour on two cores
python benchmarks/waterfall.py --read 40      # with what judges read in as many pictures
python benchmarks/waterfall.py --repeats 1 --pictures 1 --lockstep false   # a trial
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median
from typing import Any

import references
import torch
from jsonargparse import auto_cli
from torch import Tensor

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.results import Cost
from muse.guides import ConvNet
from muse.metrics import ClipScore, EmotionAccuracy, EmotionContentAccuracy, Metric
from muse.metrics.base import Made
from muse.mini.captions import DEVELOPMENT
from muse.mini.content import ContentClassifier
from muse.presets.building import preset
from muse.sampling import Sampler
from muse.sampling.arithmetic import arithmetic
from muse.schedulers import Never

LEVERS = {
    "the small decoder": ("default", ["backbone"]),
    "the emotion's word, one vector under it": ("default", ["steering"]),
    "rests, and no look at the end: `default`": ("default", ["longest_rest", "look_until"]),
    "half of the steps: `fast`": ("fast", ["scheduler", "steps"]),
}
"""What two presets have otherwise than `exact`, each beside those above it; approximate."""


@dataclass(frozen=True)
class Line:
    """A row of the table: seconds a picture, its cost, and pictures by job id."""

    name: str
    seconds: float
    gflop: float | None = None
    gradients: float | None = None
    pictures: Mapping[str, Tensor] | None = None


def waterfall(
    pictures: int = 16,
    slow: int = 2,
    repeats: int = 5,
    read: int = 0,
    lockstep: bool = True,
    device: str | None = None,
) -> None:
    """Print the table.

    Args:
        pictures: a repeat, of the development prompts.
        slow: of those made one by one.
        repeats: medians are of so many.
        read: pictures that judges read, for each approximate line; 0 leaves that out.
        lockstep: whether R3 is measured, which compiles.
        device: where; None takes a GPU where there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    parts = preset("exact")
    exact = Sampler(**parts).to(device)
    lines = [_plain(parts, pictures, repeats)]
    for name, kind in references.KINDS.items():
        if kind.rows > 1 and not lockstep:
            continue
        count = slow if kind.rows == 1 else pictures
        made = _seconds(lambda k=kind, c=count: references.make(exact, k, jobs(c)), repeats, count)
        lines.append(Line(name, made))
    lines.append(_muse("muse, one at a time", exact, slow, 1, repeats))
    lines.append(_muse("muse, 8 together", exact, pictures, 8, repeats, read))
    for name, (source, options) in LEVERS.items():
        given = preset(source, without={"guide", "similarity", "latents", "timing", "loss"})
        parts |= {option: given[option] for option in options}
        sampler = Sampler(**parts).to(device)
        lines.append(_muse(f"+ {name}", sampler, pictures, 8, repeats, read))
    _print(lines)


def jobs(count: int, first: int = 0) -> list[Job]:
    """Development prompts, all emotions in turn."""
    return [
        Job(str(i), DEVELOPMENT[i % len(DEVELOPMENT)], {EMOTIONS[i % 8]: 1.0}, i)
        for i in range(first, first + count)
    ]


def _seconds(work: Callable[[], object], repeats: int, count: int) -> float:
    """The median, a picture; the first time, which compiles and fills caches, doesn't count."""
    times = []
    for _ in range(repeats + 1):
        begun = _now()
        work()
        times.append((_now() - begun) / count)
    return median(times[1:])


def _now() -> float:
    """Seconds, once a GPU has done all that it was asked."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _plain(parts: Mapping[str, Any], count: int, repeats: int) -> Line:
    sampler = Sampler(**{**parts, "timing": Never()})
    work = [Job(job.id, job.prompt, None, job.seed) for job in jobs(count)]
    return Line("plain pictures", _seconds(lambda: list(sampler.sample(work, 8)), repeats, count))


def _muse(name: str, sampler: Sampler, count: int, slots: int, repeats: int, read: int = 0) -> Line:
    results: list[Any] = []

    def work() -> None:
        results[:] = sampler.sample(jobs(count), slots)

    seconds = _seconds(work, repeats, count)
    counted = arithmetic(sampler)
    costs: list[Cost] = [result.cost for result in results]
    seen = {r.job.id: r.image for r in sampler.sample(jobs(read), slots)} if read else None
    return Line(
        name,
        seconds,
        mean(counted.of(asdict(cost)) for cost in costs) / 1e9,
        mean(cost.gradients for cost in costs),
        seen,
    )


def _print(lines: Sequence[Line]) -> None:
    plain, naive = lines[0].seconds, lines[1].seconds
    readers = _readers() if any(line.pictures for line in lines) else []
    names = [reader.name for reader in readers]
    heads = ["", "s a picture", "of R0", "of plain", "gradients", "GFLOP", *names]
    print("|", " | ".join(heads), "|")
    print("|" + "---|" * len(heads))
    for line in lines:
        cells = [line.name, f"{line.seconds:.2f}", f"{naive / line.seconds:.1f} x",
                 f"{line.seconds / plain:.1f} x"]  # fmt: skip
        cells += ["" if v is None else f"{v:.0f}" for v in (line.gradients, line.gflop)]
        cells += [_read(each, line.pictures) if line.pictures else "" for each in readers]
        print("|", " | ".join(cells), "|", flush=True)


def _readers() -> list[Metric]:
    judge = ConvNet(checkpoint="muse-mini/judge.safetensors")
    content = ContentClassifier(checkpoint="muse-mini/content.safetensors")
    found = [EmotionAccuracy(judge, "judge"), EmotionContentAccuracy(judge, content)]
    return [*(each.eval() for each in found), ClipScore("muse-mini/clip").eval()]


@torch.no_grad()
def _read(metric: Metric, pictures: Mapping[str, Tensor]) -> str:
    wanted = {job.id: job for job in jobs(len(pictures))}
    made = [
        Made(wanted[name].prompt, dict(wanted[name].target or {}), image[0].clamp(0, 1).cpu())
        for name, image in pictures.items()
    ]
    return f"{mean(metric.measure(made)):{metric.show}}"


if __name__ == "__main__":
    auto_cli(waterfall)
