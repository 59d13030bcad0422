"""How full the shared calls are: pictures in a call over slots, weighted by how long calls take.

python benchmarks/occupancy.py                # 64 jobs of muse-mini in 8 slots
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from jsonargparse import auto_cli

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.mini.captions import DEVELOPMENT
from muse.presets.building import preset
from muse.sampling import Sampler
from muse.sampling.stacking import rows_of


def occupancy(jobs: int = 64, slots: int = 8, config: str = "default", steps: int = 50) -> None:
    """Print it, of all calls and by what they do.

    Args:
        jobs: how many pictures, of the development prompts and all emotions in turn.
        slots: how many rows share a call.
        config: a preset.
        steps: of sampling.
    """
    sampler = Sampler(**{**preset(config), "steps": steps})
    seconds: dict[str, float] = defaultdict(float)
    filled: dict[str, float] = defaultdict(float)
    answer = sampler.answers._answer

    def timed(group: list[Any]) -> Sequence[Any]:
        begun = time.perf_counter()
        found = answer(group)
        took = time.perf_counter() - begun
        for name in ("all", type(group[0]).__name__):
            seconds[name] += took
            filled[name] += took * rows_of(group) / slots
        return found

    sampler.answers._answer = timed  # type: ignore[method-assign]
    work = [
        Job(str(i), DEVELOPMENT[i % len(DEVELOPMENT)], {EMOTIONS[i % 8]: 1.0}, i)
        for i in range(jobs)
    ]
    for _ in sampler.sample(work, slots):
        pass
    for name, took in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"{name}: {filled[name] / took:.0%} full, {took / seconds['all']:.0%} of the time")


if __name__ == "__main__":
    auto_cli(occupancy)
