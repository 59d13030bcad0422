"""Feynman-Kac steering: particles, of which the promising ones are gone on with."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import torch
from torch import Tensor

from muse.core.asks import Ask, Fork, Observation
from muse.core.errors import check_choice, check_counts
from muse.core.types import MuseError, Tensors
from muse.steering.base import Steered, Steering, Step
from muse.steering.by_latent import check_strengths
from muse.steering.noise_search import fresh, liking, reward


class ParticleResampling(Steering):
    r"""FK steering (Singhal et al. 2025): k particles are led on by the plain model,
    rows of their own; at some nodes they are drawn anew, each as often as its potential says, and
    at the end the one is kept that the guide likes best. No gradient is taken.

    With :math:`r_j` the guide's mean log-probability of the target in the prediction that led to
    the j-th such node, the potentials are

    .. math::
        G_j = \exp(\lambda \max_{i \le j} r_i), \qquad \exp(\lambda (r_j - r_{j-1})), \qquad
        \exp(\lambda \textstyle\sum_{i \le j} r_i)

    for ``max``, ``difference`` and ``sum``, and the k are drawn from them with replacement. (The
    authors draw once more at the end, by what is left of :math:`e^{\lambda r}`, and sort; one
    picture is wanted here.) A reading that is not finite counts as the worst.

    Where steering begins at the first step of a generation the particles start from noises of their
    own, the row's among them; else from the row's latent. Copies only part if the solver adds noise
    (`DDIM` with eta 1), each particle its own. A solver of several steps begins anew at each node.

    Published for Stable Diffusion: 4 particles, lambda 10 for ImageReward, ``max``, drawn anew at
    steps 20, 40, 60 and 80 of 100 of DDIM with eta 1 (the authors' text_to_image/launch.sh).

    Args:
        n: k, 1 or more.
        scale: lambda, 0 or more.
        potential: which of them.
        every: after which share of the steps particles are drawn anew, again and again, above 0.
        start: the first share of the steps where they may be, in [0, 1].
        stop: the last, in [0, 1], not before `start`.

    Raises:
        MuseError: one of them out of range; particles that begin alike and never part.
    """

    predicts = False

    def __init__(
        self,
        n: int = 4,
        scale: float = 10.0,
        potential: Literal["max", "difference", "sum"] = "max",
        every: float = 0.2,
        start: float = 0.2,
        stop: float = 0.8,
    ) -> None:
        super().__init__()
        check_counts(n=n)
        check_strengths(scale=scale)
        if not 0 < every <= 1:
            raise MuseError(f"every = {every:g} is out of range. Use one above 0, at most 1.")
        if not 0 <= start <= stop <= 1:
            raise MuseError(
                f"start = {start:g} and stop = {stop:g} are not allowed. Use shares of the steps, "
                "0 to 1, the first one first."
            )
        check_choice("potential", potential, ("max", "difference", "sum"))
        self.n, self.scale, self.potential = n, scale, potential
        self.every, self.start, self.stop = every, start, stop

    def nodes(self, steps: int) -> list[int]:
        """Where particles are drawn anew, rising, between the ends of so many steps."""
        shares = [self.start + j * self.every for j in range(int(1 / self.every) + 1)]
        found = {round(share * steps) for share in shares if share <= self.stop + 1e-9}
        return sorted(node for node in found if 0 < node < steps)

    def forward(self, step: Step, state: Tensors) -> Generator[list[Ask], list[Any], Steered]:
        """All the way, and the best particle's last latent."""
        fresh_ones = (not step.i and not step.edits) or self.n == 1
        others = range(self.n - 1)
        x = [step.x, *(fresh(step.x, step.generator) if fresh_ones else step.x for _ in others)]
        rewards: list[Tensor] = []  # of the present particles' own ways, (k,) each
        end, here, number = len(step.grid), step.i, 0
        for node in [*(j for j in self.nodes(end) if j > step.i), end]:
            rows = [step.onward(one, here, node, self.stream(step)) for one in x]
            found: list[tuple[Tensor, Observation]]
            [found] = yield [Fork(rows)]
            seen = [liking(observed, step.goal.target) for _, observed in found]
            for judged in seen:
                step.note(number, judged)
                number += 1
            x, here = [latent for latent, _ in found], node
            if not (fresh_ones or rewards) and all(torch.equal(x[0], other) for other in x[1:]):
                raise MuseError(
                    f"{self.n} particles began alike and never part: the solver adds no noise. Use "
                    "DDIM with eta above 0 or, to draw a picture, the timing Always."
                )
            rewards.append(torch.tensor([reward(judged) for judged in seen]).double())
            if node < end:
                weights = (self.scale * self.exponents(rewards)).softmax(0)
                drawn = weights.multinomial(self.n, replacement=True, generator=step.generator)
                x = [x[k] for k in drawn.tolist()]
                rewards = [reward[drawn] for reward in rewards]
        step.trace.iterations.append(number)
        return Steered(None, state, x[int(rewards[-1].argmax())], end)

    def exponents(self, rewards: list[Tensor]) -> Tensor:
        """The logarithms of the potentials, without lambda, (k,)."""
        ways = torch.stack(rewards)
        if self.potential == "max":
            return ways.amax(0)
        if self.potential == "sum":
            return ways.sum(0)
        return ways[-1] - ways[-2] if len(ways) > 1 else ways[-1]

    def stream(self, step: Step) -> torch.Generator:
        """A particle's own noise as far as the next node, on the CPU."""
        seed = torch.randint(2**62, (), generator=step.generator)
        return torch.Generator().manual_seed(int(seed))
