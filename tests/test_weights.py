"""Checkpoints: nothing in them runs, and what is wrong with them is told in one line."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from muse.cli import main
from muse.core.types import MuseError
from muse.pretrained.packaged import (
    NAME,
    PACKAGED,
    check_digests,
    locate,
    note_digests,
    write_digests,
)
from muse.pretrained.weights import fill, labels_in, load_state

STATE = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.tensor([1.0, 2.0])}


class Evil:
    """A pickle that would write a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refused(name) -> str:
    with pytest.raises(MuseError) as caught:
        load_state(str(name))
    message = str(caught.value)
    assert "\n" not in message
    assert str(name) in message
    return message


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_safetensors_with_metadata(tmp_path):
    path = tmp_path / "head.safetensors"
    save_file(STATE, path, metadata={"labels": json.dumps(["b", "a"])})
    state, metadata = load_state(str(path))
    assert equal(state, STATE)
    assert labels_in(metadata) == ("b", "a")
    assert labels_in({}) is None


@pytest.mark.parametrize("labels", ["awe, fear", "5", "[1, 2]", '{"awe": 1}'])
def test_labels_that_are_no_list_of_texts(tmp_path, labels, capsys):
    path = tmp_path / "head.safetensors"
    save_file(STATE, path, metadata={"labels": labels})
    with pytest.raises(MuseError, match=r"head\.safetensors' has the labels .* a list of texts"):
        labels_in(load_state(str(path))[1], str(path))
    assert main(["card", str(path)]) == 2
    assert "has the labels" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_a_plain_state_dict(tmp_path, suffix):
    path = tmp_path / f"head.{suffix}"
    torch.save(nn.Linear(3, 2).state_dict(), path)
    state, metadata = load_state(str(path))
    assert set(state) == {"weight", "bias"}
    assert metadata == {}


def test_half_precision_comes_as_float32(tmp_path):
    half = {key: value.half() for key, value in STATE.items()}
    save_file(half, tmp_path / "a.safetensors")
    torch.save(half, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        state, _ = load_state(str(tmp_path / name))
        assert equal(state, STATE)
        assert state["fc.bias"].dtype == torch.float32


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_and_never_runs(tmp_path, legacy):
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    torch.save({"fc.bias": Evil(marker)}, path, _use_new_zipfile_serialization=not legacy)
    assert "can't be read as a state dict" in refused(path)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"\x80\x02}q\x00", b"\0" * 64])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files(tmp_path, content, suffix):
    path = tmp_path / f"head.{suffix}"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_truncated_files(tmp_path, suffix):
    path = tmp_path / f"head.{suffix}"
    torch.save(STATE, path) if suffix == "pth" else save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-20])
    refused(path)


POINTER = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""
PAGE = b"""

<!DOCTYPE html>
<html><head><title>Sign in</title></head></html>
"""
IMPOSTORS = {
    "pointer": (POINTER, "is a Git LFS pointer, not the weights themselves. Run `git lfs pull`"),
    "page": (PAGE, "is a web page (HTML), not weights. Download the file itself"),
    "marked page": (b"\xef\xbb\xbf" + PAGE, "is a web page (HTML)"),
    "empty": (b"", "is empty. Download the file again"),
}
"""What lies where weights should, and what is told of it."""


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin", "safetensors"])
@pytest.mark.parametrize("impostor", IMPOSTORS)
def test_files_that_are_something_else(tmp_path, impostor, suffix):
    content, says = IMPOSTORS[impostor]
    path = tmp_path / f"head.{suffix}"
    path.write_bytes(content)
    assert says in refused(path)


def test_half_a_safetensors_file_says_how_much_is_missing(tmp_path):
    path = tmp_path / "head.safetensors"
    save_file(STATE, path, metadata={"labels": "[]"})
    whole = path.read_bytes()
    for kept in (len(whole) - 1, len(whole) // 2, 100):
        path.write_bytes(whole[:kept])
        found = refused(path)
        assert f"is only the first {kept} bytes of " in found
        assert "Download the file again" in found
        assert ("bytes of more than " in found) == (kept == 100), "its header ends later"
    assert f"bytes of {len(whole):,}." not in found
    path.write_bytes(whole)
    assert equal(load_state(str(path))[0], STATE)


@pytest.mark.parametrize("suffix", ["pth", "bin"])
def test_half_a_torch_file(tmp_path, suffix):
    path = tmp_path / f"head.{suffix}"
    torch.save(STATE, path)
    whole = path.read_bytes()
    for kept in (len(whole) // 2, 300, len(whole) - 30):
        path.write_bytes(whole[:kept])
        assert "is only the beginning of a file. Download the file again" in refused(path)


def test_a_torch_file_of_old_that_ends_anywhere(tmp_path):
    path = tmp_path / "head.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    lines = []
    for kept in range(0, len(whole), 3):
        path.write_bytes(whole[:kept])
        lines.append(refused(path))
    assert sum("ends too early: download the file again" in line for line in lines) > 50


# --- what training loops save ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["state_dict", "model", "model_state_dict"])
def test_a_training_checkpoint_is_unwrapped(tmp_path, name):
    path = tmp_path / "checkpoint.pth"
    optimiser = torch.optim.AdamW(nn.Linear(3, 2).parameters()).state_dict()
    torch.save({"epoch": 3, "optimizer": optimiser, name: STATE, "arch": "vit"}, path)
    state, metadata = load_state(str(path))
    assert equal(state, STATE)
    assert metadata == {}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_names_lose_what_a_wrapper_gave_them(tmp_path, suffix, prefix):
    path = tmp_path / f"head.{suffix}"
    given = {prefix + key: value for key, value in STATE.items()}
    torch.save({"state_dict": given}, path) if suffix == "pth" else save_file(given, path)
    assert equal(load_state(str(path))[0], STATE)


def test_data_parallel_itself(tmp_path):
    path = tmp_path / "head.pth"
    layer = nn.Linear(3, 2)
    torch.save(nn.DataParallel(layer).state_dict(), path)
    assert equal(load_state(str(path))[0], layer.state_dict())


def test_a_part_called_module_keeps_its_name(tmp_path):
    mixed = {"module.weight": torch.ones(2), "fc.bias": torch.ones(2)}
    torch.save(mixed, tmp_path / "mixed.pth")
    assert load_state(str(tmp_path / "mixed.pth"))[0].keys() == mixed.keys()
    own = {"module.weight": torch.ones(2)}  # as `muse fit` saves a guide of one's own
    save_file(own, tmp_path / "own.safetensors", metadata={"labels": "[]"})
    assert load_state(str(tmp_path / "own.safetensors"))[0].keys() == own.keys()


def test_missing_files_and_folders(tmp_path):
    assert "No checkpoint at" in refused(tmp_path / "none.pth")
    assert "No checkpoint at" in refused(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {"a": {"b": torch.ones(1)}},
        {"epoch": 3},
        torch.ones(2),
        [1],
        {"model": {"a": {"b": torch.ones(1)}}},
        {"state_dict": 3},
    ],
)
def test_more_than_a_state_dict(tmp_path, content):
    path = tmp_path / "head.pth"
    torch.save(content, path)
    assert "more than a state dict" in refused(path)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"weight": torch.ones(2, 3)}, "Missing key"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "more": torch.ones(1)}, "more"),
        ({"weight": torch.ones(3, 3), "bias": torch.ones(2)}, "size mismatch"),
    ],
)
def test_a_head_that_does_not_fit(state, says):
    with pytest.raises(MuseError) as caught:
        fill(nn.Linear(3, 2), state, "head.pth")
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert "weight (2, 3), bias (2,)" in message, "what it should be"


def test_packaged_names(tmp_path, monkeypatch):
    monkeypatch.setattr("muse.pretrained.packaged.PACKAGED", {"muse-mini": tmp_path})
    (tmp_path / "clip").mkdir()
    write_digests(tmp_path)
    assert locate("muse-mini/clip") == str(tmp_path / "clip")
    assert locate("muse-mini") == str(tmp_path)
    assert locate("openai/clip-vit-large-patch14") == "openai/clip-vit-large-patch14"
    assert locate("some/path.pth") == "some/path.pth"
    with pytest.raises(MuseError, match=r"muse-mini has no part 'vae'\. It has: clip"):
        locate("muse-mini/vae")


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A packaged pipeline of two parts, with digests."""
    monkeypatch.setattr("muse.pretrained.packaged.PACKAGED", {"muse-mini": tmp_path})
    for name in ("unet", "guides"):
        (tmp_path / name).mkdir()
        save_file(STATE, tmp_path / name / "a.safetensors")
    write_digests(tmp_path)
    return tmp_path


def complaint(name) -> str:
    with pytest.raises(MuseError) as caught:
        locate(name)
    assert "\n" not in str(caught.value)
    assert "pip install --force-reinstall muse-emotion" in str(caught.value)
    assert "git checkout -- muse/mini" in str(caught.value)
    return str(caught.value)


def test_altered_weights_are_refused_where_they_are_loaded(packaged):
    assert load_state("muse-mini/guides/a.safetensors")[0].keys() == STATE.keys()
    file = packaged / "guides" / "a.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for name in ("muse-mini", "muse-mini/guides", "muse-mini/guides/a.safetensors"):
        assert f"The weights {str(file)!r} are altered (checked by digest)" in complaint(name)
    assert locate("muse-mini/unet") == str(packaged / "unet"), "other parts are whole"


def test_missing_and_unlisted_weights(packaged):
    (packaged / "unet" / "a.safetensors").unlink()
    assert "a.safetensors' are missing" in complaint("muse-mini")
    assert "a.safetensors' are missing" in complaint("muse-mini/unet/a.safetensors")
    save_file(STATE, packaged / "guides" / "b.safetensors")
    assert "b.safetensors' are altered" in complaint("muse-mini/guides")
    (packaged / NAME).unlink()
    assert "no digests.json" in complaint("muse-mini")


def test_saving_into_a_pipeline_keeps_its_digests_true(packaged):
    file = packaged / "unet" / "a.safetensors"
    save_file({"more": torch.ones(3)}, file)
    with pytest.raises(MuseError):
        check_digests(packaged, packaged)
    note_digests(file)
    check_digests(packaged, packaged)
    file.rename(packaged / "unet" / "b.safetensors")
    note_digests(packaged / "unet")
    check_digests(packaged, packaged)


def test_saving_one_part_does_not_bless_another(packaged):
    for name in ("unet", "guides"):
        save_file({"more": torch.ones(3)}, packaged / name / "a.safetensors")
    other = packaged / "guides" / "b.safetensors"
    save_file(STATE, other)
    note_digests(packaged / "unet")
    note_digests(other)
    check_digests(packaged, packaged / "unet")
    check_digests(packaged, other)
    with pytest.raises(MuseError, match=r"guides/a\.safetensors' are altered"):
        check_digests(packaged, packaged)


def test_nothing_is_noted_beside_a_pipeline_without_digests(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    note_digests(tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_file_is_read_once(packaged, monkeypatch):
    read = []
    monkeypatch.setattr("muse.core.digests.file_digest", lambda path: read.append(path) or "x")
    (packaged / "unet" / "a.safetensors").touch()
    with pytest.raises(MuseError):
        locate("muse-mini/unet")
    with pytest.raises(MuseError):
        locate("muse-mini/unet")
    assert len(read) == 1


def test_the_packages_weights_are_whole():
    for root in PACKAGED.values():
        check_digests(root, root)
        assert json.loads((root / NAME).read_text())
    assert len(json.loads((PACKAGED["muse-mini"] / NAME).read_text())) >= 6
