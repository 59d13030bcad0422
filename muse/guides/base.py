"""The guide contract: an emotion classifier that gradients can pass through."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from muse.core.emotions import EMOTIONS, order_of
from muse.core.types import MuseError
from muse.guides.tower import split_tower, with_tower
from muse.pretrained.clip import Clip
from muse.pretrained.weights import fill, labels_in, load_state


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
            MuseError: `labels` are not the eight emotions, or not as many as the logits.
        """
        order = order_of(self.labels)
        logits: Tensor = self(image)
        if logits.shape[-1] != len(self.labels):
            raise MuseError(
                f"{type(self).__name__} gives {logits.shape[-1]} logits for {len(self.labels)} "
                "labels. Make them as many: one class for each of its labels."
            )
        return logits if order == list(range(len(EMOTIONS))) else logits[:, order]

    def restore(
        self,
        checkpoint: str | None,
        labels: Sequence[str] | None,
        *parts: str,
        tower: str | None = None,
    ) -> None:
        """Fill `parts` from a checkpoint and settle `labels`: those given, else the checkpoint's
        own (metadata key ``labels``), else the published ones.

        Where the guide has a `Clip` as ``clip`` and the checkpoint holds a visual tower too, by
        transformers' names or OpenAI's, ``clip`` becomes a twin with that tower. What else a
        checkpoint holds is told in a line.

        Args:
            checkpoint: a file for `muse.pretrained.weights.load_state`, or None to leave the parts
                as they are.
            labels: the class order, or None.
            parts: attributes that the checkpoint holds, under keys that begin with their names.
            tower: another file, that holds the visual tower.

        Raises:
            MuseError: a checkpoint that is missing, damaged or of other shapes.
        """
        metadata: dict[str, str] = {}
        if checkpoint is not None:
            state, metadata = load_state(checkpoint)
            own = {key: value for key, value in state.items() if key.partition(".")[0] in parts}
            fill(nn.ModuleDict({part: getattr(self, part) for part in parts}), own, checkpoint)
            rest = {key: value for key, value in state.items() if key not in own}
            self._restore_tower(rest, checkpoint)
        if tower is not None:
            self._restore_tower(load_state(tower)[0], tower, wanted=True)
        self.labels = tuple(labels or labels_in(metadata) or self.published_labels)

    def _restore_tower(self, rest: Mapping[str, Tensor], name: str, wanted: bool = False) -> None:
        clip = getattr(self, "clip", None)
        if isinstance(clip, Clip):
            tower, rest = split_tower(rest)
            if tower or wanted:
                self.clip = with_tower(clip, tower, name)
        if rest:
            shown = ", ".join(list(rest)[:3]) + (f" and {len(rest) - 3} more" * (len(rest) > 3))
            print(
                f"muse: note: {name!r} also holds {shown}, which {type(self).__name__} doesn't "
                "read.",
                file=sys.stderr,
            )
