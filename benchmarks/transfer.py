"""One setting of the search on models, guides and schedules that it was not chosen on.

python -m benchmarks.transfer                               hours; the same command goes on
python -m benchmarks.transfer --cases '[toy, toy flow]'     minutes
python -m benchmarks.transfer --rules '[Adam 0.1, Polyak]'  some columns; others are gone on with

In each case the rules of `RULES`, as they are, stand beside Adam at each of `RATES`, the best of
which is what a search for that very case would find. Whether the target is reached says the guide
that steers; on muse-mini a judge that never guides says it too, and a classifier whether thing and
place are the prompt's.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli

from benchmarks.steps import jobs as development
from benchmarks.steps import stretched
from muse.backbones import BayesGuide, GaussianMixture, PlaceSimilarity, StableDiffusion3
from muse.backbones.toy.mixture import CONTENTS
from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.results import Result
from muse.guides import ConvNet, EmoGen, Guide, TimmClassifier, ZeroShotClip
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.mini.content import ContentClassifier, named
from muse.presets.building import preset
from muse.pretrained.packaged import PACKAGED
from muse.sampling import Sampler
from muse.schedulers import ClipThreshold
from muse.steering import Adam, LineSearch, Polyak, StepRule, TextShift

FLOW = "muse-mini-flow"
REACH = 0.2
RATES = 0.02, 0.05, 0.1, 0.2, 0.5
SEARCH = partial(TextShift, template="{prompt}, {emotion}")
"""That of the preset `default`, but for how far it steps."""
RULES: dict[str, tuple[Callable[[], StepRule], dict[str, Any]]] = {
    **{f"Adam {rate:g}": (partial(Adam, rate), {}) for rate in RATES},
    "Polyak": (partial(Polyak, reach=REACH), {}),
    "LineSearch": (partial(LineSearch, reach=REACH, trials=2), {"max_iterations": 5}),
}
"""Name -> the rule, and what else it changes of a sampler's parts: trials count as iterations."""


@dataclass
class Row:
    """What a picture came to: whether guide, judge, thing and place are right (1 or 0), the guide's
    probability of the target, and evaluations with gradient.
    """

    reached: float
    judged: float
    content: float
    p: float
    gradients: float


@dataclass
class Case:
    """A model, a guide or a schedule.

    Attributes:
        parts: of the sampler, but for the steering.
        jobs: what is made.
        content: whether thing and place of a result are its prompt's.
        judge: that never guides; None where the guide is the truth itself.
    """

    parts: dict[str, Any]
    jobs: list[Job]
    content: Callable[[Result], bool]
    judge: Guide | None = None


def toy(flow: bool) -> Case:
    """The exact mixture: its guide is the posterior itself."""
    parts = {
        "backbone": GaussianMixture(2, flow),
        "guide": BayesGuide(2),
        "timing": ClipThreshold(60.0),
        "loss": MultiEmotionLoss(),
        "latents": GaussianNoise(),
        "similarity": PlaceSimilarity(2),
        "max_iterations": 2,
        "tolerance": 0.3,
    }
    places = list(CONTENTS)
    work = [
        Job(str(i), f"a walk in the {places[i % len(places)]}", {EMOTIONS[i % 8]: 1.0}, i)
        for i in range(64)
    ]

    def kept(result: Result) -> bool:
        p = parts["backbone"].posterior(result.image)[0]  # type: ignore[attr-defined]
        return places[int(p.sum(1).argmax())] in result.job.prompt

    return Case(parts, work, kept)


def mini(count: int, **changed: Any) -> Case:
    """muse-mini with the preset `default`, some of it changed."""
    without = frozenset({"steering", *(changed.keys() & {"backbone", "guide"})})
    parts = {**preset("default", without), **changed}
    classifier = ContentClassifier("muse-mini/content.safetensors").eval()

    @torch.no_grad()
    def kept(result: Result) -> bool:
        found = classifier(result.image)
        right = []
        for part, names in classifier.names.items():
            wanted = named(result.job.prompt, names)
            right.append(names[int(getattr(found, part).argmax())] == wanted)
        return all(right)

    judge = ConvNet("muse-mini/judge.safetensors").eval()
    return Case(parts, development()[:count], kept, judge)


def _stretched(count: int) -> Case:
    case = mini(count)
    stretched(Sampler(**case.parts, steering=SEARCH()))
    return case


CASES: dict[str, Callable[[int], Case]] = {
    "toy": lambda count: toy(flow=False),
    "toy flow": lambda count: toy(flow=True),
    "default": lambda count: mini(count),
    "zero-shot CLIP": lambda count: mini(count, guide=ZeroShotClip("muse-mini/clip")),
    "EmoGen": lambda count: mini(
        count, guide=EmoGen("muse-mini/clip", "muse-mini/guides/emogen.safetensors")
    ),
    "timm alone": lambda count: mini(
        count, guide=TimmClassifier(checkpoint="muse-mini/guides/timm.safetensors")
    ),
    "12 steps": lambda count: mini(count, steps=12),
    "25 steps": lambda count: mini(count, steps=25),
    "100 steps": lambda count: mini(count, steps=100),
    "guidance 2": lambda count: mini(count, guidance_scale=2.0),
    "guidance 7.5": lambda count: mini(count, guidance_scale=7.5),
    "stretched text": _stretched,
}
if FLOW in PACKAGED:
    CASES["flow transformer"] = lambda count: mini(
        count, backbone=StableDiffusion3(FLOW), guidance_scale=None
    )


def made(case: Case, name: str, slots: int) -> Iterator[Row]:
    """A case's pictures under one of `RULES`."""
    rule, changed = RULES[name]
    parts = {**case.parts, **changed, "steering": SEARCH(rule=rule())}
    for result in Sampler(**parts).sample(case.jobs, slots):
        if result.image is None:  # not finite: a rate that was too high
            yield Row(0, 0, 0, 0, result.cost.gradients)
            continue
        [wanted] = result.job.target or {}
        read = max(result.probabilities, key=result.probabilities.__getitem__)
        judged = read == wanted
        if case.judge is not None:
            with torch.no_grad():
                judged = EMOTIONS[int(case.judge.read(result.image).argmax())] == wanted
        p, kept = result.probabilities[wanted], case.content(result)
        yield Row(float(read == wanted), float(judged), float(kept), p, result.cost.gradients)


def transfer(
    cases: list[str] | None = None,
    rules: list[str] | None = None,
    count: int = 20,
    slots: int = 8,
    file: Path = Path("outputs/transfer.csv"),
) -> None:
    """Make what the file has not yet, and print each case.

    Args:
        cases: names of `CASES`; None: all.
        rules: names of `RULES`; None: all.
        count: pictures of each case of muse-mini under each rule; the toy makes 64.
        slots: rows in flight.
        file: the results, one line for each case and rule.
    """
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    if file.exists():
        with file.open(newline="") as lines:
            for name, rule, jobs, *values in csv.reader(lines):
                if int(jobs) == count:
                    found[name][rule] = Row(*map(float, values))
    print("| case | best Adam | reached | judge | content | gradients | rule: of reached, of p |")
    print("|---|---|---|---|---|---|---|")
    file.parent.mkdir(parents=True, exist_ok=True)
    for name in cases or CASES:
        left = [rule for rule in rules or RULES if rule not in found[name]]
        case = CASES[name](count) if left else None
        for rule in left:
            assert case is not None
            rows = [list(vars(row).values()) for row in made(case, rule, slots)]
            means = [sum(values) / len(rows) for values in zip(*rows, strict=True)]
            found[name][rule] = Row(*means)
            with file.open("a", newline="") as lines:
                csv.writer(lines).writerow(
                    [name, rule, count, *(f"{value:.6g}" for value in means)]
                )
        show({name: found[name]})


def show(found: dict[str, dict[str, Row]]) -> None:
    """Each case: the best rate's result, and what each rule reaches of it."""
    for name, rules in found.items():
        rates = {rule: row for rule, row in rules.items() if rule.startswith("Adam")}
        if not rates:
            print(f"| {name} | no rate of Adam is made yet |")
            continue
        best = max(rates, key=lambda rule: (rates[rule].reached, rates[rule].p))
        bar = rates[best]
        told = [
            f"{rule}: {row.reached / max(bar.reached, 1e-9):.2f}, {row.p / max(bar.p, 1e-9):.2f}, "
            f"judge {row.judged:.0%}, content {row.content:.0%}, {row.gradients:.0f}"
            for rule, row in rules.items()
            if rule not in rates or rule == "Adam 0.1"
        ]
        print(
            f"| {name} | {best} | {bar.reached:.0%} | {bar.judged:.0%} | {bar.content:.0%} | "
            f"{bar.gradients:.0f} | {'; '.join(told)} |"
        )


if __name__ == "__main__":
    auto_cli(transfer)
