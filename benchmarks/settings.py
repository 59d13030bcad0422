"""Choose muse-mini's settings: one changed at a time, on the development prompts.

    python benchmarks/settings.py [--groups [tokens,lr]] [--emotions 2]

Every variant is the preset `default` with a few options changed, a run of muse fit-free in a folder
of its own; a run that is there already, of the same preset and weights, is not made again. The
tables go to ``settings.md``.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

import muse
from muse.cli import main
from muse.core.emotions import WHEEL
from muse.core.jobs import derive_seed
from muse.mini.captions import DEVELOPMENT
from muse.runs.records import read_records

STEERING, TIMING, LOSS = "--model.steering.", "--model.timing.", "--model.loss."
GUIDE = (
    "--model.guide SimEmo --model.guide.clip=muse-mini/clip "
    "--model.guide.checkpoint=muse-mini/guides/simemo.safetensors"
)
GROUPS: dict[str, dict[str, str]] = {
    "default": {"as it is": ""},
    "guidance_scale": {s: f"--model.guidance_scale={s}" for s in ("3", "7.5")},
    "emotion_scale": {s: f"--model.emotion_scale={s}" for s in ("2.5", "7.5")},
    "tokens": {n: f"{STEERING}tokens={n}" for n in ("1", "2", "8")},
    "lr": {lr: f"{STEERING}lr={lr}" for lr in ("0.03", "0.1", "0.4")},
    "decay_over": {"iteration": f"{STEERING}decay_over=iteration"},
    "scale": {s: f"{STEERING}scale={s}" for s in ("0.005", "0.1")},
    "max_iterations": {n: f"--model.max_iterations={n}" for n in ("1", "4")},
    "tolerance": {t: f"--model.tolerance={t}" for t in ("1e-4", "0.5")},
    "keep": {"last": "--model.keep=last"},
    "guided_x0": {"false": "--model.guided_x0=false"},
    "eta": {f"{s}, latest_start null": f"{TIMING}eta={s} {TIMING}latest_start=null" for s in (
        "58", "62", "66"
    )},
    "latest_start": {s: f"{TIMING}latest_start={s}" for s in ("0", "0.24", "0.4")},
    "look_ahead": {
        f"{n}, latest_start 0.6": f"{TIMING}latest_start=0.6 {TIMING}look_ahead={n}"
        for n in ("0", "4")
    },
    "content": {c: f"{LOSS}content_weight={c}" for c in ("0", "1", "3")},
    "content_floor": {s: f"{LOSS}content_floor={s}" for s in ("null", "64", "80")},
    "lambdas": {
        "0": f"{LOSS}inherent_weight=0 {LOSS}similar_weight=0",
        "x 100": f"{LOSS}inherent_weight=0.05 {LOSS}similar_weight=0.15",
    },
    "similar_rule": {"same_polarity, lambdas x 100": f"{LOSS}similar_rule=same_polarity "
                     f"{LOSS}inherent_weight=0.05 {LOSS}similar_weight=0.15"},
    "guide": {"SimEmo alone": GUIDE},
}  # fmt: skip
"""Variants by the option that they change, as words for muse fit-free."""
COLUMNS = {
    "Emo-A": "steered", "Emo-B": "steered", "Emo-C": "steered", "timm": "steered",
    "judge": "steered", "thing": "steered", "place": "steered", "CLIP score": "ratio",
}  # fmt: skip


def measure(
    groups: Sequence[str] = tuple(GROUPS),
    emotions: int = 1,
    output_dir: Path = Path("outputs/settings"),
    extra: dict[str, str] | None = None,
) -> None:
    """Run the variants and write the tables.

    Args:
        groups: names from `GROUPS`.
        emotions: targets of each prompt, taken in turn from the wheel.
        output_dir: the folder for runs and tables.
        extra: further variants, name to options, as a group of their own.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    jobs = output_dir / f"jobs-{emotions}.jsonl"
    jobs.write_text("".join(json.dumps(job) + "\n" for job in development_jobs(emotions)))
    wanted = {name: GROUPS[name] for name in groups}
    if extra:
        wanted["extra"] = extra
    head = f"| | {' | '.join(COLUMNS)} | s |\n|---|{'---|' * (1 + len(COLUMNS))}"
    lines = [head]
    for group, variants in wanted.items():
        for name, words in variants.items():
            folder = output_dir / f"{group}-{name}-{emotions}".replace(" ", "-").replace(",", "")
            figures = row(folder, jobs, shlex.split(words))
            lines.append(f"| {group}: {name} | {figures} |")
            print(lines[-1], flush=True)
            (output_dir / "settings.md").write_text("\n".join(lines) + "\n")


def development_jobs(emotions: int) -> list[dict[str, Any]]:
    """Each prompt with so many targets; all targets equally often where that divides."""
    return [
        {"prompt": prompt, "emotion": WHEEL[(emotions * i + j * 3) % 8], "seed": seed}
        for i, prompt in enumerate(DEVELOPMENT)
        for seed in [derive_seed(0, prompt)]
        for j in range(emotions)
    ]


def row(folder: Path, jobs: Path, words: Sequence[str]) -> str:
    """One variant's figures: shares of pictures, of plain's CLIP score, seconds a picture with
    what its plain twin took.
    """
    file, note = folder / "evaluation" / "evaluation.json", folder / "made.json"
    of = [*words, _digest()]
    if not file.is_file() or not note.is_file() or json.loads(note.read_text())["of"] != of:
        start = ["fit-free", "--config", "default", "--data.jobs", str(jobs)]
        begun = time.perf_counter()
        code = main([*start, "--output_dir", str(folder), "--model.overwrite", "true", *words])
        seconds = (time.perf_counter() - begun) / len(read_records(folder))
        code = code or main(["evaluate", str(folder)])
        if code:
            raise SystemExit(code)
        note.write_text(json.dumps({"of": of, "seconds": seconds}))
    overall = {part["name"]: part["overall"] for part in json.loads(file.read_text())["metrics"]}
    shares = [f"{overall[name][part]['mean']:.1%}" for name, part in COLUMNS.items()]
    return f"{' | '.join(shares)} | {json.loads(note.read_text())['seconds']:.1f}"


def _digest() -> str:
    """Of what all runs share: the preset, and muse-mini's weights."""
    package = Path(muse.__file__).parent
    shared = package / "presets" / "default.yaml", package / "mini" / "pipeline" / "digests.json"
    return hashlib.sha256(b"".join(path.read_bytes() for path in shared)).hexdigest()


if __name__ == "__main__":
    auto_cli(measure)
