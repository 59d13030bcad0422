"""Pipelines that share parts: loaded from where they lie, and told apart by what is in them."""

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderTiny

from muse.backbones import StableDiffusion, StableDiffusion3
from muse.core.digests import Digests
from muse.core.types import MuseError
from muse.pretrained.sharing import deciding_parts, note_sharing, own_options, own_preview
from tests.tiny import tiny_autoencoder


@pytest.fixture
def apart(tmp_path, tiny_folder):
    """A whole pipeline, and one that has its autoencoder from it."""
    whole, sharer = tmp_path / "whole", tmp_path / "deep" / "sharer"
    shutil.copytree(tiny_folder("sd"), whole)
    shutil.copytree(whole, sharer)
    shutil.rmtree(sharer / "vae")
    note_sharing(sharer, {"vae": whole / "vae"}, {"max_sequence_length": 1})
    return whole, sharer


def test_a_shared_part_is_the_other_pipelines(apart):
    whole, sharer = apart
    assert json.loads((sharer / "muse.json").read_text())["shared"] == {"vae": "../../whole/vae"}
    assert own_options(sharer) == {"max_sequence_length": 1}
    assert own_options(whole) == {}
    one, other = StableDiffusion(str(whole)), StableDiffusion(str(sharer))
    for (name, a), (_, b) in zip(
        one.vae.state_dict().items(), other.vae.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), name
    assert not other.vae.training


def test_what_decides_a_picture_counts_in_the_digest_and_nothing_else(apart):
    whole, _ = apart
    before = {folder: Digests().of(*deciding_parts(folder)) for folder in apart}

    def changed():
        return [Digests().of(*deciding_parts(folder)) != before[folder] for folder in apart]

    for folder in apart:
        (folder / "judge.safetensors").write_bytes(b"reads pictures")
        (folder / "README.md").write_text("a card")
    assert changed() == [False, False]
    (whole / "unet" / "more.txt").write_text("more")
    assert changed()[0]
    (whole / "unet" / "more.txt").unlink()
    file = whole / "vae" / "config.json"
    file.write_text(file.read_text() + " ")
    assert changed() == [True, True], "its own, and the one that it shares"


def test_a_shared_part_that_is_gone_is_named(apart):
    whole, sharer = apart
    shutil.rmtree(whole / "vae")
    with pytest.raises(MuseError, match=r"has its vae from .*which isn't there"):
        StableDiffusion(str(sharer))


@pytest.mark.parametrize("text", ["{", "[]", '{"shared": 3}'])
def test_a_damaged_note_is_one_line(apart, text):
    _, sharer = apart
    (sharer / "muse.json").write_text(text)
    with pytest.raises(MuseError, match=r"muse\.json.* can't be read .* \{name: value\}\}\.$"):
        StableDiffusion(str(sharer))


@pytest.mark.parametrize("asked", ["long", [1]])
def test_a_context_that_is_no_number_is_one_line(tmp_path, asked):
    note_sharing(tmp_path, {}, {"max_sequence_length": asked})
    with pytest.raises(MuseError, match=r"muse\.json' has the max_sequence_length .* 1 to 512"):
        StableDiffusion3(str(tmp_path))


def test_an_index_decides_no_code_that_is_run(apart):
    _, sharer = apart
    index = json.loads((sharer / "model_index.json").read_text())
    index["vae"] = ["subprocess", "Popen"]
    (sharer / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(MuseError, match="subprocess"):
        StableDiffusion(str(sharer))


def test_a_preview_comes_with_the_pipeline_or_from_the_one_it_shares_with(apart):
    whole, sharer = apart
    assert own_preview(whole) is None
    assert StableDiffusion(str(whole)).preview_vae is None
    tiny_autoencoder(channels=4).save_pretrained(whole / "preview")
    note_sharing(sharer, {"vae": whole / "vae", "preview": whole / "preview"}, {})
    for folder in apart:
        assert own_preview(folder) == whole / "preview"
        assert isinstance(StableDiffusion(str(folder)).preview_vae, AutoencoderTiny)
        assert StableDiffusion(str(folder), preview_decoder="full").preview_vae is None
