"""The backbone contract: a frozen diffusion model, adapted once, at the edge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn

from muse.core.types import Cond, Denoised, MuseError, Node
from muse.schedulers import DDIM, Solver, TimeGrid

Size: TypeAlias = tuple[int, int]
"""Height and width of a picture in pixels."""


class Backbone(nn.Module, ABC):
    """A frozen text-to-image model, whatever it predicts and however it is conditioned.

    Latents are float32 (the exact toy's float64) at this interface; an adapter casts to its
    model's own dtype inside.
    """

    reads_pictures: bool = True
    """Whether `encode` takes pictures; jobs with an ``image`` are refused where it doesn't."""
    has_points: bool = False
    """Whether what it makes are points (B, d), which `render` and `overview` draw."""
    default_guidance_scale: float = 7.5
    """The scale of classifier-free guidance that is used unless told otherwise."""

    @property
    @abstractmethod
    def size(self) -> Size:
        """The size that the model was made for; what a run uses unless told otherwise."""

    @abstractmethod
    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """Encode B prompts (with `negative`, for the unconditional branch); row axis first."""

    def remarks(self, prompt: str) -> list[str]:
        """What a person should know about how the model reads `prompt`, in a line each: words that
        it doesn't know, an end that it cuts off. By default nothing.
        """
        return []

    def words(self, prompt: str) -> str:
        """A prompt without the marks that the model alone understands, for who compares pictures
        with it. By default as it is.
        """
        return prompt

    @abstractmethod
    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        """Append emotion tokens (B, M, d) to the text condition (Sec. IV-A), differentiably."""

    @abstractmethod
    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """Predict x0 and eps of latents (B, ...), each row at its own `node` (B,), under its own
        condition, without guidance; differentiable in `x` and `cond`.
        """

    def denoise_with(
        self, x: Tensor, node: Node, cond: Cond, take: Sequence[str], give: Mapping[str, Tensor]
    ) -> tuple[Denoised, dict[str, Tensor]]:
        """As `denoise`, with features of the model handed out, or put in place of its own
        (attention and activations of another picture, as Plug-and-Play does).

        Args:
            x, node, cond: as for `denoise`.
            take: names of the features to hand out.
            give: what takes the place of the model's own, by name, row axis first.

        Returns:
            the prediction, and the features taken, row axis first.

        Raises:
            MuseError: a model that names no features, or none of that name.
        """
        raise MuseError(f"{type(self).__name__} names no features. Use a backbone of diffusers.")

    @property
    def feature_names(self) -> Sequence[str]:
        """The names that `denoise_with` knows; by default none."""
        return ()

    @abstractmethod
    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """The nodes of a run, from the pipeline's own scheduler config."""

    def start_node(self, strength: float, steps: int) -> int:
        """The node from which a share `strength` of the steps lead to the picture, as the model's
        image-to-image pipeline in diffusers rounds it: by default to whole steps, downwards.
        """
        return steps - min(int(steps * strength), steps)

    def solver(self) -> Solver:
        """The model's own scheduler, as ours; by default `DDIM`.

        Raises:
            MuseError: it is none of ours.
        """
        return DDIM()

    @abstractmethod
    def latent_shape(self, size: Size) -> tuple[int, ...]:
        """Shape of one latent, without the row axis."""

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """Latents of pictures (B, 3, H, W) in [0, 1], without sampling noise."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in about [0, 1], differentiable and NOT clamped: clamping would
        kill the guide's gradient. Only `render` clamps.
        """

    def preview(self, latent: Tensor) -> Tensor:
        """What guide and similarity look at of a predicted clean latent: as `decode`, and perhaps
        faster. Nobody else sees it: the final picture is always decoded.
        """
        return self.decode(latent)

    def render(self, image: Tensor, path: Tensor | None = None) -> Image.Image:
        """Draw one decoded picture (3, H, W) (a point (d,), with the latents of every step as
        `path` (steps + 1, d), where `has_points`).
        """
        pixels = image.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
        return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())

    def overview(self, points: Tensor, names: Sequence[str]) -> Image.Image | None:
        """Draw all points (N, d) of a run in one picture, each coloured by its emotion; None
        where there are no points.
        """
        return None
