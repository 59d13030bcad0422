"""What the page offers by name, and the samplers behind the names.

Visitors, and PNGs that they drop, choose from these lists alone: presets of the package, muse-mini
and its guides, and the models of configuration files that whoever started the page named. No import
path and no file of a visitor's is ever looked up.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from muse.core.registry import resolve
from muse.core.types import MuseError
from muse.latents import LatentSource
from muse.presets import FOLDER, OWN, PRESETS, sections
from muse.presets.building import built, laid
from muse.pretrained.packaged import PACKAGED
from muse.sampling import Sampler

MINI, FLOW = PACKAGED
TOLD = 12
"""So many names at most of what is offered, the usual ones first, in a refusal."""
OWN_GUIDE = "as the preset"
"""The guide that preset or configuration file name themselves."""
GUIDES: dict[str, Any] = {
    name: {"class_path": name, "init_args": {"clip": "muse-mini/clip", **more}}
    for name, more in {
        "SimEmo": {"checkpoint": "muse-mini/guides/simemo.safetensors"},
        "EmoGen": {"checkpoint": "muse-mini/guides/emogen.safetensors"},
        "ZeroShotClip": {},
    }.items()
}
GUIDES["TimmClassifier"] = {
    "class_path": "TimmClassifier",
    "init_args": {"checkpoint": "muse-mini/guides/timm.safetensors"},
}
"""muse-mini's guides by the names of their classes."""
FREE = ("backbone", "guide", "steps", "guidance_scale")
"""What a form chooses beside a preset."""
KEPT = {"backbone": 2, "guide": 6}
"""Parts of a kind that stay loaded; 8 of the others."""


class Catalog:
    """Presets, backbones and guides by name, and what they are built to.

    Args:
        files: configuration files as for `muse fit-free`, each offered as a backbone under its stem
            with the guide and the settings that it names.
        device: where models are put, ``auto`` for a GPU where there is one.

    Raises:
        MuseError: no such file, one without a model, or two of one name.
    """

    def __init__(self, files: Iterable[Path] = (), device: str = "auto") -> None:
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(chosen if device == "auto" else device)
        self.files: dict[str, Path] = {}
        for file in files:
            if not file.is_file():
                raise MuseError(f"There is no file {str(file)!r}. Give a file for muse fit-free.")
            if not isinstance(sections(str(file)).get("model"), dict):
                raise MuseError(f"{str(file)!r} says no model. Give a file for muse fit-free.")
            if file.stem in (MINI, FLOW, *self.files):
                raise MuseError(f"Two models are called {file.stem!r}. Rename one of the files.")
            self.files[file.stem] = file
        self._parts: dict[str, OrderedDict[str, Any]] = {}
        self._samplers: OrderedDict[tuple[str, str, str], Sampler] = OrderedDict()

    @property
    def backbones(self) -> list[str]:
        """muse-mini, its flow transformer, and the configuration files."""
        return [MINI, FLOW, *self.files]

    @property
    def guides(self) -> list[str]:
        """The preset's own, and muse-mini's."""
        return [OWN_GUIDE, *GUIDES]

    def presets(self, editing: bool) -> list[str]:
        """Those that make pictures from noise, or those that edit, whatever the backbone; the usual
        one first.
        """
        first = "edit" if editing else "default"
        names = [name for name in PRESETS if edits(name) == editing and name not in OWN[FLOW]]
        return [first, *(name for name in names if name != first)]

    def check(self, preset: str, backbone: str, guide: str) -> None:
        """Refuse names that aren't offered, or don't go together.

        Raises:
            MuseError: the first such name, and what there is.
        """
        for what, given, allowed in (
            ("preset", preset, [*self.presets(False), *self.presets(True)]),
            ("backbone", backbone, self.backbones),
            ("guide", guide, self.guides),
        ):
            if given not in allowed:
                names = ", ".join(allowed[:TOLD])
                names += f" and {len(allowed) - TOLD} more" if len(allowed) > TOLD else ""
                raise MuseError(f"There is no {what} {given[:60]!r} here. Choose from: {names}.")
        if backbone == MINI:
            return
        if guide != OWN_GUIDE and backbone != FLOW:
            raise MuseError(f"{guide} is muse-mini's. With {backbone}, leave the guide as it is.")
        own = sections(str(FOLDER / _layers(preset)[-1]))["model"]
        if "backbone" in own or (backbone != FLOW and MINI in str(own)):
            raise MuseError(f"The preset {preset!r} is made for muse-mini. Choose another one.")

    def settings(self, preset: str, backbone: str = MINI, guide: str = OWN_GUIDE) -> dict[str, Any]:
        """All options of the sampler that these names mean, part by part.

        Raises:
            MuseError: names that `check` refuses.
        """
        self.check(preset, backbone, guide)
        layers = [FOLDER / name for name in _layers(preset)]
        if backbone == FLOW:
            layers.insert(1, FOLDER / "flow.yaml")
        elif backbone != MINI:  # a file stands in the place of `default`
            others = (layer for layer in layers if layer.name not in PRESETS["default"])
            layers = [self.files[backbone], *others]
        model = _resolved(tuple(str(layer) for layer in layers))
        return model | ({} if guide == OWN_GUIDE else {"guide": GUIDES[guide]})

    def sampler(self, preset: str, backbone: str = MINI, guide: str = OWN_GUIDE) -> Sampler:
        """The sampler that these names mean, built once; parts that are the same are shared.

        Raises:
            MuseError: names that `check` refuses, or a model that can't be loaded.
        """
        key = preset, backbone, guide
        if key not in self._samplers:
            settings = self.settings(*key)
            parts = {name: self._part(name, value) for name, value in settings.items()}
            self._samplers[key] = Sampler(**parts).to(self.device)
            if len(self._samplers) > KEPT["guide"]:
                self._samplers.popitem(last=False)
        self._samplers.move_to_end(key)
        return self._samplers[key]

    def preset_of(self, options: Mapping[str, Any], editing: bool) -> str:
        """The preset that a picture's options look most like: of those whose settings they all
        have, the one that says most; the usual one where there is none.

        Args:
            options: of `muse.runs.png_settings`, such as ``timing.init_args.eta`` -> 66.
            editing: whether it is an edit.
        """
        names = self.presets(editing)
        told = {key: _last(value) for key, value in options.items()}
        found = {name: _flat(self.settings(name)) for name in names}
        fitting = [name for name in names if found[name].items() <= told.items()]
        return max(fitting, key=lambda name: len(found[name]), default=names[0])

    def _part(self, name: str, settings: Any) -> Any:
        kept = self._parts.setdefault(name, OrderedDict())
        key = json.dumps(settings, sort_keys=True)
        if key not in kept:
            while len(kept) >= KEPT.get(name, 8):
                kept.popitem(last=False)
                self._samplers.clear()  # they hold it too
            kept[key] = built({name: settings})[name]
        kept.move_to_end(key)
        return kept[key]


@cache
def edits(preset: str) -> bool:
    """Whether a preset starts from a picture."""
    named = [sections(str(FOLDER / name))["model"].get("latents") for name in _layers(preset)]
    last = [latents for latents in named if latents is not None][-1]
    name = last if isinstance(last, str) else last["class_path"]
    return resolve(LatentSource, name).needs_picture  # type: ignore[type-abstract]


def _layers(preset: str) -> Sequence[str]:
    return PRESETS[preset]


@cache
def _resolved(layers: tuple[str, ...]) -> dict[str, Any]:
    return laid(layers)


def _flat(settings: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Option -> value as a PNG has it, without what a form chooses beside a preset."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if not name and key in FREE:
            continue
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{name}.{key}" if name else key)
        elif value is not None:
            found[f"{name}.{key}" if name else key] = _last(value)
    return found


def _last(value: Any) -> Any:
    """A class by its last name, however it is written; lists as something that compares."""
    if isinstance(value, list):
        return json.dumps(value, sort_keys=True)
    return value.rpartition(".")[2] if isinstance(value, str) and "muse." in value else value
