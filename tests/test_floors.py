"""The floors: data goes one way, and a lower floor never imports a higher one."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "muse"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
# A folder's entry holds for all in it. A module that isn't here fails the test: give it a floor.
FLOORS = {
    "muse.types": 0,
    "muse.emotions": 0,
    "muse.registry": 0,
    "muse.jobs": 0,
    "muse.results": 0,
    "muse.damage": 0,
    "muse.variants": 0,
    "muse.weights": 0,
    "muse.wording": 0,
    "muse.files": 0,
    "muse.digests": 0,
    "muse.memory": 0,
    "muse.stopping": 0,
    "muse.presets": 0,
    "muse.records": 0,
    "muse.asks": 0.5,
    "muse.pictures": 0.5,
    "muse.clip": 0.5,
    "muse.pretrained": 0.5,
    "muse.schedulers": 1,
    "muse.losses": 1,
    "muse.guides": 1,
    "muse.backbones": 2,
    "muse.latents": 3,
    "muse.steering": 3,
    "muse.search": 4,
    "muse.answers": 4,
    "muse.prompts": 4,
    "muse.row": 4,
    "muse.engine": 4,
    "muse.slots": 4,
    "muse.sampler": 4,
    "muse.metrics": 5,
    "muse.data": 5,
    "muse.report": 5,
    "muse.mini": 5,
    "muse.runs": 5,
    "muse.tasks": 6,
    "muse.commands": 7,
    "muse.pipeline": 7,
    "muse.cli": 7,
    "muse": 7,
}
# The lowest floor that may import these.
THIRD_PARTY = {"transformers": 0.5, "diffusers": 2, "lightning": 5, "jsonargparse": 5}


def floor_of(module: str) -> float | None:
    """The floor of a module: its own entry, or that of its folder right below the package."""
    return FLOORS.get(module, FLOORS.get(".".join(module.split(".")[:2])))


def imports_of(module: str) -> set[str]:
    """All that a module imports, anywhere in it, as modules."""
    path, found = MODULES[module], set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = (
                    module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                )
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, *filter(None, [node.module])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else base for name in names}
    return found


def test_every_module_has_a_floor():
    assert len(MODULES) > 30
    assert [module for module in MODULES if floor_of(module) is None] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_lower_floor_never_imports_a_higher_one(module):
    own = floor_of(module)
    for name in imports_of(module):
        if name.split(".")[0] == "muse" and name != module:
            assert (floor_of(name) or 0) <= own, f"{module} imports {name}"
        lowest = THIRD_PARTY.get(name.split(".")[0], 0)
        assert own >= lowest, f"{module} (floor {own}) imports {name}"


def test_the_test_sees_imports_of_every_form():
    assert "muse.types" in imports_of("muse.emotions")
    assert "muse.backbones.base" in imports_of("muse.latents.base")
    assert "muse.backbones" in imports_of("muse.latents.base")
    assert "transformers" in imports_of("muse.clip")


def test_the_sampler_stays_small():
    """The row and the engine: no function over 40 lines."""
    for name in ("muse.row", "muse.engine", "muse.sampler", "muse.search"):
        for node in ast.walk(ast.parse(MODULES[name].read_text())):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                assert node.end_lineno - node.lineno < 40, f"{name}.{node.name}"
