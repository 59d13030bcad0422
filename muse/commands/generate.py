"""`muse generate`: a picture from a prompt, with an emotion."""

from __future__ import annotations

from collections.abc import Sequence

from muse.commands.short import ShortForm, output_file
from muse.core.intensity import parse_emotion
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.data.jobs import check_prompt, check_seed, job_name


def generate(words: Sequence[str]) -> int:
    """Make one picture; the exit code."""
    form = ShortForm("generate", "Make a picture, with an emotion or plain.", "default")
    form.parser.add_argument("prompt", type=str, help="what the picture shows")
    form.parser.add_argument(
        "--emotion",
        type=str | None,
        default=None,
        help="a name, or a mixture like awe:0.7,fear:0.3; awe@0.6 for less; plain if left out",
    )
    given = form.parse(words)
    prompt = check_prompt(given.prompt)
    target, at = (None, None) if given.emotion is None else parse_emotion(given.emotion)
    if given.mask is not None and target is None:
        raise MuseError("--mask says where an emotion may act, and there is none. Add --emotion.")
    name, seed = job_name(prompt, target or {}, at), check_seed(given.seed, 0)
    job = Job(name, prompt, target, seed, intensity=at, mask=form.mask(given))
    return form.make(given, job, output_file(given.out, job, given.plain))
