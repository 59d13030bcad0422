"""What all tests share: one thread, and property tests that draw the same examples every time."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("muse", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("muse")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Of torch in each worker; the process that only hands out the tests need not import it."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny pipeline (`tests.tiny.FAMILIES`), saved once a session."""
    from tests.tiny import FAMILIES

    @cache
    def folder(family: str) -> Path:
        path: Path = tmp_path_factory.mktemp(family)
        FAMILIES[family](path)
        return path

    return folder
