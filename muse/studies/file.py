"""A study's file: what is compared, on which jobs, and what is measured."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import muse.metrics
from muse.core.types import MuseError
from muse.presets import PRESETS
from muse.presets.examples import example
from muse.studies.keys import listed, mapping, unlike, whole

STUDY = (
    *("title", "about", "base", "options", "jobs", "arms", "compare", "metrics", "ranks"),
    "figures",
)
"""The keys of a study's file."""
ARM = ("name", "config", "options", "prompt", "emotion", "mask", "limit", "evaluations")
FOLDER_ARM = ("name", "folder", "names")
"""The keys of an arm that is made, and of one that is there already."""
JOBS = ("jobs", "prompts", "emotions", "seed", "count", "make", "options")
FIGURES = {
    "suppression": ("kind", "title", "arms"),
    "features": ("kind", "title", "arms", "clip"),
    "against": ("kind", "title", "option", "metrics"),
}
"""Kind of figure -> its keys."""
LISTS = Path(muse.metrics.__file__).parent
"""Where the lists of metrics lie that come with the package."""
RESERVED = ("difference", "ratio")
"""What columns are called that compare two arms."""
MOST = 500
"""Evaluations a picture that ``--quick`` can afford."""


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared: settings that pictures are made with, or a folder of
    pictures that are there.

    Attributes:
        name: in tables and folders.
        config: presets, files or examples for `muse fit-free`, each laid over the ones before.
        options: of `muse fit-free` by dotted name (``model.`` may be left out) -> value.
        prompt: what the model is told: ``{prompt}`` and ``{emotion}`` are the job's.
        emotion: whether it is steered; else it is the plain model, one picture for all emotions.
        mask: whether the masks of the jobs hold; else they are left out.
        limit: so many jobs of the study, spread over prompts and emotions; None takes all.
        evaluations: of the model a picture, about, where these are so many that ``--quick`` should
            know.
        folder: of a run, or of pictures made elsewhere.
        names: how pictures made elsewhere are called (`muse.studies.foreign`).
    """

    name: str
    config: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = "{prompt}"
    emotion: bool = True
    mask: bool = True
    limit: int | None = None
    evaluations: int | None = None
    folder: Path | None = None
    names: str = "{id}"

    @property
    def words(self) -> list[str]:
        """The words of a command line of `muse fit-free` that say all this."""
        return [*(word for file in self.config for word in ("--config", file)), *self.changes]

    @property
    def changes(self) -> list[str]:
        """Those that change what the files say."""
        found = []
        for name, value in self.options.items():
            whole = name if name.partition(".")[0] in ("model", "trainer") else f"model.{name}"
            found.append(f"--{whole}={value if isinstance(value, str) else json.dumps(value)}")
        if not self.emotion:
            found += ["--model.steering=NoSteering", "--model.timing=Never"]
        return found


@dataclass(frozen=True)
class Study:
    """What a study's file says.

    Attributes:
        file: the file.
        title, about: for readers.
        jobs: options of `muse.data.Jobs`, or ``make`` and ``options`` (`muse.studies.jobs`).
        arms: names differ.
        compare: the name of the arm that others are compared with.
        metrics: files for `muse evaluate` (those that come with the package by their names, such
            as ``mini``), and metrics as such a file lists them.
        ranks: column -> metrics whose values the arms are ranked by, job by job; with a minus where
            less is better.
        figures: what to draw, ``kind`` among `FIGURES`.
    """

    file: Path
    title: str
    about: str
    jobs: Mapping[str, Any]
    arms: tuple[Arm, ...]
    compare: str
    metrics: tuple[Path | Mapping[str, Any], ...]
    ranks: Mapping[str, list[str]]
    figures: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, path: Path) -> Study:
        """Read a file.

        Raises:
            MuseError: no such file, no YAML, a key that isn't one (the nearest is named), two arms
                of one name.
        """
        said = mapping(_read(path), path.name, STUDY)
        if not said.get("arms"):
            raise MuseError(f"{path.name} has no arms. List what is compared under arms.")
        base = _files(said.get("base", "default"), path.parent)
        common = mapping(said.get("options") or {}, f"options of {path.name}")
        arms = tuple(_arm(entry, path, base, common) for entry in listed(said["arms"], "arms"))
        names = [arm.name for arm in arms]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise MuseError(
                f"Two arms of {path.name} are called {twice[0]!r}. Give each a name of its own."
            )
        compare = str(said.get("compare", names[0]))
        if compare not in names:
            raise MuseError(unlike("compare", compare, names, path.name))
        reserved = [name for name in names if name in RESERVED]
        if reserved:
            raise MuseError(
                f"An arm of {path.name} is called {reserved[0]!r}, as tables call a column that "
                "compares two arms. Give it another name."
            )
        metrics = said.get("metrics", "mini")
        ranks = mapping(said.get("ranks") or {}, f"ranks of {path.name}")
        return cls(
            path,
            str(said.get("title") or path.stem),
            " ".join(str(said.get("about") or "").split()),
            _jobs(said.get("jobs"), path),
            arms,
            compare,
            tuple(
                _metrics_file(name, path.parent) if isinstance(name, str) else name
                for name in (
                    listed(metrics, "metrics") if not isinstance(metrics, str) else [metrics]
                )
            ),
            {name: _named(of, f"rank {name!r} of {path.name}") for name, of in ranks.items()},
            tuple(_figure(entry, path, names) for entry in listed(said.get("figures"), "figures")),
        )


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MuseError(f"Study {str(path)!r} can't be read ({error.strerror}).") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise MuseError(f"Study {str(path)!r} is no YAML ({told}).") from None


def _arm(entry: Any, path: Path, base: tuple[str, ...], common: Mapping[str, Any]) -> Arm:
    name = str(entry.get("name", "")).strip() if isinstance(entry, Mapping) else ""
    if not name:
        raise MuseError(f"An arm of {path.name} has no name: {entry!r}. Give each a name.")
    where = f"arm {name!r} of {path.name}"
    if "folder" in entry:
        said = mapping(entry, where, FOLDER_ARM)
        names = str(said.get("names", "{id}"))
        names = names if "{" in names else str(_beside(names, path.parent))
        return Arm(name, folder=_beside(str(said["folder"]), path.parent), names=names)
    said = mapping(entry, where, ARM)
    for key, none in (("emotion", "the plain model"), ("mask", "the whole picture")):
        if said.get(key, "none") not in ("none", None):
            raise MuseError(
                f"{key} {said[key]!r} of {where} is not allowed. Use none, {none}, or leave it "
                f"out: {key}s are the jobs'."
            )
    config = _files(said["config"], path.parent) if "config" in said else base
    options = mapping(said.get("options") or {}, f"options of {where}")
    prompt = str(said.get("prompt", "{prompt}"))
    try:
        prompt.format(prompt="", emotion="")
    except (AttributeError, KeyError, IndexError, ValueError):
        raise MuseError(
            f"prompt {prompt!r} of {where} can't be filled. Use {{prompt}} and {{emotion}} in it."
        ) from None
    limit, evaluations = (whole(said.get(key), key, where) for key in ("limit", "evaluations"))
    steered, masked = "emotion" not in said, "mask" not in said
    return Arm(name, config, {**common, **options}, prompt, steered, masked, limit, evaluations)


def _jobs(said: Any, path: Path) -> dict[str, Any]:
    if isinstance(said, str):
        said = {"jobs": said}
    if not said:
        raise MuseError(
            f"{path.name} has no jobs. Give a jobs file, or prompts and emotions, under jobs."
        )
    found = mapping(said, f"jobs of {path.name}", JOBS)
    if "jobs" in found:
        found["jobs"] = str(_beside(str(found["jobs"]), path.parent))
    return found


def _figure(entry: Any, path: Path, arms: Collection[str]) -> dict[str, Any]:
    kind = entry.get("kind") if isinstance(entry, Mapping) else None
    if kind not in FIGURES:
        raise MuseError(unlike("kind of figure", str(kind), FIGURES, path.name))
    found = mapping(entry, f"figure {kind!r} of {path.name}", FIGURES[kind])
    where = f"figure {kind!r} of {path.name}"
    for name in listed(found.get("arms"), f"arms of {where}"):
        if name not in arms:
            raise MuseError(unlike(f"arm of figure {kind!r}:", str(name), arms, path.name))
    if kind == "against":
        if not found.get("option"):
            raise MuseError(f"{where} has no option. Say which one arms differ by, such as steps.")
        found["metrics"] = _named(found.get("metrics"), where)
    return found


def _named(said: Any, where: str) -> list[str]:
    """Names of metrics, one at least."""
    names = [str(name) for name in listed(said, f"metrics of {where}")]
    if not names:
        raise MuseError(f"{where} has no metrics. List their names, one at least.")
    return names


def _metrics_file(name: str, folder: Path) -> Path:
    """The list of that name in the package, or else a file beside the study's."""
    packaged = LISTS / f"{name}.yaml"
    return packaged if packaged.is_file() else _beside(name, folder)


def _files(said: Any, folder: Path) -> tuple[str, ...]:
    given = said if isinstance(said, list) else [said]
    return tuple(
        str(name) if name in PRESETS else str(_configuration(str(name), folder)) for name in given
    )


def _configuration(name: str, folder: Path) -> Path:
    """A file beside the study's, or else an example of that name."""
    path = _beside(name, folder)
    return path if path.is_file() else example(name) or path


def _beside(name: str, folder: Path) -> Path:
    """A path as the file means it, which lies in `folder`."""
    return folder / Path(name).expanduser()
