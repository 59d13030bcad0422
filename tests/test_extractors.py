"""What turns pictures to features, and the reference sets that these are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from torch import nn
from torchvision import models

from muse.core.registry import available, summary
from muse.core.types import MuseError
from muse.guides import ConvNet
from muse.metrics import (
    AutoencoderFeatures,
    ClipFeatures,
    ContrastFeatures,
    Extractor,
    InceptionFeatures,
    LayerFeatures,
    PenultimateFeatures,
    PictureFolder,
    Reference,
    RenderedScenes,
    RunPictures,
    TimmFeatures,
    TorchvisionFeatures,
    TransformersFeatures,
)
from muse.mini import VARIED, render
from muse.mini.content import ContentClassifier
from muse.runs.records import write_record
from tests.components import tiny_clip
from tests.test_report import record
from tests.tiny import autoencoder
from tests.tiny_guides import dinov2_folder


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_every_extractor_and_reference_says_what_it_is():
    for base in (Extractor, Reference):
        own = {n: c for n, c in available(base).items() if c.__module__.startswith("muse.")}
        assert own
        assert all(summary(cls) for cls in own.values())


# --- from inside a network ---------------------------------------------------------------------


def test_penultimate_features_are_what_the_last_linear_layer_reads(image):
    judge = ConvNet(width=8).eval()
    found = PenultimateFeatures(judge)(image)
    assert found.shape == (2, 64)
    assert torch.allclose(judge.fc(found), judge(image))
    content = ContentClassifier().eval()
    assert torch.allclose(content.thing(PenultimateFeatures(content)(image)), content(image).thing)
    assert not any(layer._forward_pre_hooks for layer in judge.modules())


def test_a_named_layers_output(image):
    content = ContentClassifier().eval()
    assert torch.equal(LayerFeatures(content, "place")(image), content(image).place)
    maps = LayerFeatures(content, "features.layer1")(image)
    assert maps.shape == (2, 32 * 32 * 32)
    judge = ConvNet(width=8).eval()
    assert torch.equal(LayerFeatures(judge)(image), judge(image))
    assert not any(layer._forward_hooks for layer in content.modules())


def test_layers_that_there_are_not(image):
    with pytest.raises(MuseError, match=r"ConvNet has no layer 'fcc'\. Give one .* such as: fc"):
        LayerFeatures(ConvNet(width=8), "fcc")
    with pytest.raises(MuseError, match="ContentClassifier puts out ContentLogits"):
        LayerFeatures(ContentClassifier())(image)
    idle = nn.Flatten()
    idle.add_module("idle", nn.Flatten())
    with pytest.raises(MuseError, match="Layer 'idle' of Flatten puts out nothing"):
        LayerFeatures(idle, "idle")(image)
    with pytest.raises(MuseError, match="No linear layer of Flatten runs"):
        PenultimateFeatures(nn.Flatten())(image)


# --- whole models ------------------------------------------------------------------------------


def test_clips_features(image):
    features = ClipFeatures(tiny_clip())
    assert torch.equal(features(image), features.clip.image(image))


def test_timms_features(image, tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=7)
    file = tmp_path / "weights.pth"
    torch.save(model.state_dict(), file)
    features = TimmFeatures("resnet10t", str(file), 7).eval()
    logits = TimmFeatures("resnet10t", str(file), 7, logits=True).eval()
    with torch.no_grad():
        found = features(image)
        assert found.shape == (2, 512)
        assert torch.allclose(features.model.get_classifier()(found), logits(image), atol=1e-5)
    with pytest.raises(MuseError, match=r"timm has no model 'resnet10y'\. Did you mean resnet10t"):
        TimmFeatures("resnet10y", str(file))


def test_torchvisions_features(image, tmp_path):
    torch.manual_seed(0)
    model = models.shufflenet_v2_x0_5(num_classes=7)
    file = tmp_path / "shufflenet_places.pth.tar"
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, file)
    features = TorchvisionFeatures("shufflenet_v2_x0_5", str(file), 7).eval()
    logits = TorchvisionFeatures("shufflenet_v2_x0_5", str(file), 7, logits=True).eval()
    with torch.no_grad():
        found = features(image)
        assert found.shape == (2, 1024)
        assert torch.allclose(features.model.fc(found), logits(image), atol=1e-5)
    with pytest.raises(MuseError, match=r"no classifier 'resnet81'\. Did you mean resnet18"):
        TorchvisionFeatures("resnet81")
    with pytest.raises(MuseError, match="does not fit"):
        TorchvisionFeatures("shufflenet_v2_x0_5", str(file))


def refuse(*_, **__):
    raise OSError("no network.")


def test_weights_that_cannot_be_had_are_told(monkeypatch):
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(MuseError, match=r"no network\)\. .* put resnet18-\w+\.pth into .*/check"):
        TorchvisionFeatures("resnet18")
    monkeypatch.setattr("timm.create_model", refuse)
    with pytest.raises(MuseError, match="Pretrained weights need the network once"):
        TimmFeatures("resnet18")


def test_inception_says_what_to_install(monkeypatch):
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(MuseError, match="needs torch-fidelity: pip install torch-fidelity"):
        InceptionFeatures()


def test_inception_scales_as_published_fids_do(monkeypatch):
    """As TensorFlow 1 did, and not smoothed first."""
    given = {}

    class Network(torch.nn.Module):
        def __init__(self, name, features, weights, antialias=True):
            super().__init__()
            given.update(name=name, antialias=antialias)

    monkeypatch.setattr("muse.metrics.features.inception.NoTrainInceptionV3", Network)
    InceptionFeatures()
    assert given == {"name": "inception-v3-compat", "antialias": False}


def test_transformers_features(image, tmp_path):
    features = TransformersFeatures(dinov2_folder(tmp_path)).eval()
    with torch.no_grad():
        found = features(image)
        tokens = features.model(pixel_values=features.preprocess(image)).last_hidden_state
    assert found.shape == (2, 8)
    assert torch.allclose(found, tokens[:, 0])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MuseError, match="No picture model under"):
        TransformersFeatures(str(tmp_path / "empty"))


def test_an_autoencoders_latents_and_errors(image, tmp_path):
    torch.manual_seed(0)
    autoencoder(levels=3).save_pretrained(tmp_path)
    latents = AutoencoderFeatures(str(tmp_path), size=32).eval()
    errors = AutoencoderFeatures(str(tmp_path), "errors", size=32).eval()
    with torch.no_grad():
        found = latents(image)
        assert found.shape == (2, 4 * 8 * 8)
        again = errors.vae.decode(found.view(2, 4, 8, 8)).sample / 2 + 0.5
        wanted = (image - again).abs().mean((1, 2, 3))
        assert torch.allclose(errors(image).mean(1), wanted, atol=1e-5)
        assert errors(torch.rand(1, 3, 40, 48)).shape == (1, 64)


def test_contrasts_see_blur_at_small_scales_and_brightness_not_at_all(image):
    features = ContrastFeatures()
    plain, dark = features(image * 0.5 + 0.4), features(image * 0.5)
    assert plain.shape == (2, 36)
    assert torch.allclose(plain, dark, atol=1e-4)
    blurred = features(nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False))
    change = (features(image) - blurred).view(2, 4, 3, 3)[:, :, 0].mean((0, 2))
    assert change[0] > change[1] > change[3]
    flat = features(torch.full((1, 3, 16, 16), 0.5))
    assert flat.isfinite().all()


# --- reference sets ----------------------------------------------------------------------------


def save(path: Path, color: tuple[int, int, int], size: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), color).save(path)


def test_a_folder_of_pictures(tmp_path):
    save(tmp_path / "b.png", (0, 255, 0))
    save(tmp_path / "inner" / "c.JPG", (0, 0, 255), 16)
    save(tmp_path / "a.png", (255, 0, 0))
    (tmp_path / "notes.txt").write_text("no picture")
    folder = PictureFolder(str(tmp_path))
    assert [image.shape[-1] for image in folder.pictures()] == [8, 8, 16]
    assert [image[0, 0, 0] for image in PictureFolder(str(tmp_path), 1).pictures()] == [1.0]
    assert folder.told == f"pictures of {tmp_path.name}"
    with pytest.raises(MuseError, match=r"No pictures in 'nowhere'\. Give a folder of files that"):
        PictureFolder("nowhere")
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(MuseError, match=r"broken.png' can't be read"):
        list(PictureFolder(str(tmp_path)).pictures())


def test_a_runs_arm(tmp_path):
    for name in ("dog-awe", "dog-fear"):
        save(tmp_path / "images" / f"{name}.png", (0, 0, 255))
        (tmp_path / "records").mkdir(exist_ok=True)
        write_record(tmp_path, record(name, plain="dog"))
    save(tmp_path / "plain" / "dog.png", (255, 0, 0))
    assert [image[0, 0, 0] for image in RunPictures(str(tmp_path)).pictures()] == [1]
    assert [image[2, 0, 0] for image in RunPictures(str(tmp_path), "steered").pictures()] == [1, 1]
    with pytest.raises(MuseError, match=r"has no pictures 'other'\. It has: plain, steered"):
        RunPictures(str(tmp_path), "other")


def test_rendered_scenes():
    scenes = list(RenderedScenes(3, seed=5).pictures())
    ours = render(6, world=VARIED, all_pairs=True, size=128)
    wanted = torch.from_numpy(ours.image).permute(2, 0, 1) / 255
    assert torch.equal(scenes[1], wanted)
    assert len(scenes) == 3
    of = RenderedScenes(17, "fi-like", 32, prompts=["a dog in a park", "a cat on a beach"])
    images = list(of.pictures())
    assert images[0].shape == (3, 32, 32)
    assert of.told == "rendered scenes of 2 prompts (fi-like, 32 px)"
    for prompts in (["a dog"], ["a dog or a cat in a park"]):
        with pytest.raises(MuseError, match="names no single thing in a place"):
            RenderedScenes(prompts=prompts)
    with pytest.raises(MuseError, match=r"no world 'moon'\. Allowed: main, fi-like"):
        RenderedScenes(world="moon")


def test_scenes_of_prompts_come_in_all_moods_alike(monkeypatch):
    seen = []
    scene = render(0)

    def note(seed, thing, place, mood, *_, **__):
        seen.append((seed, thing, place, mood))
        return scene

    monkeypatch.setattr("muse.metrics.references.render", note)
    prompts = ["a dog in a park", "a cat on a beach"]
    list(RenderedScenes(16, prompts=prompts, seed=1).pictures())
    assert len({(thing, mood) for _, thing, _, mood in seen}) == 16
    assert {(thing, place) for _, thing, place, _ in seen} == {("dog", "park"), ("cat", "beach")}
    assert [seed for seed, *_ in seen] == list(range(1, 17))
