"""`muse edit`: another emotion for a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from muse.commands.short import ShortForm, output_file
from muse.core.intensity import parse_emotion
from muse.core.jobs import Job
from muse.core.pictures import open_picture
from muse.data.jobs import check_prompt, check_seed, job_name


def edit(words: Sequence[str]) -> int:
    """Edit one picture; the exit code."""
    form = ShortForm("edit", "Give a picture another emotion.", "edit")
    add = form.parser.add_argument
    add("picture", type=str, help="the file: any size, mode and format that Pillow reads")
    add("--prompt", type=str, required=True, help="what the picture shows")
    described = "a name, or a mixture like awe:0.7,fear:0.3; awe@0.6 for less"
    add("--emotion", type=str, required=True, help=described)
    given = form.parse(words)
    path = Path(given.picture)
    prompt, (target, at) = check_prompt(given.prompt), parse_emotion(given.emotion)
    source = open_picture(path)
    seed = check_seed(given.seed, 0)
    name = job_name(path.stem, target, at)
    mask = form.mask(given)
    job = Job(name, prompt, target, seed, path.resolve(), intensity=at, mask=mask)
    return form.make(given, job, output_file(given.out, job, given.plain), source)
