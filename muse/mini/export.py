"""Parts of a pipeline on disk: the diffusers folder layout, half-precision safetensors."""

import copy
import json
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import torch
from safetensors.torch import save_file
from torch import nn

from muse.digests import note_digests
from muse.types import MuseError


@runtime_checkable
class Saveable(Protocol):
    """A diffusers or transformers model."""

    def save_pretrained(self, save_directory: str | Path) -> object:
        """Writes config and weights into a folder."""


M = TypeVar("M", bound=nn.Module)


def plain_copy(module: M) -> M:
    """A frozen float32 copy on the CPU, in the default memory layout."""
    twin = copy.deepcopy(module).to(memory_format=torch.contiguous_format)
    return twin.float().cpu().eval().requires_grad_(False)


def save_part(module: nn.Module, folder: Path) -> None:
    """Saves a diffusers or transformers model in half precision, as `from_pretrained` reads it."""
    half = plain_copy(module).half()
    if not isinstance(half, Saveable):
        raise TypeError(f"{type(module).__name__} is no diffusers or transformers model")
    half.save_pretrained(folder)
    # transformers loads in the dtype that the config names: the weights are stored in half, but
    # `from_pretrained(folder)` without options must give a pipeline that runs on a CPU.
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))
    note_digests(folder)


def save_state(module: nn.Module, file: Path, labels: tuple[str, ...], without: str) -> None:
    """Saves a module's own weights in half precision, with the class order as metadata.

    Args:
        module: what to save.
        file: ends in .safetensors.
        labels: the class order, kept under the metadata key "labels".
        without: keys that begin so are left out.
    """
    state = plain_copy(module).half().state_dict()
    kept = {key: value.contiguous() for key, value in state.items() if not key.startswith(without)}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, file, {"labels": json.dumps(list(labels))})
    note_digests(file)


def part_folder(pipeline_dir: str | Path, part: str, made_by: str) -> Path:
    """The folder of a part that an earlier task has made.

    Raises:
        MuseError: when it isn't there yet.
    """
    folder = Path(pipeline_dir) / part
    if not folder.is_dir():
        raise MuseError(
            f"{folder} is missing; run `muse fit --config configs/mini/{made_by}.yaml` first."
        )
    return folder
