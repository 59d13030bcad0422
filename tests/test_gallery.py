"""The programs of the gallery run to their end, here in few steps; `sphinx-build docs site` runs
them as they are.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

GALLERY = Path(__file__).parent.parent / "docs" / "gallery"
PROGRAMS = sorted(path.stem for path in GALLERY.glob("plot_*.py"))
PRINTED = {
    "mask": "100% of the pixels outside",
    "study": "| search |",
    "trace": "steered from step",
}
"""What some of them say."""
FEWER = {"num_inference_steps=25": "num_inference_steps=3", "steps: 12": "steps: 3"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_and_shows_what_it_promises(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plt.switch_backend("agg")
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = (GALLERY / f"{name}.py").read_text(encoding="utf-8")
    for more, fewer in FEWER.items():
        source = source.replace(more, fewer)
    try:
        exec(compile(source, name, "exec"), {"__name__": "__main__"})
    finally:
        plt.close("all")
    told = capsys.readouterr().out
    assert PRINTED.get(name.removeprefix("plot_"), "") in told
    assert shown or told
    assert all(axis.has_data() for figure in shown for axis in figure.axes)
