"""Where the time goes: the paper's loop as it is usually written, then muse's savings one by one.

python benchmarks/waterfall.py                # muse-mini, three quarters of an hour on two cores
python benchmarks/waterfall.py --read 40      # with what judges read in as many pictures
python benchmarks/waterfall.py --repeats 1 --pictures 1 --lockstep false   # a trial
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import mean, median

import references
import torch
from jsonargparse import auto_cli
from torch import Tensor

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.results import Result
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
    """A row of the table: what is made, how many pictures, and muse's own sampler, where it is."""

    name: str
    work: Callable[[], object]
    count: int
    sampler: Sampler | None = None
    results: Sequence[Result] = ()
    """What muse made last."""
    seconds: list[float] = field(default_factory=list)
    """A picture, of each round."""


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
        repeats: rounds, in each of which every line is made once; medians are of them.
        read: pictures that judges read, for each of muse's lines; 0 leaves that out.
        lockstep: whether R3 is measured, which compiles.
        device: where; None takes a GPU where there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    parts = preset("exact")
    exact = Sampler(**parts).to(device)
    lines = [_plain(Sampler(**{**parts, "timing": Never()}).to(device), pictures)]
    for name, kind in references.KINDS.items():
        if kind.rows > 1 and not lockstep:
            continue
        count = slow if kind.rows == 1 else pictures
        lines.append(Line(name, partial(references.make, exact, kind, jobs(count)), count))
    lines.append(_muse("muse, one at a time", exact, slow, 1))
    lines.append(_muse("muse, 8 together", exact, pictures, 8))
    for name, (source, options) in LEVERS.items():
        given = preset(source, without={"guide", "similarity", "latents", "timing", "loss"})
        parts |= {option: given[option] for option in options}
        lines.append(_muse(f"+ {name}", Sampler(**parts).to(device), pictures, 8))
    for number in range(repeats + 1):
        for line in lines:
            begun = _now()
            line.work()
            line.seconds.append((_now() - begun) / line.count)
        told = ", ".join(f"{line.seconds[-1]:.2f}" for line in lines)
        print(f"round {number} of {repeats}: {told} s a picture", file=sys.stderr, flush=True)
    for line in lines:
        del line.seconds[0]  # compiles, and fills caches
    _print(lines, read)


def jobs(count: int, first: int = 0) -> list[Job]:
    """Development prompts, all emotions in turn."""
    return [
        Job(str(i), DEVELOPMENT[i % len(DEVELOPMENT)], {EMOTIONS[i % 8]: 1.0}, i)
        for i in range(first, first + count)
    ]


def _now() -> float:
    """Seconds, once a GPU has done all that it was asked."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _plain(sampler: Sampler, count: int) -> Line:
    work = [Job(job.id, job.prompt, None, job.seed) for job in jobs(count)]
    return Line("plain pictures", lambda: list(sampler.sample(work, 8)), count)


def _muse(name: str, sampler: Sampler, count: int, slots: int) -> Line:
    results: list[Result] = []

    def work() -> None:
        results[:] = sampler.sample(jobs(count), slots)

    return Line(name, work, count, sampler, results)


def _print(lines: Sequence[Line], read: int) -> None:
    plain, naive = lines[0], lines[1]
    readers = _readers() if read else []
    heads = ["", "s a picture", "of R0", "of plain", "gradients", "GFLOP"]
    heads += [reader.name for reader in readers]
    print("|", " | ".join(heads), "|")
    print("|" + "---|" * len(heads))
    for line in lines:
        cells = [line.name, f"{median(line.seconds):.2f}", f"{_times(naive, line):.1f} x",
                 f"{_times(line, plain):.1f} x"]  # fmt: skip
        if line.sampler is not None:
            cells += _counted(line.sampler, line.results)
            made = {r.job.id: r.image for r in line.sampler.sample(jobs(read), 8)} if read else {}
            cells += [_read(each, made) for each in readers]
        print("|", " | ".join(cells + [""] * (len(heads) - len(cells))), "|", flush=True)


def _times(line: Line, other: Line) -> float:
    """How many times as long as another, the median of the rounds: machines drift between them."""
    return median(a / b for a, b in zip(line.seconds, other.seconds, strict=True))


def _counted(sampler: Sampler, results: Sequence[Result]) -> list[str]:
    """Evaluations with gradient, and GFLOP, a picture."""
    costs, of = [result.cost for result in results], arithmetic(sampler).of
    gflop = mean(of(asdict(cost)) for cost in costs) / 1e9
    return [f"{mean(cost.gradients for cost in costs):.0f}", f"{gflop:.0f}"]


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
