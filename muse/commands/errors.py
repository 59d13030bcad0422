"""Users' mistakes in one line: ours, and those that jsonargparse found."""

from __future__ import annotations

import argparse
import re

from muse.types import MuseError


def explain(error: BaseException) -> str | None:
    """What to tell the user about a mistake of theirs; None where it is a bug of ours."""
    if isinstance(error, MuseError):
        return str(error)
    if isinstance(error, argparse.ArgumentError):
        return _parser_error(str(error.message))
    return None


def _parser_error(message: str) -> str:
    missing = re.search(r"arguments are required: (.*)", message)
    if missing:
        names = missing[1].replace("fit-free.", "--").replace("fit.", "--")
        return f"Missing: {names}. Give a configuration, such as --config configs/quickstart.yaml."
    key = re.search(r'[Pp]arser key "([^"]+)"', message)
    if key is None:
        return message
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    wrong_class = re.search(
        r"(?:Expected a dot import path string:|Import path|Unable to load|No module named|"
        r"class_path|not a subclass).*",
        message,
    )
    if wrong_class and "is not accepted" not in message:
        told = _unknown_component(key[1], message)
        if told is not None:
            return told
    return f"Option --{key[1]}: {' '.join(lines[1:])}"


def _unknown_component(key: str, message: str) -> str | None:
    from muse.commands.interfaces import interfaces
    from muse.registry import unknown

    base = interfaces().get(key.rpartition(".")[2])
    given = re.search(r"(?:path string: |Got value: |Expected a path but )'?([\w.]+)", message)
    return unknown(base, given[1]) if base is not None and given is not None else None
