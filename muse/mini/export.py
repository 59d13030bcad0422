"""Parts of a pipeline on disk: the diffusers folder layout, half-precision safetensors."""

import copy
import re
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import torch
from diffusers import AutoencoderTiny
from torch import nn

from muse.core.types import MuseError
from muse.pretrained.clip import Clip
from muse.pretrained.packaged import note_digests


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
    # Where a part was loaded from, to train on, is no part of it.
    file = folder / "config.json"
    text = file.read_text().replace('"dtype": "float16"', '"dtype": "float32"')
    text = re.sub(r' *"_name_or_path": .*\n', "", text)
    if isinstance(module, AutoencoderTiny):  # diffusers notes it, and warns of it when it loads
        text = re.sub(r' *"block_out_channels": \[[^]]*\],\n', "", text)
    file.write_text(text)
    note_digests(folder)


def save_clip(clip: Clip, folder: Path) -> None:
    """Saves a CLIP as a transformers folder that `muse.pretrained.clip.load_clip` reads: the model
    in half precision, its tokenizer where it has one, how pictures are brought to it.
    """
    save_part(clip.model, folder)
    if clip.tokenizer is not None:
        clip.tokenizer("")  # else the padding of its last use would be saved with it
        clip.tokenizer.save_pretrained(folder)
    clip.preprocess.processor.save_pretrained(folder)


def part_folder(pipeline_dir: str | Path, part: str, made_by: str) -> Path:
    """The folder of a part that an earlier task has made.

    Raises:
        MuseError: when it isn't there yet.
    """
    folder = Path(pipeline_dir) / part
    if not folder.is_dir():
        stage = "first/" if folder.parent.name == "first" else ""
        raise MuseError(
            f"{folder} is missing; run `muse fit --config configs/mini/{stage}{made_by}.yaml` "
            "first."
        )
    return folder
