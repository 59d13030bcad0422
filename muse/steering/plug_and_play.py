"""Plug-and-Play: an edit that keeps the attention and the features of its source."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from muse.backbones import Backbone
from muse.core.asks import Ask
from muse.core.jobs import Job
from muse.core.types import MuseError, Tensors
from muse.latents import LatentSource
from muse.steering.base import Steered, Steering, Step
from muse.steering.word import TEMPLATE, checked, prompts_of, told

RESNET = re.compile(r"up_blocks\.(\d+)\.resnets\.(\d+)\.conv2")
"""A layer of a UNet's decoder, by the last convolution of its residual block."""


class PlugAndPlay(Steering):
    r"""Sample under the prompt with the emotion's word, with self-attention and features of the
    source put in place (Plug-and-Play, Tumanyan et al. 2023, Sec. 4).

    At each step the source's latent of that node, from its inversion's path, goes through the model
    too. In the first `attention` of the steps the queries and keys of its self-attention, and so
    the maps, take the place of the edit's, in the decoder from `layer` on; in the first `features`
    of them the activations of the residual block there. Both branches of the guidance get them.
    Published: Stable Diffusion at layer 4 of 12, 0.5 and 0.8, 50 steps, guidance 7.5, inversion
    under an empty prompt (``DDIMInversion`` with ``prompt: ""``) in 999 steps, here at the row's
    own nodes, where fixed-point iterations do what more steps do there.

    The model's modules are asked by name for what they put out (`muse.backbones.features`): what
    ``attn1.to_q`` and ``to_k`` give decides a map, whatever attends with it, so no attention
    processor is replaced. The source is predicted anew beside the edit, one prediction more in each
    injected step, and its features are dropped after it. Kept from the inversion they would save
    that prediction, and be those of other nodes; and for Stable Diffusion 1.5 at 512 pixels they
    take 54 MB a step in float32, 1.4 GB a row, where the path takes 3 MB.

    Only UNets have such a decoder (`StableDiffusion`, `StableDiffusionXL`): the transformers of
    `PixArtAlpha`, `StableDiffusion3` and `Flux` are refused.

    Args:
        attention: the share of the steps, from the first, with the source's attention, 0 to 1.
        features: the share with the source's features.
        layer: of the decoder, counted from 0 at its lowest resolution; None is a third of its way,
            which is 4 in Stable Diffusion and 3 in SDXL.
        template: of the edit's prompt, as for `EmotionWord`.

    Raises:
        MuseError: an option out of range; in a sampler, a backbone without such layers, or latents
            without a path.
    """

    asks_guide = False
    needs_unconditional = False  # made anew, with what is injected
    reads_goal = False

    def __init__(
        self,
        attention: float = 0.5,
        features: float = 0.8,
        layer: int | None = None,
        template: str = TEMPLATE,
    ) -> None:
        super().__init__()
        for name, share in (("attention", attention), ("features", features)):
            if not 0 <= share <= 1:
                raise MuseError(f"{name} = {share:g} is out of range. Use 0 to 1.")
        self.attention = attention
        self.features = features
        self.layer = layer
        self.template = checked(template)

    def check(self, backbone: Backbone, latents: LatentSource) -> None:
        """Refuse a backbone without a UNet's decoder, a layer that it lacks, and latents that don't
        hand out the source's path.
        """
        count = len(layers(backbone.feature_names))
        if not count:
            raise MuseError(
                "PlugAndPlay puts features into the decoder of a UNet, and "
                f"{type(backbone).__name__} has none. Use StableDiffusion or StableDiffusionXL."
            )
        if self.layer is not None and not 0 <= self.layer < count:
            raise MuseError(
                f"layer = {self.layer} is out of range. The decoder has {count}: use 0 to "
                f"{count - 1}, or null."
            )
        if not latents.gives_path:
            raise MuseError(
                "PlugAndPlay reads features along a picture's inversion, and "
                f"{type(latents).__name__} gives no path. Use DDIMInversion."
            )

    def prompts(self, job: Job) -> Sequence[str]:
        """The one with the word; none where nothing is steered."""
        return prompts_of(self.template, job)

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """The guided prediction with what is injected at this step."""
        give: Tensors = {}
        take = self.injected(step)
        if take:
            if step.source is None:
                raise MuseError("PlugAndPlay needs the path of a picture. Use DDIMInversion.")
            [(_, give)] = yield [replace(step.source, take=take)]
        cond = told(step, self.prompts(step.job))
        return Steered((yield from step.guided(cond, give)), state)

    follow = forward  # nothing is looked at in any step

    def injected(self, step: Step) -> tuple[str, ...]:
        """The names of what is injected at a step."""
        known = layers(step.feature_names)
        first = len(known) // 3 if self.layer is None else self.layer
        names: list[str] = []
        if step.i < int(len(step.grid) * self.attention):
            names += [name for attention, _ in known[first:] for name in attention]
        if step.i < int(len(step.grid) * self.features):
            names.append(known[first][1])
        return tuple(names)


def layers(names: Sequence[str]) -> list[tuple[list[str], str]]:
    """The layers of a UNet's decoder, lowest resolution first: the queries and keys of the
    self-attention in each (none, in some), and its residual block's last convolution.

    Args:
        names: of the model's modules.
    """
    places = sorted(
        (int(u), int(r)) for u, r in (m.groups() for m in map(RESNET.fullmatch, names) if m)
    )
    keys = [name for name in names if name.endswith((".attn1.to_q", ".attn1.to_k"))]
    found = []
    for u, r in places:
        own = [name for name in keys if name.startswith(f"up_blocks.{u}.attentions.{r}.")]
        found.append((own, f"up_blocks.{u}.resnets.{r}.conv2"))
    return found
