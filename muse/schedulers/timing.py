"""WHEN steering starts: timing policies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from muse.core.types import MuseError


@dataclass(frozen=True)
class Moment:
    """What a policy may look at before a step.

    Attributes:
        step: index of the step that is about to be taken, from 0.
        steps: how many there are.
        similarity: of the picture predicted so far to its prompt, in [-100, 100]; None unless
            the policy asked for it (`TimingPolicy.needs_similarity`).
    """

    step: int
    steps: int
    similarity: float | None = None

    @property
    def share(self) -> float:
        """The share of the steps that were taken before this one, step / steps, in [0, 1)."""
        return self.step / self.steps


class TimingPolicy(nn.Module, ABC):
    """Decides for one row, step by step, whether it is steered.

    State goes in and comes out: a policy keeps nothing about a row, so rows never meet in it.
    """

    remedy: ClassVar[str] = "choose another --timing"
    """What to do, by options of `muse generate`, where it never steered a picture."""

    look_ahead: int = 0
    """How many steps the plain model is rolled on before the similarity is read: one or two model
    calls each, for every row, until nothing reads it any more.
    """

    def init(self) -> Any:
        """The state of a row that has not begun; by default a latch, not yet closed."""
        return False

    def needs_similarity(self, state: Any) -> bool:
        """Whether the next decision reads the predicted picture, which costs a plain prediction
        and a decoding; by default never.
        """
        return False

    @abstractmethod
    def forward(self, state: Any, moment: Moment) -> tuple[bool, Any]:
        """Decide about one step.

        Args:
            state: what `init` or the last call returned.
            moment: what can be seen.

        Returns:
            whether this step is steered, and the new state.
        """


class Always(TimingPolicy):
    """Steer from the first step."""

    def forward(self, state: Any, moment: Moment) -> tuple[bool, Any]:
        """Always (True, state)."""
        return True, state


class Never(TimingPolicy):
    """Never steer: the plain model."""

    def forward(self, state: Any, moment: Moment) -> tuple[bool, Any]:
        """Always (False, state)."""
        return False, state


class StepWindow(TimingPolicy):
    """Steer in a fixed window of the steps.

    Its bounds are shares of the steps, as diffusers' ``control_guidance_start`` and ``_end`` are:
    step i of n, counted from 0, is steered where start <= i / n < stop.

    Args:
        start: where steering starts, 0 to 1; 0.1 of 50 steps is step 5.
        stop: from where steps are plain again; 1 steers to the end.

    Raises:
        MuseError: bounds outside 0 to 1, or stop not above start.
    """

    remedy: ClassVar[str] = "lower --timing.start"

    def __init__(self, start: float = 0.0, stop: float = 1.0) -> None:
        super().__init__()
        if not 0 <= start < stop <= 1:
            raise MuseError(
                f"StepWindow from {start:g} to {stop:g} is not allowed. Use shares of the steps, "
                "0 <= start < stop <= 1: step 5 of 50 is 0.1."
            )
        self.start = start
        self.stop = stop

    def forward(self, state: Any, moment: Moment) -> tuple[bool, Any]:
        """Whether start <= share < stop, and the state as it was."""
        return self.start <= moment.share < self.stop, state


class ClipThreshold(TimingPolicy):
    r"""Steer once the picture so far resembles its prompt.

    From the first step with :math:`s_t \geq \eta` on (Sec. IV-B, Eq. 9 and 10).

    The similarity is the sampler's own (100 cos for CLIP), read in the one-step prediction: rolled
    out to t = 0 by plain DDIM every step would predict the same final picture, and s_t would be
    constant.

    Args:
        eta: the threshold, in [-100, 100]. It belongs to its CLIP: the same number means another
            moment with another one.
        latest_start: the share of the steps from which on steering starts even below the
            threshold, from 0 to below 1: 0.1 of 50 steps is step 5; None never forces it, and a
            row that stays below comes out plain.
        look_ahead: steps that the plain model is rolled on before the prediction is read: a clearer
            picture, at one or two model calls each; 0 reads the present step's.

    Raises:
        MuseError: eta or latest_start out of range, or look_ahead below 0.
    """

    remedy: ClassVar[str] = "lower --timing.eta, or set --timing.latest_start, such as to 0.2"

    def __init__(self, eta: float, latest_start: float | None = None, look_ahead: int = 0) -> None:
        super().__init__()
        if not -100 <= eta <= 100:
            raise MuseError(
                f"eta = {eta:g} is out of range. Use -100 to 100: eta is compared with 100 * "
                "cosine (Always and Never are the sure ways to start at once or not at all)."
            )
        if latest_start is not None and not 0 <= latest_start < 1:
            raise MuseError(
                f"latest_start = {latest_start:g} is not allowed. Use a share of the steps, from 0 "
                "to below 1 (step 5 of 50 is 0.1), or null."
            )
        if look_ahead < 0:
            raise MuseError(f"look_ahead = {look_ahead} is not allowed. Use 0 or more.")
        self.eta = eta
        self.latest_start = latest_start
        self.look_ahead = look_ahead

    def needs_similarity(self, state: Any) -> bool:
        """Until the latch has closed."""
        return not state

    def forward(self, state: Any, moment: Moment) -> tuple[bool, Any]:
        """True from the first step with similarity >= eta on."""
        latched = bool(state) or (moment.similarity is not None and moment.similarity >= self.eta)
        if self.latest_start is not None and moment.share >= self.latest_start:
            latched = True
        return latched, latched
