"""Presets: settings that come with the package, named like files (``--config default``)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from muse.core.types import MuseError
from muse.presets.examples import examples, here_or_example

FOLDER = Path(__file__).parent

PRESETS = {
    "default": ("mini.yaml", "shift.yaml", "default.yaml"),
    "edit": ("mini.yaml", "negative_prompt_inversion.yaml", "shift.yaml"),
    "exact": ("mini.yaml", "exact.yaml"),
    "fast": ("mini.yaml", "shift.yaml", "default.yaml", "fast.yaml"),
    "flow": ("mini.yaml", "flow.yaml", "shift.yaml", "default.yaml"),
    "flow-edit": ("mini.yaml", "flow.yaml", "negative_prompt_inversion.yaml", "shift.yaml"),
    "paper": ("mini.yaml", "paper.yaml"),
    "best-of-n": ("mini.yaml", "best_of_n.yaml"),
    "best-of-n-published": ("mini.yaml", "best_of_n_published.yaml"),
    "date": ("mini.yaml", "date.yaml"),
    "date-published": ("mini.yaml", "date_published.yaml"),
    "dps": ("mini.yaml", "dps.yaml"),
    "fk": ("mini.yaml", "fk.yaml"),
    "fk-published": ("mini.yaml", "fk_published.yaml"),
    "freedom": ("mini.yaml", "freedom.yaml"),
    "freedom-published": ("mini.yaml", "freedom_published.yaml"),
    "lgd-mc": ("mini.yaml", "lgd_mc.yaml"),
    "mpgd": ("mini.yaml", "mpgd.yaml"),
    "negative-prompt-inversion": ("mini.yaml", "negative_prompt_inversion.yaml"),
    "noise": ("mini.yaml", "noise.yaml"),
    "noise-published": ("mini.yaml", "noise_published.yaml"),
    "null-text-inversion": ("mini.yaml", "null_text_inversion.yaml"),
    "plug-and-play": ("mini.yaml", "plug_and_play.yaml"),
    "sdedit": ("mini.yaml", "word.yaml", "sdedit.yaml"),
    "tfg": ("mini.yaml", "tfg.yaml"),
    "tfg-published": ("mini.yaml", "tfg_published.yaml"),
    "tokens-and-latent": ("mini.yaml", "tokens_and_latent.yaml"),
    "ug": ("mini.yaml", "universal_guidance.yaml"),
    "ug-published": ("mini.yaml", "universal_guidance_published.yaml"),
    "word": ("mini.yaml", "word.yaml"),
    "word-edit": ("mini.yaml", "negative_prompt_inversion.yaml", "word.yaml"),
    "zero-order": ("mini.yaml", "zero_order.yaml"),
    "zero-order-published": ("mini.yaml", "zero_order_published.yaml"),
}
"""Name -> files, each laid over the ones before it. Of another method ``NAME-published`` has its
authors' settings and SimEmo as the guide, ``NAME`` the guides and content term of `default` and
about its arithmetic. `edit` is what `muse edit` takes: the best way to edit that was measured,
negative-prompt inversion, steered as `default` is. `exact` is the paper's search, nothing
approximated; `fast` is `default` in 25 steps of a second-order solver;
`flow` and `flow-edit` are `default` and `edit` on muse-mini's flow transformer.
"""

OWN = {"muse-mini": ("default", "edit"), "muse-mini-flow": ("flow", "flow-edit")}
"""Packaged pipeline -> its presets, of pictures from noise and of edits."""


def files(name: str) -> list[str]:
    """The files behind a name: a file of the user's own, a preset's files, or an example.

    Raises:
        MuseError: a mere word that is none of them.
    """
    if name in PRESETS and not Path(name).is_file():
        return [str(FOLDER / file) for file in PRESETS[name]]
    found = here_or_example(name)
    if re.fullmatch(r"[\w-]+", found) and not Path(found).exists():
        near = difflib.get_close_matches(name, [*PRESETS, *examples()], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise MuseError(
            f"There is no configuration {name!r}.{hint} Use a file of your own, a preset "
            f"({', '.join(PRESETS)}) or an example ({', '.join(examples())})."
        )
    return [found]


def with_presets(words: Sequence[str], otherwise: str) -> list[str]:
    """Put files where ``--config`` names presets or examples; and where no file says what the
    ``model`` is, the preset `otherwise` first.

    Args:
        words: of a command line.
        otherwise: a preset's name.
    """
    replaced: list[str] = []
    told = False
    for word, config in _configs(words):
        found = files(config) if config is not None else []
        told = told or any("model" in sections(file) for file in found)
        replaced += [part for file in found for part in ("--config", file)] or [word]
    first = [] if told else [part for file in files(otherwise) for part in ("--config", file)]
    return [*first, *replaced]


def with_examples(
    words: Sequence[str], file_of: Callable[[str], str] = here_or_example
) -> list[str]:
    """Put files where ``--config`` names examples.

    Args:
        words: of a command line.
        file_of: the file that a name stands for, or the name as it is.
    """
    replaced: list[str] = []
    for word, config in _configs(words):
        replaced += [word] if config is None else ["--config", file_of(config)]
    return replaced


def sections(file: str) -> dict[str, Any]:
    """What a configuration file says, by section; nothing where it can't be read, which the
    command line's parser tells better.
    """
    try:
        read = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return read if isinstance(read, dict) else {}


def _configs(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Every word, with the configuration that it brings: ``--config X`` comes as one."""
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if option not in ("--config", "-c"):
            yield word, None
        elif equals:
            yield word, value
        else:
            given = next(rest, None)
            yield word, given
