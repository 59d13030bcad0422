"""Guides as folders that can be shared, on the hub or elsewhere: weights, what builds the guide,
and a model card.

The methods are those of huggingface_hub's ``ModelHubMixin``, which itself doesn't fit: it keeps a
constructor's arguments as they were given (paths of the machine that trained), saves frozen CLIPs,
and ``Guide.from_pretrained`` could not find the class.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HTTPError

from muse.core.digests import file_digest
from muse.core.files import make_folder, write_text, written
from muse.core.registry import available
from muse.core.types import MuseError
from muse.guides.card import CARD, CONFIG, WEIGHTS, About, card
from muse.guides.saving import save_classifier
from muse.pretrained.packaged import PACKAGED

T = TypeVar("T")


def save(guide: Any, folder: Path, repo: str | None = None) -> None:
    """Save a guide as a folder.

    Args:
        guide: a `Guide`.
        folder: is made; files of these names in it are replaced.
        repo: the hub's name for it, where it has one, for the card.

    Raises:
        MuseError: its class has no weights of its own, or the folder can't be written to.
    """
    name = type(guide).__name__
    if guide.weights_option not in inspect.signature(type(guide)).parameters:
        raise MuseError(
            f"{name} has no weights of its own to save: its constructor takes no "
            f"{guide.weights_option}. Save the guides that it is made of."
        )
    make_folder(folder)
    with written(f"the guide into {str(folder)!r}"):
        save_classifier(guide, guide.labels, folder / WEIGHTS)
        options = {key: value for key, value in guide.settings().items() if _everywhere(value)}
        parameters = inspect.signature(type(guide)).parameters
        needed = [key for key, one in parameters.items() if one.default is one.empty]
        told: dict[str, Any] = {"class": name, "options": options}
        told["weights"] = guide.weights_option
        told["needs"] = [key for key in needed if key not in options]
        told |= {"sha256": file_digest(folder / WEIGHTS), "muse": version("muse-emotion")}
        write_text(folder / CONFIG, json.dumps(told, indent=1) + "\n")
        write_text(folder / CARD, card(About.of(folder), repo))


def load(
    base: type[T],
    name: str,
    revision: str | None,
    token: str | bool | None,
    options: Mapping[str, Any],
) -> T:
    """Load a guide of the class `base`, or of one below it that is imported.

    Raises:
        MuseError: no such guide, one of another class, damaged weights, or an option that is
            missing or isn't one.
    """
    folder = Path(name) if Path(name).is_dir() else _fetched(name, revision, token)
    about = About.of(folder)
    if about.kind is None:
        raise MuseError(f"{name!r} has no {CONFIG} that names a guide's class. Give another one.")
    cls = _class(base, about.kind, name)
    if about.config.get("sha256") not in (None, about.sha256):
        raise MuseError(
            f"The weights of {name!r} are not those that were saved (checked by digest). Fetch "
            "them again."
        )
    given, parameters = {**about.options, **options}, inspect.signature(cls).parameters
    wrong = next((option for option in given if option not in parameters), None)
    if wrong is not None:
        raise MuseError(f"{cls.__name__} has no option {wrong!r}. It has: {', '.join(parameters)}.")
    of_weights: str = cls.weights_option  # type: ignore[attr-defined]
    given[of_weights] = str(about.file)
    for option, parameter in parameters.items():
        if option not in given and parameter.default is parameter.empty:
            raise MuseError(
                f"{name!r} doesn't say its {option}, which {cls.__name__} needs. Give it: "
                f"from_pretrained(..., {option}=...)."
            )
    made: Any = cls(**given)
    loaded: T = made.eval()
    return loaded


def push(guide: Any, repo_id: str, private: bool | None, token: str | bool | None) -> str:
    """Save a guide into a repository of the hub; the address of the commit.

    Raises:
        MuseError: its class has no weights of its own, or the hub refuses.
    """
    with TemporaryDirectory() as folder:
        save(guide, Path(folder), repo_id)
        api = HfApi(token=token)
        try:
            made = api.create_repo(repo_id, private=private, exist_ok=True)
            message = f"{type(guide).__name__}, by muse {version('muse-emotion')}"
            told = api.upload_folder(
                repo_id=made.repo_id, folder_path=folder, commit_message=message
            )
        except (HTTPError, OSError, ValueError) as error:
            raise MuseError(
                f"The hub doesn't take {repo_id!r} ({_line(error)}). Log in (hf auth login) as "
                "somebody who may write there, or give another name."
            ) from error
    return str(told)


def _class(base: type[T], kind: str, name: str) -> type[T]:
    """The class of that name, among those that are imported: a file never decides what is."""
    if base.__name__ == kind:
        return base
    found = available(base).get(kind)
    if found is None:
        raise MuseError(
            f"{name!r} holds a {kind}, and no {base.__name__} of that name is imported. Use "
            f"Guide.from_pretrained; for a class of somebody's own, import it first."
        )
    return found


def _fetched(name: str, revision: str | None, token: str | bool | None) -> Path:
    try:
        files = [CONFIG, WEIGHTS, CARD]
        return Path(snapshot_download(name, revision=revision, token=token, allow_patterns=files))
    except (OSError, ValueError) as error:
        raise MuseError(
            f"No guide under {name!r} ({_line(error)}). Give a folder that save_pretrained wrote, "
            "or a hub id (needs the network once)."
        ) from error


def _everywhere(value: Any) -> bool:
    """Whether a setting means the same on another machine: no path of this one's."""
    if not isinstance(value, str) or not value or value.partition("/")[0] in PACKAGED:
        return True
    path = Path(value)
    return not (path.exists() or path.is_absolute() or value[0] in ".~" or len(path.parts) > 2)


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
