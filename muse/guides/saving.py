"""Saving a classifier so that its class can load it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from muse.core.files import replacing
from muse.pretrained.clip import TOWER, Clip
from muse.pretrained.packaged import note_digests

TRAINED = "trained"
"""The metadata's key for how weights were trained, as JSON."""


def trained_in(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """How weights were trained, as their file's metadata tells it; None where it doesn't."""
    try:
        told = json.loads(metadata.get(TRAINED, "null"))
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def save_classifier(classifier: nn.Module, labels: Sequence[str], file: Path) -> None:
    """Save a classifier's own weights in half precision, whole or not at all.

    A CLIP inside (``classifier.clip``) is left out, but for a visual tower that was trained. The
    metadata has the class order under ``labels``, how it was `trained` where a guide knows that,
    and whatever the classifier's own `metadata` says, where it has one.

    Args:
        classifier: a guide, or another module of this form; it stays as it is.
        labels: its classes, in the order of its logits.
        file: ends in .safetensors; its folder is made.
    """
    clip = getattr(classifier, "clip", None)
    tower = TOWER if isinstance(clip, Clip) and clip.tuned else ()
    kept = tuple(f"clip.model.{part}." for part in tower)
    state = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in classifier.state_dict().items()
        if not key.startswith("clip.") or key.startswith(kept)
    }
    metadata = {"labels": json.dumps(list(labels)), **getattr(classifier, "metadata", {})}
    trained = getattr(classifier, "trained", None)
    metadata |= {TRAINED: json.dumps(trained)} if trained else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        save_file(state, temporary, metadata)
    note_digests(file)
