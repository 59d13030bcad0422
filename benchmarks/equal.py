"""Which strength of each method is best within the arithmetic of `default`, of a study of them.

muse study configs/studies/frontier.yaml
python benchmarks/equal.py outputs/studies/frontier

Arms are named ``METHOD, STRENGTH``. Of the arms of a method whose mean arithmetic a picture is at
most ``slack`` times that of ``budget`` the one with the highest EC-A is chosen, of equals the one
with the highest Emo-S; a method that has none takes its cheapest.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

from jsonargparse import auto_cli

COLUMNS = "EC-A", "judge", "Emo-S", "CLIP score", "GFLOP"
"""Of the table, in the order that they are shown in."""


def chosen(
    table: dict[str, dict[str, float]], budget: str = "default", slack: float = 1.1
) -> dict[str, str]:
    """Method -> its arm.

    Args:
        table: arm -> column -> mean.
        budget: the arm whose arithmetic is the limit.
        slack: how much of it may be used.
    """
    methods = defaultdict[str, list[str]](list)
    for arm in table:
        name, comma, _ = arm.partition(", ")
        if comma:
            methods[name].append(arm)
    limit = slack * table[budget]["GFLOP"]
    if math.isnan(limit):
        raise SystemExit(f"The arm {budget!r} has no GFLOP in the table, and the budget is its.")
    picked = {}
    for name, arms in methods.items():
        within = [arm for arm in arms if table[arm]["GFLOP"] <= limit]
        cheapest = min(arms, key=lambda arm: table[arm]["GFLOP"])
        picked[name] = max(
            within or [cheapest], key=lambda arm: (table[arm]["EC-A"], table[arm]["Emo-S"])
        )
    return picked


def read(study: Path) -> dict[str, dict[str, float]]:
    """The means of a study over all jobs: arm -> column -> mean, nan where there is none."""
    whole = json.loads((study / "table.json").read_text())["tables"][0]
    names = [column["name"] for column in whole["columns"]]
    return {
        arm: {
            name: math.nan if cell is None or cell["mean"] is None else cell["mean"]
            for name, cell in zip(names, cells, strict=True)
        }
        for arm, cells in whole["rows"].items()
    }


def main(study: Path, budget: str = "default", slack: float = 1.1) -> None:
    """Print the arms of a study with a star at the chosen ones.

    Args:
        study: its folder.
        budget: the arm whose arithmetic is the limit.
        slack: how much of it may be used.
    """
    table = read(study)
    stars = set(chosen(table, budget, slack).values())
    print("| | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for arm, row in table.items():
        cells = " | ".join(f"{row[name]:.4g}" for name in COLUMNS)
        print(f"| {arm}{' *' if arm in stars else ''} | {cells} |")


if __name__ == "__main__":
    auto_cli(main)
