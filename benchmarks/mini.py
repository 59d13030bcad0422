"""The table of muse-mini: prompts x 8 emotions, by the plain model, with the emotion's word in the
prompt, and by muse with its presets; every arm from the same noise, by the same judges.

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

import muse.presets
from muse.cli import main
from muse.core.emotions import EMOTIONS, WHEEL
from muse.core.jobs import Job, derive_seed
from muse.metrics.bootstrap import Estimate
from muse.mini.captions import DEVELOPMENT, TEST_KNOWN, TEST_NEW
from muse.report.evaluation import cell
from muse.runs.records import read_records, write_record
from muse.sampling import Sampler

SETS = {"development": DEVELOPMENT, "test": TEST_KNOWN + TEST_NEW}
GROUPS = {"all": "", "seen pair": ", seen pairs", "unseen pair": ", unseen pairs"}


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
        presets: of muse, a column each.
        limit: only so many prompts, evenly from the list.
        options: further ones for every run of muse fit-free.
        output_dir: a folder below it for each arm.
        word: whether to make the column with the emotion's word in the prompt.
    """
    prompts, root = SETS[set], Path(output_dir)
    if limit is not None:
        prompts = prompts[:: max(1, len(prompts) // limit)][:limit]
    arms: dict[str, dict[str, Any]] = {}
    lists = ["--data.prompts", json.dumps(prompts), "--data.emotions", json.dumps(WHEEL)]
    for preset in presets:
        _run(preset, root / preset, [*lists, *options])
        arms[preset] = _evaluated(root / preset)
    if word:
        arms["emotion word"] = _with_the_word(prompts, root / "word", options)
    _show(arms, presets[0])


def _with_the_word(prompts: Sequence[str], folder: Path, options: Sequence[str]) -> dict[str, Any]:
    """The plain model on "a dog in a park, awe", measured as "a dog in a park"."""
    jobs = folder.with_name("word.jsonl")
    jobs.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"prompt": f"{prompt}, {emotion}", "emotion": emotion, "seed": derive_seed(0, prompt)}
        for prompt in prompts
        for emotion in WHEEL
    ]
    jobs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    never = ["--model.timing", "Never", "--model.plain", "false", "--data.jobs", str(jobs)]
    _run("default", folder, [*options, *never])
    for record in read_records(folder):
        write_record(folder, {**record, "prompt": record["prompt"].rpartition(", ")[0]})
    return _evaluated(folder)


def _run(preset: str, folder: Path, words: list[str]) -> None:
    start = ["--config", preset, "--output_dir", str(folder), "--model.overwrite", "true"]
    code = main(["fit-free", *start, *words])
    if code:
        raise SystemExit(code)


def _evaluated(folder: Path) -> dict[str, Any]:
    code = main(["evaluate", str(folder)])
    if code:
        raise SystemExit(code)
    found: dict[str, Any] = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    return found


def _show(arms: dict[str, dict[str, Any]], first: str) -> None:
    """Means with their intervals and, below, how much of the plain pictures' is kept."""
    print(f"| | plain | {' | '.join(arms)} |\n|---|{'---|' * (1 + len(arms))}")
    for metric in arms[first]["metrics"]:
        for group, said in GROUPS.items():
            found = [_estimates(arm, metric["name"], group) for arm in arms.values()]
            means = [found[0].get("plain"), *(part.get("steered") for part in found)]
            told = " | ".join(cell(mean, metric["show"]) for mean in means)
            print(f"| {metric['name']}{said} | {told} |")
            if any("ratio" in part for part in found):
                kept = " | ".join(cell(part.get("ratio"), ".1%") for part in found)
                print(f"| of plain's{said} | | {kept} |")


def _estimates(arm: dict[str, Any], name: str, group: str) -> dict[str, Estimate]:
    nan = float("nan")
    for metric in arm["metrics"]:
        if metric["name"] == name:
            part = metric["overall"] if group == "all" else metric["groups"].get(group, {})
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
    sampler = parser.instantiate(parser.parse_object(settings["model"])).as_dict()
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
