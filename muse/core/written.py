"""Components as the source has them, for whoever shouldn't wait for torch and diffusers to load."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Written:
    """A class as it is written.

    Attributes:
        bases: names of what it derives from, without their modules.
        summary: the first paragraph of its docstring, as one line.
        abstract: its methods that are abstract.
        defined: all names that its body defines.
        options: parameters of its constructor -> the names in their annotations.
    """

    bases: tuple[str, ...]
    summary: str
    abstract: frozenset[str]
    defined: frozenset[str]
    options: Mapping[str, frozenset[str]]


def classes_in(*folders: Path) -> dict[str, Written]:
    """The classes of all modules below some folders, by name."""
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    nodes = (node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    return {node.name: _written(node) for node in nodes}


def ancestry(name: str, classes: Mapping[str, Written]) -> Iterator[str]:
    """A class and all that it derives from, each before its own bases."""
    yield name
    for base in classes[name].bases if name in classes else ():
        yield from ancestry(base, classes)


def implementations(base: str, classes: Mapping[str, Written]) -> list[str]:
    """The concrete, public classes that derive from `base`, sorted: what
    `muse.core.registry.available` finds among imported ones.
    """
    return sorted(
        name
        for name in classes
        if not name.startswith("_")
        and base in ancestry(name, classes)
        and not _is_abstract(name, classes)
    )


def _is_abstract(name: str, classes: Mapping[str, Written]) -> bool:
    """Whether a method's nearest definition is abstract."""
    settled: set[str] = set()
    for ancestor in ancestry(name, classes):
        if ancestor in classes:
            if classes[ancestor].abstract - settled:
                return True
            settled |= classes[ancestor].defined
    return False


def _written(node: ast.ClassDef) -> Written:
    docstring = ast.get_docstring(node) or ""
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    attributes = (
        target
        for each in node.body
        if isinstance(each, ast.Assign | ast.AnnAssign) and each.value is not None
        for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
    )
    init = [method.args for method in methods if method.name == "__init__"]
    return Written(
        bases=tuple(name for base in node.bases for name in _last_name(base)),
        summary=" ".join(docstring.strip().partition("\n\n")[0].split()),
        abstract=frozenset(
            method.name
            for method in methods
            if any("abstractmethod" in _last_name(each) for each in method.decorator_list)
        ),
        defined=frozenset(
            [
                *(method.name for method in methods),
                *(target.id for target in attributes if isinstance(target, ast.Name)),
            ]
        ),
        options={
            option.arg: frozenset(_names(option.annotation))
            for arguments in init
            for option in [*arguments.args, *arguments.kwonlyargs]
            if option.annotation is not None
        },
    )


def _last_name(node: ast.expr) -> list[str]:
    """``Module`` of ``nn.Module``, ``Steering`` of ``Steering[State]``."""
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    if isinstance(node, ast.Attribute):
        return [node.attr]
    return [node.id] if isinstance(node, ast.Name) else []


def _names(node: ast.expr) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
