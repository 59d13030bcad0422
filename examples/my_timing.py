"""A timing policy of one's own: steer once the picture's content has settled.

muse fit-free --config configs/toy.yaml --model.timing examples.my_timing.Plateau
"""

from __future__ import annotations

from typing import Any, ClassVar

from muse.core.types import MuseError
from muse.schedulers import Moment, TimingPolicy


class Plateau(TimingPolicy):
    """Steer once the similarity to the prompt has risen, and stopped rising.

    For pictures from noise. It has no threshold, so nothing has to be measured anew for another
    CLIP.

    Args:
        patience: after so many steps without a gain, 1 or more.
        gain: in the units of the similarity, 0 or more; a rise by less is none.

    Raises:
        MuseError: an option out of range.
    """

    remedy: ClassVar[str] = "lower --timing.patience or --timing.gain"

    def __init__(self, patience: int = 3, gain: float = 1.0) -> None:
        super().__init__()
        if patience < 1:
            raise MuseError(f"patience = {patience} is not allowed. Use 1 or more.")
        if not gain >= 0:
            raise MuseError(f"gain = {gain:g} is not allowed. Use 0 or more.")
        self.patience = patience
        self.gain = gain

    def init(self) -> Any:
        """A row's state, which is not kept here: the best similarity so far, whether it has risen,
        and the steps since it last did.
        """
        return None, False, 0

    def needs_similarity(self, state: Any) -> bool:
        """Until it steers: afterwards nobody has to decode a picture for it."""
        *_, waited = state
        return bool(waited < self.patience)

    def forward(self, state: Any, moment: Moment) -> tuple[bool, Any]:
        """Whether the last `patience` steps brought no gain, and the new state."""
        best, risen, waited = state
        if moment.similarity is not None:
            gained = best is not None and moment.similarity > best + self.gain
            best = moment.similarity if best is None or gained else best
            risen, waited = risen or gained, 0 if gained else waited + risen
        return waited >= self.patience, (best, risen, waited)
