"""Any timm model as an emotion classifier."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import timm
from timm.data import create_transform, resolve_model_data_config
from torch import Tensor, nn

from muse.core.types import MuseError
from muse.guides.base import Guide
from muse.guides.label_map import LabelMap, map_in
from muse.guides.saving import trained_in
from muse.pretrained.weights import fill, json_in, labels_in, load_state

WHOLE = {"crop_pct": 1.0, "crop_mode": "center"}
"""The shortest side to the model's, then the centre: nothing is zoomed in."""


class TimmClassifier(Guide):
    """Any timm model as an emotion classifier, by its name.

    Pictures are brought to the model by timm's own transform, on tensors and so with gradients.
    Weights that were trained elsewhere (timm's, or a plain state dict) read them as timm evaluates
    the model: its size, crop (``crop_pct``, ``crop_mode``), mean and standard deviation. A network
    that starts from random weights has no crop to keep to and reads pictures up to their edges.
    A saved guide says which; ``{"pretrained_cfg_overlay": {"crop_pct": 1.0}}`` in the options sets
    another.

    Args:
        model: a name from ``timm.list_models()``, with or without a tag of weights
            (``resnet50.a1_in1k``); None takes the checkpoint's own, else resnet18.
        checkpoint: its weights, as `muse fit` saves them or a plain state dict of the timm model.
        pretrained: start from timm's weights, for training; needs the network once.
        options: more for ``timm.create_model``, such as ``{"drop_rate": 0.1}``; None takes the
            checkpoint's own.
        labels: its classes in the order of its logits; None takes the checkpoint's own, else the
            order of `EMOTIONS`.
        label_map: class -> emotion, for a checkpoint of other classes than the eight emotions.
            Classes of one emotion add up, those left out are dropped. None takes the checkpoint's
            own.

    Raises:
        MuseError: an unknown name (the nearest ones are told), options that the model refuses,
            classes that are not the emotions without a map (with a table of them), or a checkpoint
            that is missing, damaged or of other shapes.
    """

    def __init__(
        self,
        model: str | None = None,
        checkpoint: str | None = None,
        pretrained: bool = False,
        options: dict[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        label_map: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        state, saved = load_state(checkpoint) if checkpoint is not None else ({}, {})
        name = model or saved.get("model", "resnet18")
        file = str(checkpoint)
        if options is None:
            options = json_in(saved, "options", dict, file) or {}
        classes = labels or labels_in(saved, file) or self.published_labels
        self.emotions = LabelMap(classes, label_map or map_in(saved, file), checkpoint or name)
        self.labels = self.emotions.labels
        # A checkpoint of muse names its model.
        elsewhere = pretrained if checkpoint is None else "model" not in saved
        crop = {} if elsewhere else WHOLE | (json_in(saved, "crop", dict, file) or {})
        given = options.get("pretrained_cfg_overlay") or {}
        if not isinstance(given, dict):
            raise MuseError(
                f"pretrained_cfg_overlay = {given!r} is not allowed. Give a table, such as "
                "{crop_pct: 1.0}."
            )
        overlay = {**crop, **given}
        own_options = {**options, "pretrained_cfg_overlay": overlay}
        self.model = create_model(
            name, pretrained and checkpoint is None, len(classes), own_options
        )
        try:
            config = resolve_model_data_config(self.model, options)
            self.size: int = config["input_size"][-1]
            self.transform = create_transform(**config)
        except (TypeError, ValueError, LookupError, AssertionError, AttributeError) as error:
            raise MuseError(
                f"timm makes no transform of pictures for {name!r} with options {options} "
                f"({error!r}). Correct them, or leave them out."
            ) from error
        self.metadata = {
            "model": name,
            "options": json.dumps(options),
            "crop": json.dumps({key: config[key] for key in WHOLE}),
            **self.emotions.metadata,
        }
        began = name if pretrained and checkpoint is None else saved.get("started_from")
        self.metadata |= {"started_from": began} if began else {}
        self.trained = None if checkpoint is None else trained_in(saved) or {}
        if checkpoint is not None:
            own = {key.removeprefix("model."): value for key, value in state.items()}
            fill(self.model, own, checkpoint)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 8) in the order of `labels`, of pictures (B, 3, H, W) in about [0, 1]."""
        return self.emotions(self.model(self.transform(image)))


def create_model(
    name: str, pretrained: bool, classes: int | None, options: dict[str, Any]
) -> nn.Module:
    """A timm model by its name.

    Args:
        name: from ``timm.list_models()``, with or without a tag of weights.
        pretrained: with timm's weights (needs the network once).
        classes: how many its last layer tells apart; None keeps the model's own.
        options: more for ``timm.create_model``.

    Raises:
        MuseError: an unknown name (the nearest ones are told), options that the model refuses, or
            weights that can't be had.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise MuseError(f"timm has no model {name!r}.{hint} Give a name from timm.list_models().")
    head = {} if classes is None else {"num_classes": classes}
    try:
        model: nn.Module = timm.create_model(name, pretrained, **head, **options)
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        needs = " Pretrained weights need the network once." if pretrained else ""
        raise MuseError(
            f"timm can't make {name!r} with options {options} ({reason}).{needs}"
        ) from error
    return model
