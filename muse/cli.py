"""The command line: one table of commands; `fit` and `fit-free` go to LightningCLI."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version

from muse.core.stopping import exit_code

OK, FAILED, USAGE, BUG = 0, 1, 2, 70


def main(argv: Sequence[str] | None = None) -> int:
    """Run `muse`.

    Args:
        argv: the words after ``muse``; None takes those of the process.

    Returns:
        the exit code: 0 all done, 1 some jobs failed, 2 the user's mistake, 70 a bug of ours,
        130 interrupted, 143 by SIGTERM.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return OK if words else USAGE
    if words[0] in ("-V", "--version"):
        print(f"muse {version('muse-emotion')}")
        return OK
    if words[0] not in COMMANDS:
        names = ", ".join(COMMANDS)
        print(f"muse: error: Unknown command {words[0]!r}. Allowed: {names}.", file=sys.stderr)
        return USAGE
    return _guarded(COMMANDS[words[0]][0], words, debug)


def usage() -> str:
    """The page of ``muse --help``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items()]
    return "\n".join(
        [
            "muse: pictures with a chosen emotion, from a frozen diffusion model",
            "",
            "usage: muse COMMAND ...",
            "",
            *lines,
            "",
            "  muse COMMAND --help     the options of a command",
            "  muse --version          the version",
            "  --debug                 show the traceback of an error",
            "",
            'to begin: muse generate "a dog in a park" --emotion awe',
        ]
    )


def _guarded(command: Callable[[list[str]], int], words: list[str], debug: bool) -> int:
    if os.getcwd() not in sys.path:  # for classes in a file of the user's own
        sys.path.append(os.getcwd())  # last: no file of theirs stands for a module of Python's
    try:
        for word in words:  # what is no UTF-8 can't be encoded, and is told below
            word.encode()
        return command(words)
    except KeyboardInterrupt as stop:
        return _complain("Interrupted.", exit_code(stop), debug)
    except SystemExit as stop:  # --help and --print_config end this way
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or OK
        print(stop.code, file=sys.stderr)  # a text, as Python takes it
        return FAILED
    except Exception as error:
        from muse.commands.errors import explain, notes

        told = explain(error)
        if told is not None:
            return _complain("\n".join([" ".join(told.split()), *notes(error)]), USAGE, debug)
        traceback.print_exc()
        print(f"muse: {_whose(error)}", file=sys.stderr)
        return BUG


def _whose(error: BaseException) -> str:
    """Whom a bug belongs to: muse, or a file of the user's own that was the last to act."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    ours, others = os.path.dirname(__file__), ("site-packages", os.path.dirname(os.__file__))
    acting = [f for f in files if f.startswith(ours) or not any(part in f for part in others)]
    if acting and os.path.isabs(acting[-1]) and not acting[-1].startswith(ours):
        return f"the error is in {acting[-1]}. See the lines above."
    return "this is a bug of muse. Please report it, with the lines above."


def _complain(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"muse: error: {message}", file=sys.stderr)
    return code


def _fit_free(words: list[str]) -> int:
    # That a store has gone is told in a line of ours, not in a page of torch's C++.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from muse.commands.lightning import fit_free

    return fit_free(words)


def _fit(words: list[str]) -> int:
    from muse.commands.lightning import fit

    return fit(words)


def _evaluate(words: list[str]) -> int:
    from muse.commands.evaluate import evaluate

    return evaluate(words[1:])


def _study(words: list[str]) -> int:
    from muse.commands.study import study

    return study(words[1:])


def _grid(words: list[str]) -> int:
    from muse.commands.grid import grid

    return grid(words[1:])


def _generate(words: list[str]) -> int:
    from muse.commands.generate import generate

    return generate(words[1:])


def _edit(words: list[str]) -> int:
    from muse.commands.edit import edit

    return edit(words[1:])


def _status(words: list[str]) -> int:
    from muse.commands.status import status

    return status(words[1:])


def _web(words: list[str]) -> int:
    from muse.commands.web import web

    return web(words[1:])


def _card(words: list[str]) -> int:
    from muse.commands.card import card

    return card(words[1:])


def _components(words: list[str]) -> int:
    from muse.commands.components import components

    return components(words[1:])


COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "generate": (_generate, "make a picture from a prompt, with an emotion"),
    "edit": (_edit, "give a picture another emotion"),
    "fit-free": (_fit_free, "make pictures of jobs with a frozen model, steered at test time"),
    "grid": (
        _grid,
        "make a picture for every pair of values of two options, as a sheet and a page",
    ),
    "web": (_web, "open a page in the browser: make, edit, compare, look at runs"),
    "status": (_status, "tell how far a run is, and sum up what there is of it"),
    "fit": (_fit, "fit a task: the parts of muse-mini, an emotion classifier"),
    "evaluate": (_evaluate, "measure the pictures of a finished run"),
    "study": (_study, "make, measure and compare methods on the same jobs, as tables and a page"),
    "card": (_card, "print the model card of a trained guide"),
    "components": (_components, "list the parts that can be swapped"),
}
"""Name -> function and one line. Functions import what they need, so that help is instant."""


if __name__ == "__main__":
    sys.exit(main())
