"""The guide contract: an emotion classifier that gradients can pass through."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from muse.core.emotions import EMOTIONS, order_of
from muse.core.types import MuseError
from muse.guides import hub
from muse.guides.saving import trained_in
from muse.guides.tower import split_tower, with_tower
from muse.pretrained.clip import Clip
from muse.pretrained.weights import fill, labels_in, load_state


class Guide(nn.Module, ABC):
    """An emotion classifier, frozen: picture -> logits.

    A subclass writes `forward` and, where its classes stand in another order, sets `labels` in
    its constructor; everything else in muse asks `read`, which goes by name.

    Attributes:
        labels: its classes, in the order of its logits.
        weights_option: the constructor's argument that names a file of its weights.
        trained: how its weights were trained, as `muse fit` notes it beside them, empty where the
            file doesn't say; None of a guide that begins with random weights.
    """

    labels: tuple[str, ...] = EMOTIONS
    published_labels: ClassVar[tuple[str, ...]] = EMOTIONS
    weights_option: ClassVar[str] = "checkpoint"
    trained: Mapping[str, Any] | None = None

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

    def settings(self) -> dict[str, Any]:
        """What the constructor needs beside a file of weights, as plain values: the name of the
        CLIP inside, where there is one. A class with more than that says it here.
        """
        clip = getattr(self, "clip", None)
        return {"clip": clip.name} if isinstance(clip, Clip) and clip.name is not None else {}

    def save_pretrained(self, folder: str | Path) -> None:
        """Save the guide as a folder to share: ``config.json``, ``model.safetensors`` (in half
        precision; a CLIP is left out, but for a visual tower that was trained) and ``README.md``, a
        model card of what is known about its training.

        Raises:
            MuseError: its class has no weights of its own.
        """
        hub.save(self, Path(folder))

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        revision: str | None = None,
        token: str | bool | None = None,
        **options: Any,
    ) -> Self:
        """Load a guide that `save_pretrained` or `push_to_hub` saved.

        ``Guide.from_pretrained`` finds the class by its name, among those that are imported; a
        guide of your own class is loaded by that class.

        Args:
            name: a folder, or a hub id.
            revision: of the hub's repository.
            token: for a private one; None takes the one that is logged in.
            options: of the constructor, in the place of those that were saved, such as ``clip``.

        Raises:
            MuseError: no such guide, or one of another class, damaged weights, or an option that
                is missing.
        """
        return hub.load(cls, str(name), revision, token, options)

    def push_to_hub(
        self, repo_id: str, private: bool | None = None, token: str | bool | None = None
    ) -> str:
        """Save the guide (`save_pretrained`) into a repository of the hub, which is made where
        there is none.

        Args:
            repo_id: such as ``me/simemo-emoset``.
            private: whether a new one is; None takes the hub's own default.
            token: None takes the one that is logged in.

        Returns:
            the address of the commit.

        Raises:
            MuseError: its class has no weights of its own, or the hub refuses.
        """
        return hub.push(self, repo_id, private, token)

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
        self.labels = tuple(labels or labels_in(metadata, str(checkpoint)) or self.published_labels)
        self.trained = None if checkpoint is None else trained_in(metadata) or {}

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
