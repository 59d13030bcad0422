"""How far muse-mini's rows move each other in float32, where they share a batch.

python benchmarks/batches.py
"""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import auto_cli

from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.mini.captions import DEVELOPMENT
from muse.presets.building import preset
from muse.sampling import Sampler


def rows(prompts: Sequence[str] = DEVELOPMENT) -> None:
    """Print how far pictures move between being made alone and six together, float32."""
    made = Sampler(**preset("default"))
    for kind, emotions in (("plain", [None] * 6), ("steered", EMOTIONS[:6])):
        jobs = [
            Job(str(i), prompts[i % len(prompts)], None if e is None else {e: 1.0}, i)
            for i, e in enumerate(emotions)
        ]
        alone = {r.job.id: r.image for job in jobs for r in made.sample([job], 1)}
        gaps = [
            float((result.image - alone[result.job.id]).abs().max())
            for result in made.sample(jobs, 6)
            if result.image is not None
        ]
        told = ", ".join(f"{gap:.1e}" for gap in sorted(gaps))
        print(f"{kind} rows, alone against 6 together, largest pixel difference: {told}")


if __name__ == "__main__":
    auto_cli(rows)
