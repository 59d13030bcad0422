"""What decides the pixels of a run: its parts and their settings, the weights, the jobs.

Not where it is written, on how many devices, in how many slots, nor by which versions: those are
recorded beside each picture, and may change when a run goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from muse.core.digests import Digests
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.data import job_entry
from muse.data.jobs import PICTURES
from muse.pretrained.labelled import labelled
from muse.pretrained.packaged import locate
from muse.pretrained.sharing import deciding_parts

NOT_PIXELS = frozenset({"output_dir", "overwrite", "retry_failed", "slots", "plain", "watchers"})
"""Options of a run that change no picture."""
LOADED = frozenset(
    {
        *("pretrained", "checkpoint", "clip", "config", "preview_decoder", "model"),
        *("lora", "embeddings", "vae"),
    }
)
"""Options of our parts that name a folder or a file to load."""
FORMAT = 3
"""Of what is noted, and of the digests; a run of another one is not gone on with."""
PRECISION = "32-true"
"""Lightning's default."""


@dataclass(frozen=True)
class Deciding:
    """The settings of a run as far as they decide pixels.

    Args:
        config: the resolved configuration (``model``, ``trainer``, ...).
        digests: of files, cached by size and time.
    """

    config: Mapping[str, Any]
    digests: Digests = field(default_factory=Digests)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Option -> value, such as ``timing.init_args.eta`` -> 66; paths are absolute."""
        model = dict(self.config.get("model") or {})
        kept = {name: value for name, value in model.items() if name not in NOT_PIXELS}
        precision = (self.config.get("trainer") or {}).get("precision") or PRECISION
        told = {name: v for name, v in _flat(absolute(kept), "") if v is not None}
        flat = {**told, "precision": precision}
        # As JSON has it, for this is compared with what an earlier run wrote.
        settings: dict[str, Any] = json.loads(json.dumps(flat, default=str))
        return settings

    @cached_property
    def weights(self) -> dict[str, str]:
        """What the settings name and lies on this machine -> the sha256 of what is in it."""
        found = {}
        for value in self.settings.values():
            for text in value if isinstance(value, list) else [value]:
                path = _local(text)
                if path is not None:
                    found[str(text)] = self.digests.of(*deciding_parts(path))
        return found

    @cached_property
    def _common(self) -> str:
        # Weights are known by what is in them: the same files decide the same from another folder.
        told = {name: self._known(value) for name, value in self.settings.items()}
        return json.dumps(told, sort_keys=True, default=str)

    def _known(self, value: Any) -> Any:
        """A setting with the digest of what it names in place of the name; a label stays."""
        if isinstance(value, list):
            return [self._known(item) for item in value]
        digest = self.weights.get(value) if isinstance(value, str) else None
        label = None if digest is None else _named(value)[1]
        return digest or value if label is None else f"{digest}:{label}"

    def digest(self, job: Job) -> str:
        """A short sha256 of all that decides a job's picture."""
        entry = job_entry(job)
        for name in ("id", *PICTURES):  # of a picture what is in it counts, not where it lies
            entry.pop(name, None)
        text = json.dumps([self._common, entry], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def changed(self, before: Noted) -> list[str]:
        """In which settings and weights this differs from an earlier run, in words; nothing where
        that had noted none.
        """
        was, now = before.settings, self.settings
        names = dict.fromkeys([*was, *now]) if was else {}
        words = [
            f"{name} was {was.get(name)!r}, is {now.get(name)!r}"
            for name in names
            if was.get(name) != now.get(name)
        ]
        told = [
            f"the weights {name!r} are others than they were"
            for name, digest in self.weights.items()
            if before.weights.get(name, digest) != digest
        ]
        return words + told

    def noted(self) -> str:
        """What a run's folder keeps of this, as JSON that `Noted` reads."""
        told: dict[str, Any] = {"format": FORMAT, "settings": self.settings}
        told |= {"weights": self.weights, "files": self.digests.known}
        return json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n"


@dataclass(frozen=True)
class Noted:
    """What an earlier start of a run had noted (settings.json), empty where none did.

    Attributes:
        settings: option -> value.
        weights: the name that a setting gives -> sha256.
        files: path -> size, time and sha256, so that nothing is read again.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    files: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Noted:
        """From a file; one that is missing or damaged says nothing."""
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            if noted.get("format") != FORMAT:  # digests were made otherwise
                return cls()
            return cls(noted["settings"], noted["weights"], noted["files"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()


def described(parts: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of parts that were built in Python: classes and plain attributes. Weights
    aren't looked into.
    """
    return {"model": {name: _described(part) for name, part in parts.items()}}


def absolute(value: Any, name: str = "") -> Any:
    """A configuration whose paths are absolute, so that it means the same from another folder.

    Args:
        value: all of it, or a part.
        name: of the option that has this value.
    """
    if isinstance(value, Mapping):
        return {key: absolute(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [absolute(item, name) for item in value]
    if name == "class_path" or not isinstance(value, str):
        return value
    value, label = _named(value)
    if label is not None:
        return f"{absolute(value, name)}:{label}"
    if not _is_path(value):
        return value
    # A bare word may be a choice or a hub id, and a folder have its name by chance.
    told = "/" in value or Path(value).suffix or name in LOADED
    return str(Path(value).absolute()) if told else value


def _named(text: str) -> tuple[str, str | None]:
    """What a setting names, with the label that stands behind a file; any other text as it is."""
    name, label = labelled(text)
    return (name, label) if label is not None and _is_path(name) else (text, None)


def _is_path(value: Any) -> bool:
    """Whether a text is the path of something on this machine, as loading takes it to be."""
    if not isinstance(value, str) or not value.strip(".") or "\0" in value or len(value) > 1000:
        return False
    try:
        return Path(value).exists()
    except OSError:
        return False


def _local(value: Any) -> Path | None:
    """The file or folder that a setting names, packaged ones too; None where it names none."""
    try:
        path = Path(locate(_named(value)[0])) if isinstance(value, str) else None
    except MuseError:
        return None
    return path if path is not None and path.is_absolute() and _is_path(str(path)) else None


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{name}.{index}")
    else:
        yield name, value


def _described(part: Any) -> Any:
    if not isinstance(part, nn.Module):
        return part if isinstance(part, str | int | float | bool | list | None) else str(part)
    plain = {
        name: value
        for name, value in vars(part).items()
        if not name.startswith("_")
        and name != "training"
        and isinstance(value, str | int | float | bool | tuple | None)
    }
    inner = {name: _described(child) for name, child in part.named_children() if _ours(child)}
    kind = type(part)
    return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": plain | inner}


def _ours(part: nn.Module) -> bool:
    """A part, and no layer of a network."""
    return not type(part).__module__.startswith(("torch.", "diffusers.", "transformers.", "timm."))
