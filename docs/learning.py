"""How muse-mini's UNet learned: the loss, and one noise and prompt at checkpoints along the way.

python docs/learning.py '[CKPT, ...]'    docs/learning.png
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import matplotlib
import torch
from jsonargparse import auto_cli
from matplotlib import pyplot as plt

from muse.backbones import StableDiffusion
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.presets.building import preset
from muse.sampling import Sampler
from muse.schedulers import Never

FOLDER = Path(__file__).parent
PROMPTS = "a dog in a park", "a lighthouse on a beach", "a bird in a garden", "a car in a city"
"""As in docs/pictures.py, chosen before they were seen."""


def learning(checkpoints: list[str], run: str = "runs/mini") -> None:
    """Draw it.

    Args:
        checkpoints: of `muse fit --config configs/mini/diffusion.yaml`, in their order.
        run: the recipe's folder: a pipeline, with the curves beside it.
    """
    matplotlib.use("Agg")
    backbone = StableDiffusion(run)
    others = preset("default", without={"backbone", "timing"})
    sampler = Sampler(backbone, **others, timing=Never(), steps=25)
    figure = plt.figure(figsize=(9, 2.2 + 2.1 * len(checkpoints)), layout="constrained")
    top, below = figure.subfigures(2, 1, height_ratios=[2.2, 2.1 * len(checkpoints)])
    axis = top.subplots()
    steps, train, held = _curve(Path(run) / "diffusion")
    axis.plot(steps, train, color="#b9b4a8", linewidth=1, label="training, 20 steps each")
    axis.plot(*zip(*held, strict=True), "o-", color="#c2452d", label="held out, averaged weights")
    axis.set(xlabel="steps of 64 scenes", ylabel="loss", ylim=(0.32, 0.44))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    rows = below.subplots(len(checkpoints), len(PROMPTS), squeeze=False)
    for row, checkpoint in zip(rows, checkpoints, strict=True):
        step = _load(backbone.model, checkpoint)
        jobs = [Job(str(i), prompt, None, i) for i, prompt in enumerate(PROMPTS)]
        made = {result.job.id: result.image for result in sampler.sample(jobs, len(jobs))}
        for cell, job in zip(row, jobs, strict=True):
            cell.imshow(made[job.id][0].clamp(0, 1).permute(1, 2, 0))
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        row[0].set_ylabel(f"step {step}")
    for cell, prompt in zip(rows[-1], PROMPTS, strict=True):
        cell.set_xlabel(prompt)
    figure.savefig(FOLDER / "learning.png", dpi=110)


def _curve(folder: Path) -> tuple[list[int], list[float], list[tuple[int, float]]]:
    """Steps and losses in training, and (step, loss) of held-out scenes, of all that the folder has
    logged; of a step that was made again the last.
    """
    train, held = dict[int, float](), dict[int, float]()
    files = folder.glob("lightning_logs/version_*/metrics.csv")
    for file in sorted(files, key=lambda file: file.stat().st_mtime):
        with file.open() as lines:
            for line in csv.DictReader(lines):
                for into, name in ((train, "train/loss"), (held, "val/loss")):
                    if line.get(name):
                        into[int(line["step"])] = float(line[name])
    if not held:
        raise MuseError(f"{str(folder)!r} has no curve. Give the folder that the recipe wrote.")
    steps = sorted(train)
    return steps, [train[step] for step in steps], sorted(held.items())


def _load(unet: Any, checkpoint: str) -> int:
    """Put a checkpoint's averaged weights into the UNet; its step."""
    found = torch.load(checkpoint, map_location="cpu", weights_only=False)
    own = {name.removeprefix("unet."): value for name, value in found["state_dict"].items()
           if name.startswith("unet.")}  # fmt: skip
    unet.load_state_dict(own)
    return int(found["global_step"])


if __name__ == "__main__":
    auto_cli(learning)
