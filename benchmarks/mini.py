"""The table of muse-mini: prompts x 8 emotions, by the plain model, with the emotion's word in the
prompt, and by muse with its presets; every arm by judges that took no part.

    python benchmarks/mini.py table [--set test] [--presets [default,paper]] [--limit 5] \
        [--options '[--model.max_iterations,3]']
    python benchmarks/mini.py rows

`--set development` is what settings are chosen on, `test` what is reported. `rows` tells how far
rows of a batch move each other in float32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentParser, auto_cli
from rich.console import Console
from rich.table import Table

import muse.presets
from muse.cli import main
from muse.emotions import EMOTIONS, WHEEL
from muse.jobs import Job
from muse.metrics.bootstrap import Estimate
from muse.mini.prompts import DEVELOPMENT, TEST_KNOWN, TEST_NEW
from muse.report.evaluation import cell
from muse.sampler import Sampler

SETS = {"development": DEVELOPMENT, "test": TEST_KNOWN + TEST_NEW}


def table(
    set: Literal["development", "test"] = "test",
    presets: Sequence[str] = ("default", "paper"),
    limit: int | None = None,
    options: Sequence[str] = (),
    output_dir: str = "outputs/mini",
    word: bool = True,
) -> None:
    """Make the pictures, evaluate them, and print the table as Markdown.

    Args:
        set: which prompts.
        presets: of muse, one column each.
        limit: only so many prompts.
        options: further ones for every run of muse fit-free.
        output_dir: a folder below it for each arm.
        word: whether to make the column with the emotion's word in the prompt.
    """
    prompts = SETS[set][:limit]
    arms: dict[str, dict[str, Any]] = {}
    if word:
        jobs = Path(output_dir) / "word.jsonl"
        jobs.parent.mkdir(parents=True, exist_ok=True)
        lines = [{"prompt": f"{p}, {e}", "emotion": e} for p in prompts for e in WHEEL]
        jobs.write_text("".join(json.dumps(line) + "\n" for line in lines))
        never = ["--model.timing", "Never", "--model.plain", "false", "--data.jobs", str(jobs)]
        arms["emotion word"] = _made("default", Path(output_dir) / "word", never)
    lists = ["--data.prompts", json.dumps(prompts), "--data.emotions", json.dumps(WHEEL)]
    for preset in presets:
        arms[preset] = _made(preset, Path(output_dir) / preset, [*lists, *options])
    _show(arms, presets)


def _made(preset: str, folder: Path, words: list[str]) -> dict[str, Any]:
    """Run an arm, evaluate it, and read what came out."""
    start = ["--config", preset, "--output_dir", str(folder), "--model.overwrite", "true"]
    for command in (["fit-free", *start, *words], ["evaluate", str(folder)]):
        code = main(command)
        if code:
            raise SystemExit(code)
    found: dict[str, Any] = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    return found


def _show(arms: dict[str, dict[str, Any]], presets: Sequence[str]) -> None:
    names = [metric["name"] for metric in arms[presets[0]]["metrics"]]
    made = Table("metric", "plain", *arms)
    for name in names:
        for group in ("all", "seen pair", "unseen pair"):
            made.add_row(f"{name}, {group}", *_cells(arms, presets[0], name, group))
    Console(width=160).print(made)


def _cells(arms: dict[str, dict[str, Any]], first: str, name: str, group: str) -> list[str]:
    found = [_estimates(arms[first], name, group).get("plain")]
    found += [_estimates(arm, name, group).get("steered") for arm in arms.values()]
    share = name not in ("ClipScore", "CLIP score")
    return [cell(estimate, ".1%" if share else ".1f") for estimate in found]


def _estimates(arm: dict[str, Any], name: str, group: str) -> dict[str, Estimate]:
    for metric in arm["metrics"]:
        if metric["name"] == name:
            part = metric["overall"] if group == "all" else metric["groups"].get(group, {})
            nan = float("nan")
            return {
                key: Estimate(**{k: nan if v is None else v for k, v in values.items()})
                for key, values in part.items()
            }
    return {}


def rows(prompts: Sequence[str] = DEVELOPMENT) -> None:
    """Print how far pictures move between being made alone and six together, float32."""
    settings = yaml.safe_load((Path(muse.presets.__path__[0]) / "default.yaml").read_text())
    parser = ArgumentParser()
    parser.add_class_arguments(Sampler)
    sampler = parser.instantiate_classes(parser.parse_object(settings["model"])).as_dict()
    made = Sampler(**sampler)
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
    auto_cli([table, rows])
