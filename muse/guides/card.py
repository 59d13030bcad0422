"""Model cards of guides: what is known about weights and their training, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from muse.core.digests import file_digest
from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides.saving import trained_in
from muse.pretrained.packaged import PACKAGED
from muse.pretrained.weights import labels_in

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
RECIPE = {
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "language_weight": "weight of the language term",
    "tower_rate": "learning rate of CLIP's visual tower",
    "tower_from_epoch": "first epoch in which the tower learns, from 0",
    "halve_every": "epochs after which the rates halve",
    "augment": "on slightly damaged pictures",
    "batch_size": "pictures of a batch, on each device",
    "accumulate_grad_batches": "batches of an optimiser step",
    "devices": "devices",
    "precision": "precision",
    "seed": "seed",
}
"""What a training notes -> how the card calls it."""


def _is_data(told: Any) -> bool:
    return isinstance(told, dict) and isinstance(told.get("name"), str)


def _is_validation(told: Any) -> bool:
    counts = told.get("confusion") if isinstance(told, dict) else None
    return (
        isinstance(counts, list)
        and len(counts) == len(EMOTIONS)
        and all(isinstance(row, list) and len(row) == len(EMOTIONS) for row in counts)
        and all(isinstance(count, int) and count >= 0 for row in counts for count in row)
        and any(map(any, counts))
    )


def _is_table(told: Any) -> bool:
    return isinstance(told, dict)


def _is_number(told: Any) -> bool:
    return isinstance(told, int)


FORMS = {
    "data": _is_data,
    "validation": _is_validation,
    "recipe": _is_table,
    "versions": _is_table,
    "epoch": _is_number,
    "epochs": _is_number,
}
"""What is told of a training, and of what form that has to be."""


@dataclass(frozen=True)
class About:
    """What a file of weights, and the folder around it, tell of a guide.

    Attributes:
        file: the weights.
        sha256: their digest, in hex.
        metadata: theirs.
        parameters: how many numbers they are.
        tower: whether a CLIP's visual tower is among them.
        config: what ``config.json`` says beside them; empty where there is none.
    """

    file: Path
    sha256: str
    metadata: Mapping[str, str]
    parameters: int
    tower: bool
    config: Mapping[str, Any]

    @classmethod
    def of(cls, path: Path) -> About:
        """Of a saved guide's folder, of a training run's, or of a file of weights.

        Raises:
            MuseError: no weights of a guide there, several, or damaged ones.
        """
        file = _weights(path)
        try:
            with safe_open(file, framework="pt") as read:
                metadata = read.metadata() or {}
                shapes = {key: read.get_slice(key).get_shape() for key in read.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise MuseError(f"{str(file)!r} can't be read as weights ({error}).") from error
        beside = file.parent / CONFIG
        config: Any = {}
        if file.name == WEIGHTS and beside.is_file():
            try:
                config = json.loads(beside.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise MuseError(f"{str(beside)!r} can't be read as JSON ({error}).") from error
        tower = any(key.startswith("clip.") for key in shapes)
        count = sum(math.prod(shape) for shape in shapes.values())
        known = config if isinstance(config, dict) else {}
        return cls(file, file_digest(file), metadata, count, tower, known)

    @property
    def trained(self) -> Mapping[str, Any]:
        """How they were trained, as far as that is known and has the form that `muse fit` notes;
        a file may say anything.
        """
        told = dict(trained_in(self.metadata) or {})
        for name, fits in FORMS.items():
            if name in told and not fits(told[name]):
                del told[name]
        return told

    @property
    def kind(self) -> str | None:
        """The guide's class."""
        told = self.config.get("class") or self.trained.get("guide")
        return told if isinstance(told, str) else None

    @property
    def options(self) -> dict[str, Any]:
        """What its constructor needs beside the weights, as far as that is known."""
        told = self.config.get("options") or {}
        return dict(told) if isinstance(told, dict) else {}


def card(about: About, repo: str | None = None) -> str:
    """The model card, Markdown with the hub's front matter.

    Args:
        about: what is known.
        repo: the hub's name for it; None speaks of a folder.
    """
    kind, trained = about.kind, about.trained
    data = trained.get("data") or {}
    title = (kind or "An emotion classifier") + (f", trained on {data['name']}" if data else "")
    labels = labels_in(about.metadata, str(about.file)) or ()
    lines = [*_front(about), "", f"# {title}", ""]
    lines += [
        "A guide of muse: it reads one of eight emotions in a picture, and gradients pass through "
        "it. What it knows as an emotion is what people called such pictures; it doesn't tell what "
        "anybody feels."
    ]
    lines += ["", *_table(["", ""], _weights_rows(about, labels))]
    if trained:
        lines += ["", "## Training", "", *_table(["", ""], _training_rows(trained))]
    if trained.get("validation"):
        lines += ["", "## What it reads right", "", *_validation(trained["validation"])]
    if kind is not None and about.config:
        lines += ["", "## Use", "", *_use(about, kind, repo)]
    return "\n".join(lines) + "\n"


def _front(about: About) -> list[str]:
    clip = about.options.get("clip") or about.options.get("model")
    base = about.metadata.get("started_from")
    base = f"timm/{base}" if base and "." in base else None
    if isinstance(clip, str) and clip.partition("/")[0] not in PACKAGED:
        base = clip
    lines = ["---", "library_name: muse-emotion", "pipeline_tag: image-classification"]
    lines += [f"base_model: {json.dumps(base)}"] if base else []
    return [*lines, "tags: [emotion, muse]", "---"]


def _weights_rows(about: About, labels: Sequence[str]) -> list[list[str]]:
    rows = [["classes, in the order of its logits", ", ".join(labels)]] if labels else []
    rows += [
        [name, str(about.options[name])] for name in ("clip", "model") if name in about.options
    ]
    if "model" in about.metadata:
        rows.append(["timm model", about.metadata["model"]])
    if "started_from" in about.metadata:
        rows.append(["began with timm's weights", about.metadata["started_from"]])
    tower = ", CLIP's visual tower among them" if about.tower else ""
    rows.append(["numbers in the weights", f"{about.parameters:,}{tower}"])
    return [*rows, [f"sha256 of {about.file.name}", f"`{about.sha256}`"]]


def _training_rows(trained: Mapping[str, Any]) -> list[list[str]]:
    data = trained.get("data") or {}
    rows = [["data", data["name"]]] if data else []
    rows += [["training pictures", f"{data['train']:,}"]] if data.get("train") else []
    if trained.get("epoch") and trained.get("epochs"):
        rows.append(["epoch", f"{trained['epoch']} of {trained['epochs']}"])
    recipe = {**data, **(trained.get("recipe") or {})}
    rows += [[told, _text(recipe[name])] for name, told in RECIPE.items() if name in recipe]
    if trained.get("before"):
        rows.append(["began with", "weights that had been trained before"])
    used = [f"{name} {number}" for name, number in (trained.get("versions") or {}).items()]
    return [*rows, *([["versions", ", ".join(used)]] if used else [])]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "never" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _validation(found: Mapping[str, Any]) -> list[str]:
    counts: list[list[int]] = found["confusion"]
    total = sum(map(sum, counts))
    right = sum(row[i] for i, row in enumerate(counts))
    lines = [
        f"Of {total:,} validation pictures it reads {right / total:.1%} as they are labelled. The "
        "epoch was chosen by these pictures, so that is a little kind.",
        "",
    ]
    accuracies = [
        [name, f"{row[i] / sum(row):.1%}" if sum(row) else "-", f"{sum(row):,}"]
        for i, (name, row) in enumerate(zip(EMOTIONS, counts, strict=True))
    ]
    lines += _table(["emotion", "read right", "pictures"], accuracies)
    lines += ["", "How often pictures of each emotion (rows) are read as each (columns):", ""]
    rows = [[name, *map(str, row)] for name, row in zip(EMOTIONS, counts, strict=True)]
    return [*lines, *_table(["", *EMOTIONS], rows)]


def _use(about: About, kind: str, repo: str | None) -> list[str]:
    needs = [str(name) for name in about.config.get("needs") or []]
    given = "".join(f", {name}=..." for name in needs)
    options = {**about.options, **dict.fromkeys(needs, "...")}
    weights = about.config.get("weights", "checkpoint")
    words = [f"--model.guide {kind}", *(f"--model.guide.{n} {v}" for n, v in options.items())]
    words.append(f"--model.guide.{weights} {about.file.name}")
    lines = ["```python", "from muse.guides import Guide", ""]
    lines += [f'guide = Guide.from_pretrained("{repo or "FOLDER"}"{given})', "```", ""]
    if needs:
        lines += [f"It was made with a {' and a '.join(needs)} that had no public name.", ""]
    lines += ["Or, with the file of weights beside you:", "", "```sh"]
    lines += [" \\\n    ".join(["muse fit-free --config configs/quickstart.yaml", *words]), "```"]
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(head), "|---" * len(head) + "|", *map(line, rows)]


def _weights(path: Path) -> Path:
    if path.is_file():
        return path
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS
    found = sorted(path.glob("*.safetensors"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found[:4])
    raise MuseError(
        f"{str(path)!r} has several files of weights: {names}. Name one of them."
        if found
        else f"There are no weights in {str(path)!r}. Give the folder of a saved guide or of a "
        "training run, or a file of weights."
    )
