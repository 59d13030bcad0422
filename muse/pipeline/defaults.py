"""What `MusePipeline` does where it isn't told: the packaged presets."""

from __future__ import annotations

import inspect
from collections.abc import Set
from typing import Any

from jsonargparse import ArgumentParser
from torch import Tensor

from muse.emotions import EMOTIONS
from muse.guides import Guide
from muse.presets import FOLDER, sections
from muse.sampler import Sampler


class _NoGuide(Guide):
    """Stands for the guide where nothing is steered: every emotion is as likely as another."""

    def forward(self, image: Tensor) -> Tensor:
        """Zeros (B, 8)."""
        return image.new_zeros(len(image), len(EMOTIONS))


def preset(file: str, without: Set[str] = frozenset()) -> dict[str, Any]:
    """The sampler's arguments that a packaged file gives, built, but for those in `without`."""
    model = sections(str(FOLDER / file))["model"]
    said = {option: value for option, value in model.items() if option not in without}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Sampler, skip=set(inspect.signature(Sampler).parameters) - set(said))
    made = parser.instantiate(parser.parse_object(said))
    return {option: made[option] for option in said}
