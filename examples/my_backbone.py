"""A backbone of one's own: a text-to-image model in closed form, with pictures.

muse generate "a meadow" --emotion sadness --backbone examples.my_backbone.Landscape \
    --timing Always --guidance_scale 1
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.backbones.base import Size
from muse.core.types import Cond, Denoised, MuseError, Node, per_row
from muse.schedulers import TimeGrid

PLACES = {
    "beach": ((0.56, 0.80, 0.95), (0.90, 0.81, 0.59)),
    "desert": ((0.94, 0.71, 0.47), (0.79, 0.52, 0.25)),
    "meadow": ((0.66, 0.85, 0.96), (0.43, 0.64, 0.30)),
    "night": ((0.04, 0.06, 0.19), (0.11, 0.13, 0.20)),
    "sea": ((0.62, 0.76, 0.86), (0.13, 0.36, 0.52)),
}
"""Words that a prompt may hold, each with the colours of its sky and its ground."""
PROMPT_WEIGHT = 3.0
CHROMA = 0.02
"""How much less clouds vary in colour than in brightness."""


class Landscape(Backbone):
    r"""Sky, ground and clouds: a Gaussian random field around the colours that the prompt names.

    A picture is a mean of two colours, m, and clouds of the power spectrum P: every coefficient of
    its cosine transform is a Gaussian of its own, so the best guess at a noisy picture is a Wiener
    filter. With :math:`x = \alpha x_0 + \sigma \epsilon`,

    .. math::
        r = (\alpha^2 P + \sigma^2)^{-1} (x - \alpha m), \qquad
        x_0 = m + \alpha P r, \qquad \epsilon = \sigma r

    The text is one token, (weight, sky, ground); appended tokens share the say by the softmax of
    their weights, so that steering can change the colours.

    Args:
        side: height and width of its pictures.
        clouds: their standard deviation, above 0, where the colours span [-1, 1].

    Raises:
        MuseError: a side below 8, or clouds not above 0.
    """

    places: Tensor

    def __init__(self, side: int = 64, clouds: float = 0.25) -> None:
        super().__init__()
        if side < 8 or not clouds > 0:
            raise MuseError(f"side = {side}, clouds = {clouds:g} is not allowed. Use 8, 0 or more.")
        self.side = side
        self.clouds = clouds
        colours = 2 * torch.tensor(list(PLACES.values())).flatten(1) - 1
        self.register_buffer("places", colours)

    @property
    def size(self) -> Size:
        """What a run uses unless told otherwise."""
        return (self.side, self.side)

    def latent_shape(self, size: Size) -> tuple[int, ...]:
        """(3, height, width): there is no autoencoder."""
        return (3, *size)

    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """Those of a rectified flow, which starts at pure noise."""
        return TimeGrid.flow(steps)

    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """``tokens`` (B, 1, 7): the mean of the places that a prompt names.

        Raises:
            MuseError: a prompt that names none (a negative one may, and is grey).
        """
        return {"tokens": torch.stack([self._token(prompt, negative) for prompt in prompts])}

    def _token(self, prompt: str, negative: bool) -> Tensor:
        words = set(re.findall(r"[a-z]+", prompt.lower()))
        named = [index for index, place in enumerate(PLACES) if place in words]
        if not named and not negative:
            raise MuseError(f"Prompt {prompt!r} names no place. Name one of {', '.join(PLACES)}.")
        colours = self.places[named].mean(0) if named else torch.zeros_like(self.places[0])
        return torch.cat([colours.new_tensor([PROMPT_WEIGHT]), colours])[None]

    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        """Append tokens (B, M, 7)."""
        return {"tokens": torch.cat([cond["tokens"], tokens.to(cond["tokens"])], dim=1)}

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The exact posterior mean of x0 and eps given x, (B, 3, H, W)."""
        alpha, sigma = per_row(node.alpha, x), per_row(node.sigma, x)
        mean = self.mean(cond, x)
        rest = x - alpha * mean
        grey = rest.mean(1, keepdim=True).expand_as(rest)
        x0, eps = mean, torch.zeros_like(x)
        for part, power in ((grey, self.power(x)), (rest - grey, CHROMA * self.power(x))):
            inverse = 1 / (alpha**2 * power + sigma**2)
            x0 = x0 + alpha * _filtered(part, power * inverse)
            eps = eps + sigma * _filtered(part, inverse)
        return Denoised(x0, eps)

    def mean(self, cond: Cond, x: Tensor) -> Tensor:
        """m, (B, 3, H, 1): sky above, ground below, a soft horizon between."""
        weight, colours = cond["tokens"].split([1, 6], dim=-1)
        sky, ground = (weight.softmax(1) * colours).sum(1)[..., None, None].split(3, dim=1)
        height = torch.linspace(-6, 6, x.shape[-2]).to(x)[:, None]
        return sky + (ground - sky) * height.sigmoid()

    def power(self, x: Tensor) -> Tensor:
        """P, (2 H, 2 W): falls with the cube of the frequency."""
        y, x_ = (torch.fft.fftfreq(2 * side).to(x) for side in x.shape[-2:])
        power = (y[:, None] ** 2 + x_**2 + 0.02**2) ** -1.5
        each_once = power[: x.shape[-2], : x.shape[-1]]  # negative frequencies only mirror these
        return 3 * self.clouds**2 * power / each_once.mean()  # three channels move together

    def encode(self, image: Tensor) -> Tensor:
        """From [0, 1] to [-1, 1]."""
        return 2 * image - 1

    def decode(self, latent: Tensor) -> Tensor:
        """And back, unclamped."""
        return latent / 2 + 0.5


def _filtered(x: Tensor, response: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) by a response (..., 2 H, 2 W), continued beyond their edges as in a
    mirror, so that left and right, sky and ground don't touch.
    """
    mirrored = torch.cat([x, x.flip(-1)], -1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], -2)
    filtered = torch.fft.ifft2(torch.fft.fft2(mirrored) * response).real
    return filtered[..., : x.shape[-2], : x.shape[-1]]
