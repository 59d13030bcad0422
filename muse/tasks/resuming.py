"""Training that a checkpoint takes up again as if it had never stopped."""

from __future__ import annotations

import pickle
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from muse.core.types import MuseError
from muse.pretrained.damage import check_whole
from muse.pretrained.weights import UNREADABLE, reason_of

Streams = dict[str, list[Tensor]]
WORDS = ("last", "hpc")
"""What Lightning itself finds a checkpoint by."""


def check_checkpoint(given: str | Path | None) -> None:
    """Refuse a checkpoint to go on from that isn't there, isn't whole, or is none of Lightning's.

    Args:
        given: ``--ckpt_path``.

    Raises:
        MuseError: it is one of these.
    """
    if given is None or str(given) in WORDS or "://" in str(given):
        return
    path, remedy = Path(given), "Give a .ckpt file that `muse fit` wrote, such as last.ckpt."
    if not path.is_file():
        raise MuseError(f"There is no checkpoint at {str(given)!r}. {remedy}")
    check_whole(path)
    if not zipfile.is_zipfile(path):
        raise MuseError(f"{str(given)!r} is no checkpoint. {remedy}")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:  # more than tensors and numbers: Lightning may read it
        return
    except UNREADABLE as error:
        raise MuseError(f"{str(given)!r} can't be read ({reason_of(error)}). {remedy}") from error
    if not (isinstance(found, Mapping) and {"state_dict", "pytorch-lightning_version"} <= {*found}):
        raise MuseError(f"{str(given)!r} holds no training to go on with. {remedy}")


def random_streams() -> Streams:
    """Where torch's random generators stand, of the CPU and of all GPUs."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": [torch.get_rng_state()], "cuda": gpus}


def set_random_streams(streams: Streams) -> None:
    """Makes torch's generators go on from there; those of GPUs that aren't here are left out."""
    [cpu] = streams["cpu"]
    torch.set_rng_state(cpu)
    for index, state in enumerate(streams["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, index)


class Resumable(L.LightningModule):
    """A task whose checkpoints hold the random streams too, which Lightning's leave out.

    Noise, times, damage and captions are drawn anew at every step. Where a resumed run draws others
    than the uninterrupted one, even another order of the same pictures, their weights part: by a
    rounding error where the gradient is more than that, but by whole steps where it is nothing else
    (the bias of an attention's keys), for Adam makes them all the same size.

    Validation draws from a copy of the streams, so that a run is the same however often it is
    validated: a resumed one leaves a validation out that followed its checkpoint.
    """

    _outside: Streams | None = None

    def load_state_dict(self, state_dict: Mapping[str, Any], *words: Any, **options: Any) -> Any:
        """As torch has it; another model's weights are told in a line.

        Raises:
            MuseError: names or shapes that aren't this task's.
        """
        try:
            return super().load_state_dict(state_dict, *words, **options)
        except RuntimeError as error:
            lines = " ".join(line.strip() for line in str(error).splitlines()[1:])
            details = textwrap.shorten(lines, 200, placeholder=" ...")
            raise MuseError(
                f"The checkpoint is another model's: {details} Give the options that it was "
                "trained with."
            ) from error

    def on_validation_start(self) -> None:
        """Remembers where the streams stand."""
        self._outside = random_streams()

    def on_validation_end(self) -> None:
        """Puts them back there."""
        if self._outside is not None:
            set_random_streams(self._outside)
        self._outside = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the streams; in a validation, those that training goes on with."""
        checkpoint["random_streams"] = self._outside or random_streams()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Makes training go on with them; what only uses the weights draws as it likes."""
        streams = checkpoint.get("random_streams")  # none in those of earlier versions
        trainer = self._trainer
        if streams and trainer is not None and trainer.state.fn == TrainerFn.FITTING:
            set_random_streams(streams)
