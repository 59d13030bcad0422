"""Heads that others have published: the user's machine fetches them, muse ships none."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from muse.core.digests import file_digest
from muse.core.types import MuseError


@dataclass(frozen=True)
class Published:
    """A file on the web, known by its digest.

    Attributes:
        name: what it is, for notes and errors.
        url: where it lies.
        sha256: its digest, in hex.
        licence: what to know before using it.
    """

    name: str
    url: str
    sha256: str
    licence: str

    @property
    def file(self) -> Path:
        """Where it is kept: torch.hub's own folder for checkpoints."""
        return Path(torch.hub.get_dir()) / "checkpoints" / f"{self.name}-{self.sha256[:8]}.pth"

    def fetch(self) -> str:
        """The path of the file, downloaded once and checked by its digest.

        Raises:
            MuseError: no network, nowhere to write, or another file under that address.
        """
        if self.file.is_file() and file_digest(self.file) == self.sha256:
            return str(self.file)
        print(f"muse: note: Fetching {self.name} from {self.url}. {self.licence}", file=sys.stderr)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(self.file), self.sha256, progress=False)
        except (OSError, RuntimeError) as error:  # of the network, of the disk; a wrong digest
            reason = str(error).strip().partition("\n")[0]
            raise MuseError(
                f"Can't fetch {self.name} ({reason}). Put {self.url} (sha256 {self.sha256}) at "
                f"{str(self.file)!r}, or give the path of your copy as checkpoint."
            ) from error
        return str(self.file)


EMOGEN = Published(
    name="emogen",
    url=(
        "https://raw.githubusercontent.com/JingyuanYY/EmoGen/"
        "4a3c9442526790327006295454d7d7cd6a8f0a5a/"
        "weights/Clip_emotion_classifier/time_2023-11-12_03-29-best.pth"
    ),
    sha256="80f72314e31e10a1e40e6e38687dd81a03e8e3ab2de03832d37e7a280485c998",
    licence=(
        "Its authors name no licence for it: muse neither ships it nor grants any right to it; ask "
        "them before you publish or sell what you make of it."
    ),
)
