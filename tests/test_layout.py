"""The house: folders are concepts, and imports go one way."""

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from muse.core.homes import HOMES
from muse.core.types import Rows, Tensors

PACKAGE = Path(__file__).parent.parent / "muse"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
THIRD_PARTY = {
    "core": {"torch", "numpy", "PIL", "yaml"},
    "schedulers": {"torch"},
    "losses": {"torch"},
    "steering": {"torch"},
    "sampling": {"torch"},
}
"""What the folders that hold the method may import beside muse and Python's own."""


def imports_of(module: str) -> Iterator[str]:
    """All that a module imports, anywhere in it, as modules."""
    path = MODULES[module]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else str(node.module) for name in names)


def folder_of(module: str) -> str:
    """The folder right below the package, or the file there."""
    return module.split(".")[1] if "." in module else "muse"


FILES = {module: {*imports_of(module)} & {*MODULES} - {module} for module in MODULES}
FOLDERS: dict[str, set[str]] = {}
for file, found in FILES.items():
    FOLDERS.setdefault(folder_of(file), set()).update(map(folder_of, found))
for name, below in FOLDERS.items():
    below.discard(name)


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle in a graph, nothing where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_between_folders():
    assert circle(FOLDERS) == []


def test_no_circle_between_files():
    assert circle(FILES) == []


def test_the_graph_sees_what_there_is():
    assert len(FILES) > 100
    assert "core" in FOLDERS["sampling"]
    assert "backbones" in FOLDERS["latents"]
    assert "muse.commands.lightning" in FILES["muse.cli"]  # imported in a function
    assert circle({"a": {"b"}, "b": {"a"}}) in (["a", "b", "a"], ["b", "a", "b"])


@pytest.mark.parametrize("name", sorted(HOMES))
def test_programs_find_modules_by_the_names_that_they_had(name):
    """The very same modules, which know their own names."""
    old, new = importlib.import_module(name), importlib.import_module(HOMES[name])
    assert old is new
    assert new.__name__ == HOMES[name]
    assert new.__spec__ is not None
    assert new.__spec__.name == HOMES[name]


def test_a_name_from_before_is_read():
    assert Rows == Tensors


def test_the_package_itself_holds_the_doors_alone():
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "cli.py"}


@pytest.mark.parametrize("folder", THIRD_PARTY)
def test_the_method_needs_little(folder):
    for module in MODULES:
        if folder_of(module) == folder:
            outer = {name.split(".")[0] for name in imports_of(module)} - {"muse"}
            assert outer - sys.stdlib_module_names <= THIRD_PARTY[folder], module


def test_the_loop_stays_small():
    """The row and the engine: no function over 40 lines."""
    for name in ("row", "engine", "sampler", "search"):
        for node in ast.walk(ast.parse(MODULES[f"muse.sampling.{name}"].read_text())):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                assert node.end_lineno - node.lineno < 40, f"{name}.{node.name}"
