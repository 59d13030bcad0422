"""The emotion's name in the prompt: the baseline of every method in this field."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from string import Formatter
from typing import Any

from muse.core.asks import Ask
from muse.core.jobs import Job
from muse.core.types import Cond, MuseError, Tensors
from muse.steering.base import Steered, Steering, Step

TEMPLATE = "{prompt}, {emotion}"


class EmotionWord(Steering):
    """Put the emotion's name into the prompt: "a dog in a park, fear".

    What papers compare with: "{prompt}, {emotion}", or "an image of {emotion}" where emotion is all
    that is asked for (EmoGen, Yang et al. 2024). With the timing `Always` the whole picture is made
    under that prompt; nothing is searched, and the guide is read for the record alone. The
    plain twin, the similarity and an inversion keep the job's own prompt. With an ``emotion_scale``
    what the word adds has a scale of its own, as emotion tokens have, which edits need: at a
    guidance scale of 1 an inverted picture comes back but for it.

    Args:
        template: of the prompt; ``{prompt}`` is the job's, ``{emotion}`` the target's name, or of a
            mixture the names, strongest first, with "and" between them.

    Raises:
        MuseError: a template without ``{emotion}``, or with other fields; in use, a prompt that
            came as embeddings.
    """

    asks_guide = False
    needs_unconditional = False  # asked for together with the word's
    reads_goal = False

    def __init__(self, template: str = TEMPLATE) -> None:
        super().__init__()
        self.template = checked(template)

    def prompts(self, job: Job) -> Sequence[str]:
        """The one with the word; none where nothing is steered."""
        return prompts_of(self.template, job)

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The guided prediction under the prompt with the word."""
        return Steered((yield from step.guided(told(step, self.prompts(step.job)))), state)

    follow = forward  # nothing is looked at in any step


def prompts_of(template: str | None, job: Job) -> list[str]:
    """A job's prompt with its emotion's name, as `template` says; none where either lacks."""
    if template is None or job.target is None:
        return []
    target = job.target
    names = sorted(target, key=lambda name: -target[name])
    return [template.format(prompt=job.prompt, emotion=" and ".join(names))]


def told(step: Step, prompts: Sequence[str]) -> Cond:
    """The condition of the prompt with the word.

    Raises:
        MuseError: the job's prompt came as embeddings.
    """
    if not step.worded:
        raise MuseError(
            "The prompt came as embeddings, and no word can be put into these. Give it as a text, "
            "or steer by a search, such as TextShift()."
        )
    [prompt] = prompts
    return step.embed(prompt)


def worded(step: Step, template: str | None) -> Step:
    """Where a row stands, with the condition of the prompt with the word; as it is without a
    template, where less of the emotion is wanted, or where the prompt came as embeddings.
    """
    if not step.worded or step.goal.named is not None:
        return step
    prompts = prompts_of(template, step.job)
    return replace(step, cond=step.embed(prompts[0])) if prompts else step


def checked(template: str) -> str:
    """`template`, or a `MuseError` where it is none."""
    try:
        parts = [part for part in Formatter().parse(template) if part[1] is not None]
        fields = {field if not spec and not kind else "" for _, field, spec, kind in parts}
    except ValueError:
        fields = set()
    if "emotion" in fields and fields <= {"prompt", "emotion"}:
        return template
    raise MuseError(
        f"template = {template!r} is not allowed. Use a text with {{emotion}} in it and, where you "
        "like, {prompt}."
    )
