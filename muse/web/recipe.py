"""What a visitor may ask for: a closed list of options, each checked.

A recipe comes from a form, from the page's API, or out of a PNG that somebody dropped. None of
these is trusted: values are numbers in a range, texts of a length, and names that the catalog has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from muse.core.emotions import parse_target
from muse.core.jobs import Job, safe_name
from muse.core.types import MuseError
from muse.data.jobs import check_prompt, check_seed, job_name

LONGEST = 1000
"""Letters of a prompt."""
MOST_STEPS = 200
MOST_GUIDANCE = 30.0


class Names(Protocol):
    """What may be named (`muse.web.catalog.Catalog`)."""

    def check(self, preset: str, backbone: str, guide: str) -> None:
        """Refuse names that aren't in the lists, or don't go together, with a `MuseError`."""


@dataclass(frozen=True)
class Recipe:
    """One picture, as a visitor asks for it.

    Attributes:
        prompt: what it shows; of an edit, what the photo shows.
        emotion: name -> weight, or None for the plain model.
        seed: 0 or more.
        preset: a name from the catalog.
        steps: sampling steps; None is the preset's own number.
        guidance_scale: None is the preset's own.
        backbone, guide: names from the catalog.
        negative_prompt: for the unconditional branch.
        intensity: how strongly the emotion is wanted, -1 to 1 (`muse.core.intensity`).
    """

    prompt: str
    emotion: Mapping[str, float] | None = None
    seed: int = 0
    preset: str = "default"
    steps: int | None = None
    guidance_scale: float | None = None
    backbone: str = "muse-mini"
    guide: str = "as the preset"
    negative_prompt: str = ""
    intensity: float = 1.0

    @classmethod
    def read(cls, said: Mapping[str, Any], names: Names) -> Recipe:
        """Check what somebody asks for; what has no name here is left out.

        Args:
            said: option -> value. An emotion is a text (``awe:0.7,fear:0.3``) or a mapping; None
                and empty texts mean what is left out.
            names: what may be named.

        Raises:
            MuseError: the first option that isn't allowed, and what is.
        """
        given = {f.name: said[f.name] for f in fields(cls) if said.get(f.name) not in (None, "")}
        emotion = given.get("emotion")
        if emotion is not None and not isinstance(emotion, str | Mapping):
            raise MuseError("emotion is neither a text nor a mapping. Use 'awe', for example.")
        given["emotion"] = None if emotion is None or emotion == "plain" else parse_target(emotion)
        given["prompt"] = check_prompt(_text("prompt", given.get("prompt", "")))
        given["seed"] = check_seed(_whole_number("seed", given.get("seed", 0)), 0)
        if "negative_prompt" in given:
            given["negative_prompt"] = _text("negative_prompt", given["negative_prompt"]).strip()
        if "steps" in given:
            given["steps"] = int(_number("steps", given["steps"], 1, MOST_STEPS, whole=True))
        if "guidance_scale" in given:
            given["guidance_scale"] = _number(
                "guidance_scale", given["guidance_scale"], 0, MOST_GUIDANCE
            )
        if "intensity" in given:
            given["intensity"] = _number("intensity", given["intensity"], -1, 1)
        recipe = cls(**given)
        names.check(*(_text("a name", n) for n in (recipe.preset, recipe.backbone, recipe.guide)))
        return recipe

    @property
    def model(self) -> tuple[str, str, str]:
        """What decides which sampler makes it: preset, backbone and guide."""
        return self.preset, self.backbone, self.guide

    @property
    def name(self) -> str:
        """A file name for it, such as ``a-dog-in-a-park-awe``."""
        at = self.intensity if self.emotion and self.intensity != 1 else None
        return safe_name(job_name(self.prompt, self.emotion or {}, at))

    def job(self, id: str) -> Job:
        """As a job, under a name."""
        own = {"steps": self.steps, "guidance_scale": self.guidance_scale}
        if self.emotion and self.intensity != 1:
            own["intensity"] = self.intensity
        negative = self.negative_prompt or None
        return Job(id, self.prompt, self.emotion, self.seed, negative_prompt=negative, **own)  # type: ignore[arg-type]

    def as_settings(self) -> dict[str, Any]:
        """As `read` takes it, without what was left out."""
        told = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return told | ({"emotion": dict(self.emotion)} if self.emotion else {})


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise MuseError(f"{name} is no text. Write one.")
    if len(value) > LONGEST:
        raise MuseError(f"{name} has {len(value)} letters. Use {LONGEST} at most.")
    if not value.isprintable() and any(not c.isprintable() and c not in "\n\t" for c in value):
        raise MuseError(f"{name} holds characters that can't be shown. Type it anew.")
    return value.replace("\n", " ").replace("\t", " ")


def _whole_number(name: str, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise MuseError(f"{name} is no whole number. Use 0, 1, 2, ...")
    if isinstance(value, float) and not value.is_integer():
        raise MuseError(f"{name} {value:g} is no whole number. Use 0, 1, 2, ...")
    return int(value) if isinstance(value, float) else value


def _number(name: str, value: object, least: float, most: float, whole: bool = False) -> float:
    kind = "a whole number" if whole else "a number"
    try:
        number = float("" if isinstance(value, bool) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number <= most or (whole and not number.is_integer()):
        raise MuseError(f"{name} {str(value)[:40]!r} is not {kind} from {least:g} to {most:g}.")
    return number
