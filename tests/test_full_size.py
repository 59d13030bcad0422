"""The benchmarks at full size build the published models; one of them runs through on small ones,
the other counts what they need without memory of its own."""

from __future__ import annotations

import runpy
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from muse.core.memory import OUT_OF_MEMORY

FOLDER = Path(__file__).parent.parent / "benchmarks"
PUBLISHED = {
    "sd15": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sdxl": {"unet": 2_567_463_684, "vae": 83_653_863, "text_encoder_2": 694_659_840},
}
"""Parameters of the models as their authors released them."""
ABOUT = {
    "pixart": {"transformer": 0.61, "text_encoder": 4.76},
    "sd3": {"transformer": 2.03, "text_encoder_3": 4.76},
    "flux": {"transformer": 11.9, "text_encoder_2": 4.76},
}
"""The same in 10^9, as their authors round them."""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A benchmark's names."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: runpy.run_path(str(FOLDER / f"{name}.py"))


@pytest.mark.parametrize("model", [*PUBLISHED, *ABOUT])
def test_the_models_are_of_the_published_size(script: Any, model: str) -> None:
    with torch.device("meta"):
        parts = script("published")["components"](model)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    print(counts)
    for name, count in PUBLISHED.get(model, {}).items():
        assert counts[name] == count, name
    for name, billions in ABOUT.get(model, {}).items():
        assert counts[name] / 1e9 == pytest.approx(billions, rel=5e-3), name


@pytest.mark.parametrize("model", PUBLISHED)
def test_every_path_is_measured(
    script: Any, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    script("full_size")["main"](model, batches=[1, 2], steps=3, start=1, iterations=2, tiny=True)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{model} (tiny), float32, 3 steps, 2 iterations from step 1 on")
    assert [line.partition(":")[0] for line in lines] == [
        f"{path}, batch {batch}" for path in ("KL", "small KL", "TAESD") for batch in (1, 2)
    ]
    assert all("ms an inner iteration" in line for line in lines)


def test_a_paths_weights_are_gone_before_the_next_ones(script: Any) -> None:
    """Else its peak would count them too."""
    main = script("full_size")["main"]
    load = main.__globals__["load_backbone"]
    before: list[weakref.ref[Any]] = []

    def watched(*names: Any, **options: Any) -> Any:
        assert [backbone() for backbone in before] == [None] * len(before)
        made = load(*names, **options)
        before.append(weakref.ref(made))
        return made

    main.__globals__["load_backbone"] = watched
    main("sd15", batches=[1], steps=2, start=1, iterations=1, tiny=True)
    assert [backbone() for backbone in before] == [None] * 3


def test_bytes_and_operations_are_counted(script: Any) -> None:
    counter = script("memory")["Counter"]()
    first = torch.empty(256, device="meta")
    counter.hold(first)
    with counter:
        second = first.exp()
        third = second.exp()
        del second
        third += first.view(16, 16).t().reshape(256)  # a copy, gone at once
    assert (counter.alive, counter.peak) == (2 * 1024, 3 * 1024)
    with counter:
        torch.empty(3, 5, device="meta") @ torch.empty(5, 7, device="meta")
    assert counter.operations == 2 * 3 * 5 * 7
    assert counter.alive == 2 * 1024


def test_checkpointing_needs_less_memory_and_more_arithmetic(script: Any) -> None:
    names = script("memory")
    with torch.device("meta"):
        reader = names["guide"](tiny=True)

    def needs(batch: int, path: str = "KL", **options: Any) -> Any:
        backbone = names["load"]("sdxl", path, tiny=True, **options)
        return names["needs"]("sdxl", backbone, reader, batch)

    plain, kept, two = needs(1), needs(1, gradient_checkpointing=True), needs(2)
    print(plain, kept, two, sep="\n")
    assert plain.weights == kept.weights == two.weights < plain.final < plain.iteration
    assert kept.iteration < plain.iteration
    assert 1.2 < kept.operations / plain.operations < 1.6
    assert two.operations == 2 * plain.operations
    rest = [found.iteration - found.weights for found in (plain, two)]
    assert rest[1] == pytest.approx(2 * rest[0], rel=0.05)
    assert needs(1, "small KL").operations < plain.operations


def test_the_table_is_what_the_script_prints(
    script: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    script("memory")["main"](models=["sd15"], previews=["TAESD"])
    head, _, *rows = capsys.readouterr().out.splitlines()
    docs = (FOLDER.parent / "docs" / "benchmarks.md").read_text().splitlines()
    assert head in docs
    assert len(rows) == 1
    assert set(rows) <= set(docs)
    # The remedy where memory runs out, and the preset's head, name what the script works out.
    cells = dict(
        zip(*([c.strip() for c in line.split("|")] for line in (head, rows[0])), strict=True)
    )
    needed = f"{float(cells['text encoders']) + float(cells['inner iteration']):.1f}"
    assert f"sd15.yaml with slots: 1 takes {needed} GiB" in OUT_OF_MEMORY
    preset = (FOLDER.parent / "configs/sd15.yaml").read_text().partition("model:")[0]
    assert f", {needed} with 1 (slots)" in preset
