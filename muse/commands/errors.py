"""Users' mistakes in one line: ours, and those that jsonargparse found."""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import inspect
import re

from muse.core.memory import OUT_OF_MEMORY, is_out_of_memory
from muse.core.types import MuseError


def explain(error: BaseException) -> str | None:
    """What to tell the user about a mistake of theirs; None where it is a bug of ours."""
    mistake = _mistake(error)
    if mistake is not None:
        return str(mistake)
    if isinstance(error, argparse.ArgumentError):
        return _parser_error(str(error.message))
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        near = error.object[max(0, error.start - 30) : error.end + 30]
        return f"{near!r} is no text in UTF-8. Write it so, and rename a file that is named so."
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)[:60]!r}... is too long a name for a file. Give a shorter one."
    return OUT_OF_MEMORY if is_out_of_memory(error) else None


def notes(error: BaseException) -> list[str]:
    """What goes below that line: tables that don't fit into it."""
    return list(getattr(_mistake(error), "__notes__", []))


def _mistake(error: BaseException) -> MuseError | None:
    cause: BaseException | None = error
    while cause is not None:  # jsonargparse wraps what a nested class's constructor raises
        if isinstance(cause, MuseError):
            return cause
        cause = cause.__cause__
    return None


def _parser_error(message: str) -> str:
    missing = re.search(r"arguments are required: (.*)", message)
    if missing:
        option = re.sub(r"\b(?:fit|fit-free)\.", "", missing[1])
        return f"Missing: {option}. Give it, or a --config FILE that has it; see --help."
    if re.match(r"unrecognized arguments: \w", message):
        words = message.partition(": ")[2]
        return (
            f"Unrecognized words: {words}. Words that belong together, as in a prompt, need quotes."
        )
    keys = re.findall(r'[Pp]arser key "([^"]+)":', message)
    if not keys:
        return f"{message[:1].upper()}{message[1:]}. See --help for what is allowed."
    from muse.data.job_data import unquoted

    unknown_part = _unknown_component(keys[0], message)
    if unknown_part is not None:
        return unknown_part
    unread = re.search(r"Given value: (.*)", message)
    if unread and keys[0] in ("data.prompts", "data.emotions"):
        return unquoted(keys[0], unread[1])
    option = f"--{'.'.join(keys)}"
    if unread and re.search(r"Expected a (?:<class ')?list", message):
        return f"Option {option} takes a list. Write '[{unread[1]}]'."
    plain = re.search(
        r"Subtypes: \[(<class '\w+'>(?:, <class '\w+'>)*)\](?!.*Subtypes)", message, re.S
    )
    if unread and plain:
        kinds = re.findall(r"'(\w+)'", plain[1].replace("NoneType", "null"))
        return f"Option {option}: Expected a {' or '.join(kinds)}. Got value: {unread[1]}."
    reason = re.sub(r'[Pp]arser key "[^"]+":\s*', "", message)
    reason = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", reason).replace("typing.", "")
    problem = re.search(r"Problem with given class_path '([^']+)':\s*(.+)", reason)
    if problem and "Union subtypes" in message:
        told = problem[2].strip().rstrip(".")
        union = re.match(
            r"Does not validate[^\n]*\s+Subtypes: \[([^\n]*)\]\n.*?Given value: ([^\n]*)",
            reason[problem.start(2) :],
            re.S,
        )
        if union:
            allowed = union[1].replace(", NoneType", " or null")
            told = f"Expected a {allowed}. Got value: {union[2]}"
        return f"Option {option}: {problem[1]}: {told}.{_nearest(message)}"
    return f"Option {option}: {' '.join(reason.split())}.{_nearest(message)}"


def _nearest(message: str) -> str:
    """What a class takes, where an option of a part isn't one of its."""
    found = re.search(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", message)
    if found is None:
        return ""
    module, _, name = found[1].rpartition(".")
    taken = [*inspect.signature(getattr(importlib.import_module(module), name)).parameters]
    near = difflib.get_close_matches(found[2], taken, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" It takes: {', '.join(taken) or 'none'}."


def _unknown_component(key: str, message: str) -> str | None:
    from muse.commands.interfaces import interfaces
    from muse.core.registry import unknown

    base = interfaces().get(key.rpartition(".")[2])
    given = re.search(r"(?:dot import path string|Import path|Got value): '?([\w.]+)", message)
    if base is None or given is None or "Problem with given class_path" in message:
        return None
    return unknown(base, given[1])
