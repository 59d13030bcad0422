"""The site is built without a warning: no link, reference or page that isn't there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The pages among the files that they name; what the gallery writes stays here."""
    for path in ROOT.iterdir():
        if path.name in ("README.md", "CHANGELOG.md", "examples", "muse"):
            (tmp_path / path.name).symlink_to(path)
    made = shutil.ignore_patterns("gallery_made", "sg_execution_times.rst")
    return Path(shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=made))


def built(docs: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`sphinx-build -W`; no program of the gallery is run, and no page written."""
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "dummy"]
    words += ["-D", "plot_gallery=0", *options, str(docs), str(docs.parent / "site")]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, capture_output=True, text=True, env=environment)


def test_site_builds_without_a_warning(docs: Path) -> None:
    done = built(docs)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_broken_link_fails(docs: Path) -> None:
    """On three pages alone, for speed: that links are checked at all."""
    for path in docs.iterdir():
        if path.is_file() and path.name not in ("conf.py", "toy.md"):
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    (docs / "index.md").write_text(
        "# muse\n[toy](toy.md) [no](nowhere.md)\n```{toctree}\ntoy\n```\n"
    )
    few = "myst_parser,sphinx.ext.autodoc,sphinx_design"
    done = built(docs, "-D", f"extensions={few}")
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr
