"""Whether more intensity shows more of the emotion: of a study whose arms are intensities.

muse study configs/studies/intensity.yaml
python benchmarks/rising.py outputs/studies/intensity

For each emotion the judge's mean probability at each level, and the steps that fall beyond their
paired 95 % interval (bootstrap over prompts); Spearman's correlation of level and probability, for
each prompt of the mean over its emotions and for each prompt with each emotion; and thing and place
at each level, as a share of level 0's.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Hashable
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from torchmetrics.functional import spearman_corrcoef

from muse.metrics.bootstrap import difference_name, estimates

Table = dict[str, dict[tuple[str, str], float]]
"""Level -> (prompt, emotion) -> value."""


def read(study: Path, column: str) -> Table:
    """One column of a study's pictures.csv."""
    found: Table = defaultdict(dict)
    with (study / "pictures.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row[column]:  # empty where a picture can't be read, or a prompt names no such part
                found[row["arm"]][row["prompt"], row["target"]] = float(row[column])
    return dict(sorted(found.items(), key=lambda pair: float(pair[0])))


def falls(table: Table, emotion: str) -> list[str]:
    """The levels at which an emotion's mean is below the one before, beyond the paired interval."""
    told = []
    for before, after in pairwise(table):
        keys = [key for key in table[after] if key[1] == emotion and key in table[before]]
        values = {arm: np.array([table[arm][key] for key in keys]) for arm in (before, after)}
        found = estimates(values, [prompt for prompt, _ in keys], relative=False, base=before)
        if found[difference_name(after, before, 2)].high < 0:
            told.append(after)
    return told


def correlations(table: Table, of: Callable[[tuple[str, str]], Hashable]) -> list[float]:
    """Spearman's correlation of level and mean probability, for each group of pictures; ascending.

    Args:
        table: the probabilities.
        of: (prompt, emotion) -> its group.
    """
    levels = torch.tensor([float(level) for level in table])
    groups: dict[Hashable, list[list[float]]] = defaultdict(list)
    for key in set.intersection(*(set(values) for values in table.values())):
        groups[of(key)].append([values[key] for values in table.values()])
    return sorted(
        float(spearman_corrcoef(torch.tensor(np.mean(rows, 0)), levels)) for rows in groups.values()
    )


def main(study: Path, judge: str = "judge: p_target") -> None:
    """Print all of it.

    Args:
        study: its folder.
        judge: the column of probabilities.
    """
    table = read(study, judge)
    print("| |", " | ".join(table), "| falls |")
    print("|---" * (len(table) + 2) + "|")
    for emotion in sorted({key[1] for key in next(iter(table.values()))}):
        means = [
            np.mean([p for key, p in of.items() if key[1] == emotion]) for of in table.values()
        ]
        told = ", ".join(falls(table, emotion)) or "none"
        print(f"| {emotion} |", " | ".join(f"{mean:.3f}" for mean in means), f"| {told} |")
    means = [np.mean(list(of.values())) for of in table.values()]
    print("| all |", " | ".join(f"{mean:.3f}" for mean in means), "| |")
    print()
    for told, group in (("prompt's mean", itemgetter(0)), ("picture's", itemgetter(0, 1))):
        each = correlations(table, group)
        print(f"Spearman of a {told}: median {np.median(each):.2f}, least {each[0]:.2f}")
    for part in ("thing", "place"):
        shares = [np.mean(list(of.values())) for of in read(study, part).values()]
        kept = " ".join(f"{share / shares[0]:.1%}" for share in shares)
        print(f"{part} kept, of level 0's: {kept}")


if __name__ == "__main__":
    auto_cli(main)
