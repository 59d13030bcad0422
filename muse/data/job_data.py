"""The data module of `muse fit-free`: jobs, and what there is to remark about them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse.typing import Path_fr
from torch.utils.data import DataLoader

from muse.core.intensity import parse_emotion
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.data.entries import STDIN
from muse.data.jobs import OWN, Emotion, check_count, cross, read_jobs


class Jobs(L.LightningDataModule):
    """The jobs of `muse fit-free`.

    Either a file, which goes before lists, or prompts x emotions. Every prompt's emotions share a
    seed, so that the pictures differ by the emotion alone. A missing seed derives from the run's
    seed and the job's id (the prompt, where there is none), never from its position.

    Args:
        jobs: a CSV with a header, or a JSONL file: ``prompt``, ``emotion`` and, where wanted,
            ``id``, ``seed``, ``count``, ``image`` and ``mask`` (paths relative to the file); or a
            .txt, a prompt a line, for every one of ``emotions``; or ``-``, any of these from
            standard input.
        prompts: what the pictures show, instead of a file; a text is one prompt.
        emotions: a name or a mixture (``awe:0.7,fear:0.3``) each, for every prompt; a text is one.
            An intensity of its own follows an ``@`` (``awe@0.6``).
        seed: the run's seed.
        limit: only the first so many jobs.
        count: so many different pictures of each job that doesn't say how many itself.

    Attributes:
        jobs: all of them.
        notes: what there is to remark about them.
        from_stdin: whether they came from standard input, which no other process can read again.

    Raises:
        MuseError: no jobs, or one that can't be read (file and line are named).
    """

    notes: Sequence[str] = ()
    from_stdin = False

    def __init__(
        self,
        jobs: Path_fr | str | None = None,
        prompts: str | list[str] | None = None,
        emotions: str | dict[str, float] | list[str | dict[str, float]] | None = None,
        seed: int = 0,
        limit: int | None = None,
        count: int = 1,
    ) -> None:
        super().__init__()
        if limit is not None and limit < 1:
            raise MuseError(f"limit = {limit} is not allowed. Use 1 or more, or leave it out.")
        check_count(count, 1)
        texts, feelings = as_list("prompts", prompts), as_list("emotions", emotions)
        if jobs is not None:
            self.from_stdin = str(jobs) == STDIN
            path = Path(STDIN if self.from_stdin else os.fspath(jobs))
            found = read_jobs(path, seed, feelings, count)
        else:
            found = cross(texts, feelings, seed, count)
        self.jobs = found[:limit]
        if not self.jobs:
            raise MuseError(
                "There are no jobs. Give a file (--data.jobs jobs.csv), or --data.prompts and "
                "--data.emotions."
            )
        self.notes = [*(_lists(texts, feelings) if jobs is None else []), *_alike(self.jobs)]

    def predict_dataloader(self) -> DataLoader[Job]:
        """One batch: the list of all jobs of this device."""
        jobs: Any = self.jobs
        return DataLoader(jobs, batch_size=len(self.jobs), collate_fn=list, num_workers=0)


def as_list(option: str, given: Any) -> list[Any]:
    """What an option for several was given: a text (or one mixture) is one, whatever it contains.

    Raises:
        MuseError: a text that was meant as a list, but isn't one.
    """
    found = [given] if isinstance(given, str | Mapping) else list(given or [])
    # A prompt in a list may well have brackets; an emotion never has, but jsonargparse puts the
    # whole text in the place of a member that it can't read.
    for text in found if option == "emotions" or isinstance(given, str) else []:
        if isinstance(text, str) and re.fullmatch(r"\[(.*]|[^]]*)", text.strip(), re.DOTALL):
            raise MuseError(unquoted(f"data.{option}", text))
    if option == "emotions" and isinstance(given, str) and "," in given and ":" not in given:
        raise MuseError(
            f"Option --data.emotions: {given!r} is not one emotion. Several are a list: "
            "'[awe, fear]'; a mixture has weights: 'awe:0.7,fear:0.3'."
        )
    return found


def unquoted(option: str, given: str) -> str:
    """What to do where a list of texts can't be read as one."""
    example = "a dog: in a park" if option.endswith("prompts") else "awe:0.7,fear:0.3"
    return (
        f"Option --{option}: {given} is no list of texts. Put quotes around each text with a colon "
        f"or a number alone: --{option} '[\"{example}\", ...]'."
    )


def _lists(prompts: Sequence[str], emotions: Sequence[Emotion]) -> Iterator[str]:
    """How lists were read: a comma in brackets parts what may have been meant as one."""
    if len(prompts) > 1:
        shown = ", ".join(repr(p if len(p) <= 40 else f"{p[:37]}...") for p in prompts[:3])
        more = f" and {len(prompts) - 3} more" if prompts[3:] else ""
        yield f"Read {len(prompts)} prompts: {shown}{more}."
    alone = [emotion for emotion in emotions if len(parse_emotion(emotion)[0]) == 1]
    weighed = [e for e in alone if (":" in e if isinstance(e, str) else [*e.values()] != [1])]
    if weighed and len(emotions) > 1:
        yield (
            f"Emotion {weighed[0]!r} stands alone, where its weight does nothing. A mixture in a "
            "list needs quotes: '[\"awe:0.7,fear:0.3\"]'."
        )


def _alike(jobs: Sequence[Job]) -> Iterator[str]:
    """Jobs that would be one picture several times."""
    first: dict[tuple[Any, ...], Job] = {}
    again: list[tuple[str, str]] = []
    for job in jobs:
        target, own = tuple((job.target or {}).items()), [getattr(job, name) for name in OWN]
        key = (job.prompt, target, job.seed, job.image, job.mask, *own)
        same = first.setdefault(key, job)
        if same is not job:
            again.append((job.id, same.id))
    if again:
        job_id, same_id = again[0]
        more = f" (and {len(again) - 1} more like it)" if again[1:] else ""
        yield (
            f"{job_id!r} is the same picture as {same_id!r}{more}: prompt, emotion, image and seed "
            "are equal. Give them seeds, or one of them a count."
        )
