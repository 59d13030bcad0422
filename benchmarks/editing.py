"""Measure editing muse-mini's scenes.

    python benchmarks/editing.py remedies [--scenes 8] [--names '[paper]']    choose on these
    python benchmarks/editing.py table [--scenes 160] [--strengths [3,12]]    report on these

Scenes are rendered from seeds that no training and no other benchmark takes, each edited towards
one emotion that is not its own, in turn. `remedies` compares what is done about the drift from the
source; `table` measures the preset `edit` and, at other emotion scales, what strength costs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

from muse.backbones import StableDiffusion
from muse.cli import main
from muse.core.emotions import WHEEL
from muse.core.pictures import read_picture
from muse.mini import render
from muse.mini.content import ContentClassifier, named
from muse.runs.finished import load
from muse.runs.records import Record, read_records

REMEDY_SEED, TABLE_SEED = 30_000_000, 31_000_000
ONE_SCALE = "--model.emotion_scale=null --model.guidance_scale"
AT_ONCE, LATE = "--model.timing=Always", "--model.timing.start=0.4"
REMEDIES = {
    "edit": "",
    "edit, no fixed point": "--model.latents.fixed_point=0",
    "edit, 3 fixed points": "--model.latents.fixed_point=3",
    "edit, from the first step": AT_ONCE,
    "edit, later": LATE,
    "edit, later and stronger": f"{LATE} --model.emotion_scale=7.5",
    "edit, gentler": "--model.emotion_scale=2",
    "one scale, 7.5 (the paper)": f"{AT_ONCE} {ONE_SCALE}=7.5",
    "one scale, 2": f"{AT_ONCE} {ONE_SCALE}=2",
    "one scale, 7.5, late": f"{LATE} {ONE_SCALE}=7.5",
}
"""Options beside the preset `edit`'s, by the remedy's name."""
JUDGES = "Emo-A", "Emo-B", "Emo-C", "timm", "judge"
COLUMNS = (*JUDGES, "thing", "place", "CLIP image similarity")


def remedies(
    scenes: int = 24,
    names: Sequence[str] = tuple(REMEDIES),
    output_dir: Path = Path("outputs/editing/remedies"),
) -> None:
    """Run the remedies and write their table, ``table.md``.

    Args:
        scenes: how many pictures.
        names: from `REMEDIES`.
        output_dir: the folder for pictures, runs and table.
    """
    _tabulate({name: REMEDIES[name] for name in names}, scenes, REMEDY_SEED, output_dir)


def table(
    scenes: int = 160,
    strengths: Sequence[float] = (),
    output_dir: Path = Path("outputs/editing/table"),
) -> None:
    """Measure the preset `edit`, and write ``table.md``.

    Args:
        scenes: how many pictures.
        strengths: other emotion scales, a line each.
        output_dir: the folder for pictures, runs and table.
    """
    wanted = {"edit": ""} | {
        f"emotion_scale {s:g}": f"--model.emotion_scale={s:g}" for s in strengths
    }
    _tabulate(wanted, scenes, TABLE_SEED, output_dir)


def _tabulate(variants: dict[str, str], scenes: int, seed: int, folder: Path) -> None:
    paths = write_scenes(scenes, seed, folder)
    thing, place = content_of(paths)
    lines = [
        f"The sources themselves: thing {thing:.1%}, place {place:.1%}.\n",
        f"| | unsteered, PSNR dB: mean | worst | {' | '.join(COLUMNS)} |",
        f"|---|{'---|' * (2 + len(COLUMNS))}",
    ]
    for name, words in variants.items():
        run = folder / name.replace(", ", "-").replace(" ", "-")
        lines.append(f"| {name} | {_row(run, folder / 'jobs.jsonl', words.split())} |")
        (folder / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def write_scenes(count: int, first: int, folder: Path) -> dict[Path, str]:
    """Render scenes into PNGs, with a jobs file beside them; their captions."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, jobs = {}, []
    for number in range(count):
        scene = render(first + number)
        path = folder / f"{first + number}.png"
        Image.fromarray(scene.image).save(path)
        paths[path] = scene.caption
        others = [emotion for emotion in WHEEL if emotion != scene.mood]
        target = WHEEL[number % 8] if WHEEL[number % 8] != scene.mood else others[number % 7]
        job = {"id": f"{first + number}-{target}", "prompt": scene.caption, "emotion": target}
        jobs.append(json.dumps({**job, "seed": number, "image": path.name}))
    (folder / "jobs.jsonl").write_text("\n".join(jobs) + "\n")
    return paths


@torch.no_grad()
def content_of(paths: dict[Path, str]) -> tuple[float, float]:
    """The shares of pictures in which the content classifier finds thing and place."""
    model = ContentClassifier("muse-mini/content.safetensors").eval()
    logits = model(torch.stack([load(path) for path in paths]))
    shares = []
    for part, scores in (("thing", logits.thing), ("place", logits.place)):
        names = model.names[part]
        read = [names[index] for index in scores.argmax(-1).tolist()]
        wanted = [named(caption, names) for caption in paths.values()]
        shares.append(sum(a == b for a, b in zip(read, wanted, strict=True)) / len(paths))
    return shares[0], shares[1]


def _row(folder: Path, jobs: Path, words: Sequence[str]) -> str:
    start = ["fit-free", "--config", "edit", "--data.jobs", str(jobs)]
    where = ["--output_dir", str(folder), "--model.overwrite", "true"]
    code = main([*start, *where, *words]) or main(["evaluate", str(folder)])
    if code:
        raise SystemExit(code)
    found = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    overall = {metric["name"]: metric for metric in found["metrics"]}
    cells = [_cell(overall[name]) for name in COLUMNS]
    kept = [_kept(folder, record) for record in read_records(folder)]
    return f"{sum(kept) / len(kept):.1f} | {min(kept):.1f} | {' | '.join(cells)}"


def _cell(metric: dict[str, Any]) -> str:
    estimate = metric["overall"]["steered"]
    mean, low, high = (format(estimate[key], metric["show"]) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


@torch.no_grad()
def _kept(folder: Path, record: Record) -> float:
    """PSNR of a plain twin against what the autoencoder makes of the source, in dB: no editing in
    its latents can come closer.
    """
    backbone = _backbone()
    source = read_picture(Path(record["image"]), backbone.size)
    best = backbone.decode(backbone.encode(source)).clamp(0, 1)
    made = read_picture(folder / "plain" / f"{record['plain']}.png", backbone.size)
    return float(peak_signal_noise_ratio(made, best, data_range=1.0))


@cache
def _backbone() -> StableDiffusion:
    return StableDiffusion("muse-mini").eval()


if __name__ == "__main__":
    auto_cli([remedies, table])
