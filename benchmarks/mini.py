"""Measure muse-mini: 5 prompts x 8 emotions by the guide and by a judge that took no part, and
how far a row moves with its batch in float32.

    python benchmarks/mini.py [--output_dir outputs/mini] [options of muse fit-free]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor

from muse.cli import main
from muse.emotions import EMOTIONS
from muse.guides import ClipSimilarity, ConvNet, Guide
from muse.jobs import Job
from muse.mini import PLACES, THINGS, content_caption
from muse.pictures import read_picture
from muse.records import Record, read_records, target_probability
from muse.sampler import Sampler

PROMPTS = [
    "a dog in a park",
    "a house in a cemetery",
    "a boat on a beach",
    "a cat in a forest",
    "a bicycle on a street",
]
SIZE = (64, 64)


def measure(folder: Path) -> None:
    """Print the accuracies of a run's folder."""
    records = read_records(folder)
    steered = pictures(folder / "images", [record["id"] for record in records])
    plain = pictures(folder / "plain", [record["plain"] for record in records])
    judge = ConvNet("muse-mini/judge.safetensors").eval()
    print(f"{len(records)} pictures, plain / steered:")
    before = sum(hits(record, "plain_probabilities") for record in records) / len(records)
    after = sum(hits(record, "probabilities") for record in records) / len(records)
    p = sum(target_probability(record) or 0 for record in records) / len(records)
    print(f"  on target by the guide   {before:.1%} / {after:.1%} (mean probability {p:.2f})")
    judged = [accuracy(judge, images, records) for images in (plain, steered)]
    print(f"  on target by the judge   {judged[0]:.1%} / {judged[1]:.1%}")
    for name, index in (("thing", 0), ("place", 1)):
        kept = [content(images, records, index) for images in (plain, steered)]
        print(f"  {name} by muse-mini's CLIP  {kept[0]:.1%} / {kept[1]:.1%}")


def rows_with_the_batch() -> None:
    """Print how far pictures move between being made alone and six together, float32."""
    settings = yaml.safe_load(Path("configs/quickstart.yaml").read_text())["model"]
    parser = ArgumentParser()
    parser.add_class_arguments(Sampler)
    sampler = parser.instantiate_classes(parser.parse_object(settings)).as_dict()
    made = Sampler(**sampler)
    for kind, emotions in (("plain", [None] * 6), ("steered", EMOTIONS[:6])):
        jobs = [
            Job(str(i), PROMPTS[i % 5], None if e is None else {e: 1.0}, i)
            for i, e in enumerate(emotions)
        ]
        alone = {r.job.id: r.image for job in jobs for r in made.sample([job], 1)}
        gaps = [
            float((result.image - alone[result.job.id]).abs().max())
            for result in made.sample(jobs, 6)
            if result.image is not None
        ]
        told = ", ".join(f"{gap:.1e}" for gap in sorted(gaps))
        print(f"  {kind} rows, alone against 6 together, largest pixel difference: {told}")


def pictures(folder: Path, ids: list[str]) -> Tensor:
    """The pictures called `ids`, (N, 3, 64, 64)."""
    return torch.cat([read_picture(folder / f"{name}.png", SIZE) for name in ids])


def hits(record: Record, key: str) -> bool:
    """Whether the likeliest emotion is the target."""
    return max(record[key], key=record[key].get) in record["target"]


@torch.no_grad()
def accuracy(judge: Guide, images: Tensor, records: list[Record]) -> float:
    """The share of pictures that a classifier reads as their target."""
    read = [EMOTIONS[index] for index in judge.read(images).argmax(-1).tolist()]
    return sum(e in r["target"] for e, r in zip(read, records, strict=True)) / len(records)


@torch.no_grad()
def content(images: Tensor, records: list[Record], part: int) -> float:
    """The share of pictures whose thing (part 0) or place (1) CLIP tells from all others."""
    similarity = ClipSimilarity("muse-mini/clip")
    kept = 0
    pairs = {content_caption(thing, place): (thing, place) for thing in THINGS for place in PLACES}
    for image, record in zip(images, records, strict=True):
        true = pairs[record["prompt"]]
        rivals = [caption for caption, pair in pairs.items() if pair[1 - part] == true[1 - part]]
        scores = similarity(image[None].expand(len(rivals), -1, -1, -1), rivals)
        kept += rivals[int(scores.argmax())] == record["prompt"]
    return kept / len(records)


if __name__ == "__main__":
    folder = Path("outputs/mini")
    words = ["--config", "configs/quickstart.yaml", "--output_dir", str(folder)]
    words += ["--data.prompts", json.dumps(PROMPTS), "--model.overwrite", "true"]
    code = main(["fit-free", *words, *sys.argv[1:]])
    if code == 0:
        measure(folder)
        rows_with_the_batch()
    sys.exit(code)
