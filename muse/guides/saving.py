"""Saving a guide so that it can be loaded again by its class and `checkpoint`."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from muse.digests import note_digests
from muse.files import replacing
from muse.guides.base import Guide


def save_guide(guide: Guide, file: Path) -> None:
    """Save a guide's own weights in half precision, whole or not at all.

    A CLIP inside (``guide.clip``) is left out. The metadata has the class order under ``labels``,
    and whatever the guide's own `metadata` says, where it has one.

    Args:
        guide: any guide; it stays as it is.
        file: ends in .safetensors; its folder is made.
    """
    state = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in guide.state_dict().items()
        if not key.startswith("clip.")
    }
    metadata = {"labels": json.dumps(list(guide.labels)), **getattr(guide, "metadata", {})}
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        save_file(state, temporary, metadata)
    note_digests(file)
