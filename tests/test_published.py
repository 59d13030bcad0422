"""EmoGen's published head: fetched once, checked by its digest, never shipped."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from muse.core.types import MuseError
from muse.guides import EmoGen, emogen
from muse.guides.published import EMOGEN
from tests.test_guides import heads
from tests.tiny_guides import tiny_clip


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the file on the web, by a ``file:`` address and its own digest."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    file = tmp_path / "web" / "head.pth"
    file.parent.mkdir()
    torch.save(heads(EmoGen), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(emogen, "EMOGEN", replace(EMOGEN, url=file.as_uri(), sha256=digest))
    return file


def test_it_is_fetched_once_and_its_licence_told(head, tmp_path, capsys):
    guide = EmoGen(tiny_clip(), "published")
    assert torch.equal(guide.fc.weight, heads(EmoGen)["fc.weight"])
    told = capsys.readouterr().err
    assert told.startswith("muse: note: Fetching emogen from file:")
    assert "no licence" in told
    head.unlink()
    assert torch.equal(EmoGen(tiny_clip(), "published").fc.bias, guide.fc.bias)
    assert capsys.readouterr().err == ""
    [kept] = (tmp_path / "cache" / "hub" / "checkpoints").iterdir()
    kept.write_bytes(b"damaged")
    with pytest.raises(MuseError, match="Can't fetch emogen"):
        EmoGen(tiny_clip(), "published")


def test_offline_it_says_what_to_put_where(head, tmp_path):
    content = head.read_bytes()
    head.unlink()
    with pytest.raises(MuseError) as caught:
        EmoGen(tiny_clip(), "published")
    message = str(caught.value)
    assert "\n" not in message
    place = emogen.EMOGEN.file
    assert f"Put {head.as_uri()} (sha256 {emogen.EMOGEN.sha256}) at {str(place)!r}" in message
    assert place.is_relative_to(tmp_path / "cache")
    place.write_bytes(content)
    EmoGen(tiny_clip(), "published")


def test_another_file_is_refused_and_not_kept(head, tmp_path):
    head.write_bytes(head.read_bytes() + b"more")
    with pytest.raises(MuseError, match="invalid hash value"):
        EmoGen(tiny_clip(), "published")
    assert list((tmp_path / "cache").rglob("*.p*")) == []


def test_the_published_file_is_pinned():
    assert EMOGEN.sha256 == "80f72314e31e10a1e40e6e38687dd81a03e8e3ab2de03832d37e7a280485c998"
    assert EMOGEN.url.startswith("https://")
    assert EMOGEN.url.endswith("weights/Clip_emotion_classifier/time_2023-11-12_03-29-best.pth")
