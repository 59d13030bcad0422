"""The benchmark at full size builds the published models, and runs through on small ones."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = str(Path(__file__).parent.parent / "benchmarks" / "full_size.py")
PUBLISHED = {
    "sd15": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sdxl": {"unet": 2_567_463_684, "vae": 83_653_863, "text_encoder_2": 694_659_840},
}
"""Parameters of the models as their authors released them."""


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(SCRIPT)


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_models_are_of_the_published_size(script: dict[str, Any], model: str) -> None:
    with torch.device("meta"):
        parts = script["components"](model)
    for name, count in PUBLISHED[model].items():
        assert sum(p.numel() for p in parts[name].parameters()) == count, name


@pytest.mark.parametrize("model", PUBLISHED)
def test_every_path_is_measured(
    script: dict[str, Any], capsys: pytest.CaptureFixture[str], model: str
) -> None:
    script["main"](model, batches=[1, 2], steps=3, start=1, iterations=2, tiny=True)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{model} (tiny), float32, 3 steps, 2 iterations from step 1 on")
    assert [line.partition(":")[0] for line in lines] == [
        f"{path}, batch {batch}" for path in ("KL", "small KL", "TAESD") for batch in (1, 2)
    ]
    assert all("ms an inner iteration" in line for line in lines)
