"""How far step rules get from the same states: loss after so many evaluations, on muse-mini.

python benchmarks/steps.py                    100 states of the development prompts, ten minutes
python benchmarks/steps.py --by_line true     from those that `LineSearch` comes by
python benchmarks/steps.py --states 20 --stretch true
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from torch import Tensor

from muse.core.asks import Evaluate, Evaluation
from muse.core.jobs import Job
from muse.presets.building import preset
from muse.sampling import Sampler
from muse.sampling.stacking import kind_of
from muse.steering import (
    LBFGS,
    Adam,
    GaussNewton,
    LineSearch,
    Polyak,
    StepRule,
    TextShift,
)

JOBS = Path(__file__).parent.parent / "configs" / "studies" / "development.csv"
RATES = 0.01, 0.05, 0.1, 0.2, 0.5
TOLERANCE = 0.3
"""Of the preset, below which a row is not searched."""
SIX = 6
"""Steps of Adam that others are measured by."""
STATES = 5
"""Of each job."""
Searches = dict[str, TextShift]


def searches() -> Searches:
    """Adam at several rates, and rules without one."""
    rules: dict[str, StepRule] = {
        **{f"Adam {rate:g}": Adam(rate) for rate in RATES},
        "Polyak 0.1": Polyak(reach=0.1),
        "Polyak 0.2": Polyak(reach=0.2),
        "Polyak 0.5": Polyak(reach=0.5),
        "Polyak 0.1, growth 1.5": Polyak(reach=0.1, growth=1.5),
        "Polyak 0.2 to 0.05": Polyak(0.05, reach=0.2),
        "GaussNewton 0.2": GaussNewton(reach=0.2),
        "LBFGS 0.2": LBFGS(reach=0.2),
        "LineSearch 0.2": LineSearch(reach=0.2),
        "LineSearch 0.5": LineSearch(reach=0.5),
        "LineSearch 0.2, 2 trials": LineSearch(reach=0.2, trials=2),
    }
    found: Searches = {name: TextShift(rule=rule) for name, rule in rules.items()}
    for name in ("Adam 0.1", "Polyak 0.2", "LBFGS 0.2"):
        found[f"{name}, dimensions"] = TextShift(rule=rules[name], units="dimensions")
    return found


def steps(
    states: int = 100,
    evaluations: int = SIX,
    stretch: bool = False,
    rows: int = 10,
    by_line: bool = False,
) -> None:
    """Print, for each rule, how often it reaches in few evaluations what six steps of Adam reach at
    the best of its rates, and how often a step lowers the loss.

    Args:
        states: how many, five of each job: from the first to the last step that the preset
            `default` searches; it rests in none, and looks to the end.
        evaluations: with gradient, from each state.
        stretch: whether each dimension of the text embedding is multiplied by a factor, log-uniform
            in 0.1 to 10, and divided by it again where the UNet reads it: the same plain model. The
            states are then those of a search in units of each dimension.
        rows: states that share a call.
        by_line: whether the states are those that a search by `LineSearch` comes by, with as many
            gradients as `default` has.
    """
    parts = {**preset("default"), "longest_rest": 0, "look_until": 1.0}  # late states too
    if by_line:
        line = LineSearch()
        parts["steering"].stepper = line
        parts["max_iterations"] *= 1 + line.trials
    sampler = Sampler(**parts).eval().requires_grad_(False)  # asked here as it asks itself
    if stretch:
        stretched(sampler)
        parts["steering"].units = "dimensions"
    asks = [ask for job in jobs()[: -(-states // STATES)] for ask in frozen(sampler, job)][:states]
    found = {name: descended(sampler, asks, search, evaluations, rows)
             for name, search in searches().items()}  # fmt: skip
    best = min((name for name in found if name.startswith("Adam") and "," not in name),
               key=lambda name: float(lowest(found[name], SIX).mean()))  # fmt: skip
    bar = lowest(found[best], SIX)
    start = found[best][:, 0].mean()
    print(f"{len(asks)} states. Six steps of {best}: {bar.mean():.3f}, from {start:.3f}\n")
    heads = ("mean loss after 1, 2, 4 steps", "as low in 2", "in 4",
             "as low, or below the tolerance, in 2", "in 4", "steps that lower it")  # fmt: skip
    print("| rule |", " | ".join(heads), "|")
    print("|---" * (1 + len(heads)) + "|")
    for name, losses in found.items():
        means = ", ".join(f"{lowest(losses, k).mean():.3f}" for k in (1, 2, 4))
        shares = [
            f"{(lowest(losses, k) <= aim + 1e-3).float().mean():.0%}"
            for aim in (bar, bar.clamp(min=TOLERANCE))
            for k in (2, 4)
        ]
        open_ = losses[:, :-1] > TOLERANCE
        down = (losses.diff(dim=1) < 0)[open_].float().mean()
        print(f"| {name} | {means} |", " | ".join(shares), f"| {down:.0%} |")


def jobs() -> list[Job]:
    """The development jobs."""
    with JOBS.open() as file:
        return [
            Job(str(i), row["prompt"], {row["emotion"]: 1.0}, int(row["seed"]))
            for i, row in enumerate(csv.DictReader(file))
        ]


def frozen(sampler: Sampler, job: Job) -> list[Evaluate]:
    """The first evaluations of five steps of a job that the sampler searches, as it comes by them:
    the loss is above the tolerance. Fewer where fewer steps are.
    """
    seen: dict[int, Evaluate] = {}

    def note(_: Any, given: tuple[Sequence[Any]], found: Sequence[Any]) -> None:
        for ask, one in zip(given[0], found, strict=True):
            if isinstance(ask, Evaluate) and ask.iteration == 0 and one.total > TOLERANCE:
                seen[ask.step] = ask  # once with gradient, where the first look was without

    hook = sampler.answers.register_forward_hook(note)
    list(sampler.sample([job], 1))
    hook.remove()
    asks = list(seen.values())
    count = min(STATES, len(asks))
    return [asks[round(i * (len(asks) - 1) / max(1, count - 1))] for i in range(count)]


def descended(
    sampler: Sampler, asks: Sequence[Evaluate], search: TextShift, count: int, rows: int
) -> Tensor:
    """The loss at each evaluation with gradient, (states, count + 1); trials are made between."""
    losses: dict[int, list[float]] = defaultdict(list)
    for group in _alike(asks, rows):
        shown = {
            i: replace(asks[i], state=_begun(asks[i], search), variation=search) for i in group
        }
        while shown:
            turn = [i for i in shown if shown[i].trial] or list(shown)
            gradient = not shown[turn[0]].trial and len(losses[turn[0]]) < count  # of all in a turn
            found: list[Evaluation] = sampler.answers(
                [replace(shown[i], gradient=gradient) for i in turn]
            )
            for i, one in zip(turn, found, strict=True):
                ask = shown.pop(i)
                if not ask.trial:
                    losses[i].append(one.total)
                if len(losses[i]) <= count:
                    after = {"state": one.proposal, "trial": one.trial}
                    shown[i] = replace(ask, iteration=ask.iteration + 1, **after)
    return torch.tensor([losses[i] for i in range(len(asks))])


def _begun(ask: Evaluate, search: TextShift) -> dict[str, Tensor]:
    """The state of a search whose tokens are where another's were."""
    fresh = dict(search.init(ask.x, ask.cond, torch.Generator().manual_seed(0)))
    ends = {"tolerance": torch.full((1,), TOLERANCE)} if "tolerance" in fresh else {}
    return {**fresh, **ends, "tokens": ask.state["tokens"]}


def _alike(asks: Sequence[Evaluate], rows: int) -> Iterator[list[int]]:
    """Indices of states that one call can answer."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for index, ask in enumerate(asks):
        groups[kind_of(ask)].append(index)
    for group in groups.values():
        yield from (group[i : i + rows] for i in range(0, len(group), rows))


def lowest(losses: Tensor, after: int) -> Tensor:
    """The least loss within so many steps."""
    return losses[:, : after + 1].amin(1)


@torch.no_grad()
def stretched(sampler: Sampler) -> None:
    """Multiply the dimensions of the text embedding, and divide the weights that read it."""
    backbone: Any = sampler.backbone
    d = backbone.model.config.cross_attention_dim
    factor = 10 ** (2 * torch.rand(d, generator=torch.Generator().manual_seed(0)) - 1)
    for name, weight in backbone.model.named_parameters():
        if "attn2.to_k" in name or "attn2.to_v" in name:
            weight /= factor
    encoder = backbone.pipeline.text_encoder
    norm = getattr(encoder, "text_model", encoder).final_layer_norm  # as transformers 4 has it
    norm.weight *= factor
    norm.bias *= factor


if __name__ == "__main__":
    auto_cli(steps)
