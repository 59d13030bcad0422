"""Measure editing: what inversion loses, and what each remedy for guidance does about it.

    python benchmarks/editing.py [--scenes 20] [--remedies '[low guidance]'] [-- fit-free options]

Held-out scenes are inverted and sampled again, plain and towards every emotion, each remedy in a
run folder of its own that `muse evaluate` reads. The table compares plain twins (inverted and
sampled again, unsteered) with the autoencoder's own reconstruction of the picture.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from jsonargparse import auto_cli
from PIL import Image
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from muse.backbones import StableDiffusion
from muse.cli import main
from muse.emotions import EMOTIONS
from muse.mini import render
from muse.pictures import read_picture
from muse.records import Record, on_target, read_records

FIRST_SEED = 9_000_000
AT_ONCE = "--model.timing=Always"
LATE = "--model.timing=StepWindow --model.timing.start=25"
REMEDIES = {
    "guidance 1": "--model.guidance_scale=1 --model.emotion_scale=null --model.timing=Never",
    "paper": f"{AT_ONCE} --model.guidance_scale=7.5 --model.emotion_scale=null",
    "low guidance": f"{AT_ONCE} --model.guidance_scale=2 --model.emotion_scale=null",
    "late start": f"{LATE} --model.guidance_scale=7.5 --model.emotion_scale=null",
    "negative prompt": f"{AT_ONCE} --model.guidance_scale=1 --model.emotion_scale=7.5",
    "negative prompt, gentle": f"{AT_ONCE} --model.guidance_scale=1 --model.emotion_scale=3",
    "negative prompt, late start": f"{LATE} --model.guidance_scale=1 --model.emotion_scale=7.5",
    "preset edit": "",
}


def measure(
    scenes: int = 20,
    emotions: list[str] = list(EMOTIONS),  # noqa: B006
    remedies: list[str] = list(REMEDIES),  # noqa: B006
    fixed_points: list[int] = [0, 1, 3],  # noqa: B006
    output_dir: Path = Path("outputs/editing"),
) -> None:
    """Run the remedies and write the table, ``table.md``.

    Args:
        scenes: how many pictures.
        emotions: the targets.
        remedies: names from `REMEDIES`.
        fixed_points: fixed-point iterations of the inversion, for each remedy.
        output_dir: the folder for pictures, runs and table.
    """
    pictures = write_scenes(scenes, emotions, output_dir)
    expected = reconstructions(pictures)
    lines = [
        "| remedy | fixed point | plain twin, PSNR dB: mean | worst | read as the target | s |",
        "|---|---|---|---|---|---|",
    ]
    for name in remedies:
        for count in fixed_points if name != "preset edit" else [None]:
            folder = output_dir / f"{name.replace(', ', '-').replace(' ', '-')}-{count}"
            words = REMEDIES[name].split()
            words += [] if count is None else [f"--model.latents.fixed_point={count}"]
            line = run(folder, output_dir, words, expected)
            lines.append(f"| {name} | {'as it is' if count is None else count} | {line} |")
            (output_dir / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    print(f"\nThe edits: muse evaluate {output_dir}/REMEDY-FIXED_POINT")


def write_scenes(count: int, emotions: list[str], folder: Path) -> list[Path]:
    """Render held-out scenes into PNGs, with a jobs file beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, jobs = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = render(seed)
        paths.append(folder / f"{seed}.png")
        Image.fromarray(scene.image).save(paths[-1])
        for emotion in emotions:
            job = {"id": f"{seed}-{emotion}", "prompt": scene.caption, "emotion": emotion}
            jobs.append(json.dumps({**job, "seed": seed, "image": paths[-1].name}))
    (folder / "jobs.jsonl").write_text("\n".join(jobs) + "\n")
    return paths


@torch.no_grad()
def reconstructions(paths: list[Path]) -> dict[str, Tensor]:
    """What the autoencoder makes of each picture, (1, 3, H, W), by the picture's name."""
    backbone = StableDiffusion("muse-mini").eval()
    images = {path.name: read_picture(path, backbone.size) for path in paths}
    return {name: backbone.decode(backbone.encode(image)) for name, image in images.items()}


def run(folder: Path, source: Path, words: list[str], expected: dict[str, Tensor]) -> str:
    """Make the edits of one setting; its row of the table."""
    common = ["--config", "edit", "--data.jobs", str(source / "jobs.jsonl")]
    common += ["--output_dir", str(folder), "--model.overwrite", "true"]
    code = main(["fit-free", *common, *words, *OPTIONS])
    if code:
        sys.exit(code)
    records = read_records(folder)
    twins = {record["plain"]: record for record in records}.values()
    psnr = torch.stack([kept(folder, record, expected) for record in twins])
    hits = sum(bool(on_target(record)) for record in records) / len(records)
    seconds = sum(record["seconds"] for record in records) / len(records)
    return f"{psnr.mean():.1f} | {psnr.min():.1f} | {hits:.0%} | {seconds:.1f}"


def kept(folder: Path, record: Record, expected: dict[str, Tensor]) -> Tensor:
    """PSNR of a plain twin against the autoencoder's reconstruction, in dB."""
    target = expected[Path(record["image"]).name].clamp(0, 1)
    made = read_picture(folder / "plain" / f"{record['plain']}.png", tuple(target.shape[-2:]))
    return peak_signal_noise_ratio(made, target, data_range=1.0)


if __name__ == "__main__":
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    OPTIONS = words[at + 1 :]
    auto_cli(measure, args=words[:at])
