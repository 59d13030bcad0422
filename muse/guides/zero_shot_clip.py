"""Zero-shot CLIP: emotions read by prompts, without any emotion weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPModel, SiglipModel

from muse.core.emotions import EMOTIONS, check_emotion
from muse.core.types import MuseError
from muse.guides.base import Guide
from muse.pretrained.clip import Clip, as_clip

TEMPLATES = ("a photo that evokes {}", "an image full of {}", "{}")
"""Sentences with a place for a word."""

WORDS: dict[str, tuple[str, ...]] = {
    "amusement": ("amusement", "joy", "laughter"),
    "awe": ("awe", "wonder", "amazement"),
    "contentment": ("contentment", "serenity", "calm"),
    "excitement": ("excitement", "thrill", "energy"),
    "anger": ("anger", "rage", "fury"),
    "disgust": ("disgust", "revulsion", "loathing"),
    "fear": ("fear", "terror", "dread"),
    "sadness": ("sadness", "grief", "sorrow"),
}
"""What stands in the place, for each emotion."""


class ZeroShotClip(Guide):
    r"""CLIP itself as a classifier (Radford et al. 2021): the emotion whose prompts are nearest.

    Logits are :math:`s \cos(E_I(image), t_e)`, s the model's own logit scale and :math:`t_e` the
    mean of the normalised features of the emotion's prompts, every word in every template. SigLIP's
    bias is the same for all classes and left out.

    Args:
        clip: a CLIP or SigLIP, its hub id or folder, or ``muse-mini/clip``.
        words: emotion -> what stands for ``{}``; those of emotions left out stay as they are.
        templates: sentences with ``{}``; None takes the built-in ones.

    Raises:
        MuseError: an unknown emotion or one without a word, a template without ``{}``, a prompt
            that exceeds the context, or a CLIP without a tokenizer.
    """

    text: Tensor

    def __init__(
        self,
        clip: str | CLIPModel | SiglipModel | Clip,
        words: Mapping[str, Sequence[str]] | None = None,
        templates: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.clip = as_clip(clip)
        own = {check_emotion(emotion): tuple(given) for emotion, given in (words or {}).items()}
        prompts = _prompts({**WORDS, **own}, TEMPLATES if templates is None else templates)
        self._check_lengths([prompt for of_one in prompts for prompt in of_one])
        text = torch.stack([self._encode(of_one) for of_one in prompts])
        self.register_buffer("text", text, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        scale: Tensor = self.clip.model.logit_scale.exp()
        return scale * F.normalize(self.clip.image(image), dim=-1) @ self.text.to(image).T

    def _check_lengths(self, prompts: Sequence[str]) -> None:
        for prompt in prompts:
            rest = self.clip.cut_off(prompt)
            if rest:
                raise MuseError(
                    f"The prompt {prompt!r} is too long: the CLIP reads {self.clip.room} tokens, "
                    f"and not {rest!r}. Use shorter words or templates."
                )

    @torch.no_grad()
    def _encode(self, prompts: Sequence[str]) -> Tensor:
        mean = F.normalize(self.clip.text(prompts), dim=-1).mean(0)
        return F.normalize(mean, dim=-1)


def _prompts(words: Mapping[str, Sequence[str]], templates: Sequence[str]) -> list[list[str]]:
    """The prompts of each emotion, in the order of `EMOTIONS`."""
    if not templates or any("{}" not in template for template in templates):
        raise MuseError(
            f"templates = {list(templates)} is not allowed. Give at least one sentence, each with "
            "{} where the word goes."
        )
    for emotion in EMOTIONS:
        if not words[emotion]:
            raise MuseError(f"words gives {emotion} none. Give at least one, or leave it out.")
    return [
        [template.replace("{}", word) for template in templates for word in words[emotion]]
        for emotion in EMOTIONS
    ]
