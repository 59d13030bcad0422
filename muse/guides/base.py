"""The guide contract: an emotion classifier that gradients can pass through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from muse.emotions import EMOTIONS, order_of
from muse.weights import fill, labels_in, load_state


class Guide(nn.Module, ABC):
    """An emotion classifier, frozen: picture -> logits.

    A subclass writes `forward` and, where its classes stand in another order, sets `labels` in
    its constructor; everything else in muse asks `read`, which goes by name.
    """

    labels: tuple[str, ...] = EMOTIONS
    published_labels: ClassVar[tuple[str, ...]] = EMOTIONS

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Classify pictures, differentiably.

        Args:
            image: what the backbone decodes, (B, 3, H, W) in about [0, 1], unclamped.

        Returns:
            logits (B, K), classes in the order of `labels`.
        """

    def read(self, image: Tensor) -> Tensor:
        """The logits (B, K) with the classes in the order of `EMOTIONS`.

        Raises:
            MuseError: `labels` are not the eight emotions.
        """
        order = order_of(self.labels)
        logits: Tensor = self(image)
        return logits if order == list(range(len(EMOTIONS))) else logits[:, order]

    def restore(self, checkpoint: str | None, labels: Sequence[str] | None, *parts: str) -> None:
        """Fill `parts` from a checkpoint and settle `labels`: those given, else the checkpoint's
        own (metadata key ``labels``), else the published ones.

        Args:
            checkpoint: a file for `muse.weights.load_state`, or None to leave the parts as they
                are.
            labels: the class order, or None.
            parts: attributes that the checkpoint holds, under keys that begin with their names;
                its other keys are ignored.

        Raises:
            MuseError: a checkpoint that is missing, damaged or of other shapes.
        """
        metadata: dict[str, str] = {}
        if checkpoint is not None:
            state, metadata = load_state(checkpoint)
            own = {key: value for key, value in state.items() if key.partition(".")[0] in parts}
            fill(nn.ModuleDict({part: getattr(self, part) for part in parts}), own, checkpoint)
        self.labels = tuple(labels or labels_in(metadata) or self.published_labels)
