r"""An exact toy: a labelled Gaussian mixture that behaves like a text-to-image model.

Every component belongs to a *content*, which a prompt names, and to an *emotion*, which it
doesn't. Scores, predictions, posteriors and similarity are in closed form, so a claim about
steering can be checked instead of believed, and an idea tried in a second.

With :math:`v = \alpha^2 s^2 + \sigma^2`, component weights w and means :math:`\mu`:

.. math::
    r &= softmax(\log w - |x - \alpha\mu|^2 / 2v), \qquad m = \sum r\,(x - \alpha\mu) \\
    x_0 &= \sum r\,\mu + \alpha s^2 m / v, \qquad \epsilon = \sigma m / v

which is Tweedie's formula, finite at :math:`\alpha = 0` and at :math:`\sigma = 0`.
Everything is elementwise products and sums, no matrix product over rows, so in float64 a row's
numbers don't depend on its batch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from muse.backbones.base import Backbone, Size
from muse.backbones.toy.canvas import Canvas
from muse.core.emotions import COLORS, EMOTIONS, WHEEL
from muse.core.types import Cond, Denoised, MuseError, Node, per_row
from muse.schedulers import TimeGrid

CONTENTS = {
    "park": "contentment",
    "fair": "amusement",
    "cemetery": "sadness",
    "forest": "fear",
}
"""The places that a prompt may name, and the emotion inherent in each."""

RADIUS = 4.0
RING = 1.0
SCALE = 0.25
INHERENT = 0.72
LENGTH = 8


class GaussianMixture(Backbone):
    """The exact toy: 4 places x 8 emotions as a Gaussian mixture, in closed form.

    The places' centres lie on a circle of radius 4; around each, the emotions lie on a ring of
    radius 1 in the wheel's order; every component has standard deviation 0.25. A place's inherent
    emotion has probability 0.72, each other one 0.04. The text condition is a sequence of 8
    tokens; appended tokens draw attention away from the prompt and shift the weights of emotions
    and of places alike: steering works here as in a large model, and can do the same harm.

    It has points, not pictures: `decode` is the identity on (B, dimension), jobs with an
    ``image`` are refused, and `render` draws a row's path over the mixture.

    Args:
        dimension: of the points, 2 or more; above 2 the plane of the mixture is rotated in space.
        flow: rectified flow instead of the variance-preserving diffusion of Stable Diffusion.

    Raises:
        MuseError: a dimension below 2.
    """

    reads_pictures = False
    has_points = True
    means: Tensor
    tokens: Tensor
    log_prior: Tensor

    def __init__(self, dimension: int = 2, flow: bool = False) -> None:
        super().__init__()
        self.flow = flow
        self.register_buffer("means", means(dimension))
        basis = orthonormal(1 + len(CONTENTS) + len(EMOTIONS))
        self.register_buffer("tokens", basis)
        prior = torch.full((len(CONTENTS), len(EMOTIONS)), (1 - INHERENT) / (len(EMOTIONS) - 1))
        for row, emotion in enumerate(CONTENTS.values()):
            prior[row, EMOTIONS.index(emotion)] = INHERENT
        self.register_buffer("log_prior", prior.double().log())

    @property
    def size(self) -> Size:
        """Nominal: points have no height and width."""
        return (1, 1)

    def latent_shape(self, size: Size) -> tuple[int, ...]:
        """(dimension,)."""
        return (self.means.shape[-1],)

    def time_grid(self, steps: int, size: Size) -> TimeGrid:
        """Stable Diffusion's nodes, or those of a rectified flow."""
        return TimeGrid.flow(steps) if self.flow else TimeGrid.vp(steps)

    def embed(self, prompts: Sequence[str], size: Size, negative: bool = False) -> Cond:
        """One token a word, 8 in all: a place's word, or nothing where a word names no place.

        Returns:
            ``tokens`` (B, 8, 13).

        Raises:
            MuseError: a prompt that doesn't name exactly one place (an empty negative one may).
        """
        rows = [self._words(prompt, negative) for prompt in prompts]
        return {"tokens": torch.stack(rows)}

    def _words(self, prompt: str, negative: bool) -> Tensor:
        named = {word for word in words_of(prompt) if word in CONTENTS}
        if len(named) != 1 and not (negative and not named):
            what, count = ("Negative prompt", "at most") if negative else ("Prompt", "exactly")
            raise MuseError(
                f"{what} {prompt!r} names {len(named)} of the toy's places. "
                f"Name {count} one of {', '.join(CONTENTS)}."
            )
        tokens = torch.zeros(LENGTH, self.tokens.shape[-1]).to(self.tokens)
        tokens[0] = self.tokens[0]
        for name in named:
            tokens[0] += self.tokens[1 + list(CONTENTS).index(name)]
        return tokens

    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        """Append tokens (B, M, 13)."""
        return {"tokens": torch.cat([cond["tokens"], tokens.to(cond["tokens"])], dim=1)}

    def log_weights(self, cond: Cond) -> Tensor:
        """Log w of the components under a condition, (B, 4 * 8), places first.

        Tokens attend by softmax(4 token.key); what they carry goes to a head for places (gain 8)
        and one for emotions (gain 12); w = softmax(place) * softmax(log prior + emotion).
        """
        key, places, emotions = self.tokens.split([1, len(CONTENTS), len(EMOTIONS)])
        tokens = cond["tokens"]
        attention = (4 * (tokens * key).sum(-1)).softmax(-1)
        carried = (attention[..., None] * tokens).sum(1)[:, None]
        place = (8 * (carried * places).sum(-1)).log_softmax(-1)
        emotion = (12 * (carried * emotions).sum(-1))[:, None]
        return (place[..., None] + (self.log_prior + emotion).log_softmax(-1)).flatten(1)

    def denoise(self, x: Tensor, node: Node, cond: Cond) -> Denoised:
        """The exact posterior mean of x0 and eps given x, (B, dimension)."""
        alpha, sigma = per_row(node.alpha, x), per_row(node.sigma, x)
        variance = alpha**2 * SCALE**2 + sigma**2
        offset = x[:, None] - alpha[..., None] * self.means
        r = self._joint(offset, variance, cond).softmax(-1)[..., None]
        m = (r * offset).sum(1)
        x0 = (r * self.means).sum(1) + alpha * SCALE**2 / variance * m
        return Denoised(x0, sigma / variance * m)

    def _joint(self, offset: Tensor, variance: Tensor, cond: Cond) -> Tensor:
        return self.log_weights(cond) - (offset**2).sum(-1) / (2 * variance)

    def log_density(self, x: Tensor, node: Node, cond: Cond) -> Tensor:
        """Log p(x) at a node under a condition, (B, dimension) -> (B,)."""
        alpha, sigma = per_row(node.alpha, x), per_row(node.sigma, x)
        variance = alpha**2 * SCALE**2 + sigma**2
        joint = self._joint(x[:, None] - alpha[..., None] * self.means, variance, cond)
        constant = x.shape[-1] / 2 * (2 * math.pi * variance[:, 0]).log()
        return joint.logsumexp(-1) - constant

    def posterior(self, x: Tensor) -> Tensor:
        """p(place, emotion | x) of clean points, components equally likely, (B, 4, 8)."""
        square = ((x[:, None] - self.means) ** 2).sum(-1)
        p = (-square / (2 * SCALE**2)).softmax(-1)
        return p.unflatten(-1, (len(CONTENTS), len(EMOTIONS)))

    def marginal(self, cond: Cond, node: Node, generator: torch.Generator) -> Tensor:
        """Draw x exactly from its marginal at a node, one for each row of `cond`,
        (B, dimension).

        A variance-preserving grid begins at alpha = 0.07, where N(0, I) is biased towards the
        origin by up to 0.07 * 5; this isn't.
        """
        weights = self.log_weights(cond).exp()
        component = torch.multinomial(weights.float(), 1, generator=generator)[:, 0]
        noise = torch.randn(2, len(weights), self.means.shape[-1], generator=generator)
        noise = noise.to(self.means)
        x0 = self.means[component] + SCALE * noise[0]
        return Denoised(x0, noise[1]).at(node.alpha, node.sigma)

    def encode(self, image: Tensor) -> Tensor:
        """The identity on points."""
        return image

    def decode(self, latent: Tensor) -> Tensor:
        """The identity on points."""
        return latent

    def render(self, image: Tensor, path: Tensor | None = None) -> Image.Image:
        """Draw the point (dimension,) and the path to it (steps + 1, dimension)."""
        canvas = self.canvas()
        if path is not None:
            canvas.path(self.flat(path).tolist())
        canvas.point(self.flat(image).tolist(), "#1c1c1e")
        return canvas.picture()

    def overview(self, points: Tensor, names: Sequence[str]) -> Image.Image:
        """Draw points (N, dimension) over the mixture, coloured by their emotions."""
        canvas = self.canvas()
        for point, name in zip(self.flat(points).tolist(), names, strict=True):
            canvas.point(point, COLORS[name], outline="#ffffff")
        return canvas.picture()

    def canvas(self) -> Canvas:
        """The mixture in its plane, every component in its emotion's colour."""
        colors = [COLORS[name] for name in EMOTIONS] * len(CONTENTS)
        labels = dict(zip(CONTENTS, (RADIUS * circle(len(CONTENTS))).tolist(), strict=True))
        return Canvas(self.flat(self.means).tolist(), colors, SCALE, labels, extent=6.0)

    def flat(self, points: Tensor) -> Tensor:
        """Points (..., dimension) in the mixture's own plane, (..., 2), on the CPU."""
        points = points.detach().cpu().double()
        dimension = points.shape[-1]
        return points if dimension == 2 else points @ orthonormal(dimension)[:2].T


def words_of(prompt: str) -> list[str]:
    """The words of a prompt, in lower case."""
    return re.findall(r"[a-z]+", prompt.lower())


def means(dimension: int) -> Tensor:
    """The components' means, (4 * 8, dimension), float64, places first."""
    if dimension < 2:
        raise MuseError(f"dimension = {dimension} is not allowed. Use 2 or more.")
    place = RADIUS * circle(len(CONTENTS))
    around = RING * circle(len(WHEEL))[[WHEEL.index(emotion) for emotion in EMOTIONS]]
    plane = (place[:, None] + around).flatten(0, 1)
    return plane if dimension == 2 else plane @ orthonormal(dimension)[:2]


def circle(count: int) -> Tensor:
    """`count` points evenly on the unit circle, (count, 2), float64."""
    angle = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return torch.stack([angle.cos(), angle.sin()], -1)


def orthonormal(width: int) -> Tensor:
    """A fixed orthonormal basis, the rows of the DCT-II, (width, width), float64."""
    i = torch.arange(width, dtype=torch.float64)
    basis = (math.pi / width * i[:, None] * (i + 0.5)).cos() * (2 / width) ** 0.5
    basis[0] /= 2**0.5
    return basis
