"""The recipes: two tiny steps of each task, what they export, and the pipeline that ships."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from muse.backbones.auto import load_backbone
from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.core.jobs import Job
from muse.core.types import MuseError
from muse.guides import ConvNet, EmoGen, SimEmo
from muse.latents import GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.mini import SceneData
from muse.mini.augment import windows
from muse.mini.data import VALIDATION_OFFSET
from muse.mini.encoded import Latents, latents_of
from muse.mini.export import save_part
from muse.mini.optimizing import Muon
from muse.mini.reconstruction import corner_loss, fine_contrast, reconstruction_loss
from muse.mini.scenes import render
from muse.presets.building import preset
from muse.pretrained.clip import load_clip
from muse.pretrained.packaged import PACKAGED
from muse.sampling import Sampler
from muse.schedulers import Never
from muse.steering import NoSteering
from muse.tasks import autoencoding, decoder_tuning
from muse.tasks.autoencoding import AutoEncoding
from muse.tasks.contrastive import Contrastive
from muse.tasks.decoder_tuning import DecoderTuning
from muse.tasks.emotion_classification import EmotionClassification
from muse.tasks.latent_diffusion import LatentDiffusion
from muse.tasks.latent_flow import LatentFlow
from muse.tasks.preview_decoding import PreviewDecoding

ROOT = Path(__file__).parents[1]
SHIPPED = PACKAGED["muse-mini"]


def fit(model: L.LightningModule, captions: str = "diffusion") -> L.Trainer:
    trainer = L.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=1,
    )
    trainer.fit(model, SceneData(count=8, val_count=4, batch_size=4, captions=captions))
    return trainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A whole pipeline after two steps of every task, in the order of the recipes."""
    folder = tmp_path_factory.mktemp("pipeline")
    L.seed_everything(0)
    fit(AutoEncoding(str(folder), channels=(8, 8, 16, 16)))
    fit(Contrastive(str(folder), 32, 1, 32, 1, projection_dim=16), "contrastive")
    fit(LatentDiffusion(str(folder), channels=(32, 32)))
    return folder


def test_data_is_disjoint_seeded_and_described():
    data = SceneData(count=8, val_count=4, first_seed=40, batch_size=4)
    data.setup()
    batch = next(iter(data.val_dataloader()))
    scene = render(40 + VALIDATION_OFFSET)
    picture = torch.from_numpy(scene.image).permute(2, 0, 1).float() / 255
    assert torch.equal(batch["image"][0], picture)
    assert batch["caption"][0] == scene.caption
    assert EMOTIONS[batch["emotion"][0]] == scene.mood
    assert len(list(data.train_dataloader())) == 2
    with pytest.raises(MuseError, match="batch_size=9"):
        SceneData(count=8, batch_size=9)


def test_windows_move_with_their_boxes():
    pictures = torch.arange(5.0).view(5, 1, 1, 1).expand(-1, 3, 32, 32).clone()
    pictures[:, :, 8:24, 4:20] += 10.0  # the thing
    box = torch.tensor([4, 8, 20, 24]).expand(5, 4) / 32
    torch.manual_seed(0)
    cut, moved = windows(pictures, box, 16)
    assert cut.shape == (5, 3, 16, 16)
    assert len(moved.unique(dim=0)) > 1, "each picture has a window of its own"
    at = (torch.arange(16) + 0.5) / 16
    for number, (window, edges) in enumerate(zip(cut, moved.unbind(0), strict=True)):
        left, top, right, bottom = edges
        inside = ((top < at) & (at < bottom))[:, None] & ((left < at) & (at < right))
        assert torch.equal(window[0] > 5, inside)
        assert set(window[0].unique().tolist()) <= {number, number + 10.0}


def test_a_teacher_gives_its_channels_their_meaning(tmp_path, folder):
    """Those of an autoencoder of pictures half as large; windows lie on the latents' grid."""
    teacher = AutoEncoding(str(tmp_path / "small"), channels=(8, 8))
    save_part(teacher.vae, tmp_path / "teacher")
    options = {"size": 64, "crop": 32, "whole": 0.0, "teacher": str(tmp_path / "teacher")}
    task = AutoEncoding(str(tmp_path), (8, 8, 16), 6, attention=False, **options)
    image = torch.rand(2, 3, 64, 64)
    box = torch.tensor([[0.1, 0.1, 0.6, 0.6]]).expand(2, 4)
    taught = task._taught(image)
    assert taught.shape == (2, 4, 16, 16)
    small = AutoencoderKL.from_pretrained(tmp_path / "teacher").eval()
    mean = small.encode(2 * F.avg_pool2d(image, 2) - 1).latent_dist.mode()
    torch.testing.assert_close(taught, mean * small.config.scaling_factor)

    with torch.no_grad():
        own = task.vae.encode(2 * image - 1).latent_dist.mode()[:, :4] / task.latent_std
        plain, _ = task._losses(image, box, False)
        both, _ = task._losses(image, box, False, taught)
    torch.testing.assert_close(both - plain, 0.1 * F.mse_loss(own, taught))
    assert "_teacher" not in "".join(task.state_dict())

    with pytest.raises(MuseError, match="4 channels, 1/4 of a picture twice its own"):
        AutoEncoding(str(tmp_path), (8, 8), 4, teacher=str(tmp_path / "teacher"))


def test_a_window_and_what_is_taught_of_it_belong_together(tmp_path, monkeypatch):
    save_part(AutoEncoding(str(tmp_path), channels=(8, 8)).vae, tmp_path / "teacher")
    seen = []

    def mark(self, image):
        """In place of the teacher: the mean of each of the latent's pixels."""
        return F.avg_pool2d(image, 4)

    def losses(self, image, box, sample, taught=None):
        if taught is not None:
            seen.append((F.avg_pool2d(image, 4), taught))
        return self.vae.decoder.conv_out.bias.sum(), image.mean()

    monkeypatch.setattr(AutoEncoding, "_taught", mark)
    monkeypatch.setattr(AutoEncoding, "_losses", losses)
    options = {"crop": 32, "whole": 0.5, "teacher": str(tmp_path / "teacher")}
    task = AutoEncoding(str(tmp_path), (8, 8, 16), 4, attention=False, **options)
    monkeypatch.setattr(task, "validation_step", None)
    fit(task)
    assert [pair[1].shape for pair in seen] == [(4, 3, 8, 8), (1, 3, 16, 16)]
    for window, taught in seen:
        torch.testing.assert_close(window, taught)


def test_a_diffusion_model_begins_with_one_of_fewer_channels(folder, tmp_path):
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(folder / part, tmp_path / part)
    wide = AutoEncoding(str(tmp_path), (8, 8, 16, 16), 6)
    save_part(wide.vae, tmp_path / "vae")
    start = str(folder / "unet")
    new = LatentDiffusion(str(tmp_path), channels=(32, 32), start=start).unet.eval()
    old = UNet2DConditionModel.from_pretrained(start).eval()
    latent, states = torch.randn(1, 6, 8, 8), torch.randn(1, 24, 32)
    with torch.no_grad():
        drawn = new(latent, torch.tensor([300]), states).sample
        expected = old(latent[:, :4], torch.tensor([300]), states).sample
    torch.testing.assert_close(drawn[:, :4], expected)
    assert not drawn[:, 4:].any()
    with pytest.raises(MuseError, match="the same channels and layers_per_block"):
        LatentDiffusion(str(tmp_path), channels=(64, 32), start=start)


def test_a_clip_begins_with_another_whose_text_is_locked(folder, tmp_path):
    task = Contrastive(str(tmp_path), start=str(folder / "clip"))
    before = {name: weight.clone() for name, weight in task.clip.named_parameters()}
    fit(task, "contrastive")
    for name, weight in task.clip.named_parameters():
        locked = "text" in name
        assert torch.equal(weight, before[name]) == locked, name
        assert weight.requires_grad != locked, name
    ours, theirs = (
        load_file(place / "text_encoder" / "model.safetensors") for place in (tmp_path, folder)
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_spot_in_a_corner_weighs_as_much_as_the_corner():
    x = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    y = x.clone()
    y[:, :, 20:40, 20:30] += 1
    assert corner_loss(y, x) == 0
    for rows in (slice(0, 6), slice(-6, None)):
        for columns in (slice(0, 6), slice(-6, None)):
            spot = y.clone()
            spot[..., rows, columns] += 0.5
            assert corner_loss(spot, x).item() == pytest.approx(0.5 * 36 / 64 / 4)


def test_training_sees_windows_and_at_last_whole_pictures(tmp_path, monkeypatch):
    """The autoencoder, and then its decoder against a discriminator."""
    seen = []

    def watched(y, x, box, *weights):
        if torch.is_grad_enabled():
            seen.append(tuple(x.shape))
        return reconstruction_loss(y, x, box, *weights)

    for module in (autoencoding, decoder_tuning):
        monkeypatch.setattr(module, "reconstruction_loss", watched)
    windows = {"crop": 32, "whole": 0.5}
    fit(AutoEncoding(str(tmp_path), channels=(8, 8), size=64, attention=False, **windows))
    fit(DecoderTuning(str(tmp_path), **windows))
    fit(DecoderTuning(str(tmp_path)))
    assert seen == 2 * [(4, 3, 32, 32), (1, 3, 64, 64)] + 2 * [(4, 3, 64, 64)]
    vae = AutoencoderKL.from_pretrained(tmp_path / "vae")
    assert not vae.config.mid_block_add_attention
    assert vae.config.sample_size == 64


def test_the_unet_is_as_large_as_the_latents(tmp_path):
    fit(AutoEncoding(str(tmp_path), channels=(8, 8, 8, 16), latent_channels=8, size=128))
    fit(Contrastive(str(tmp_path), 32, 1, 32, 1, projection_dim=16), "contrastive")
    config = LatentDiffusion(str(tmp_path), channels=(32, 32)).unet.config
    assert (config.sample_size, config.in_channels) == (16, 8)


def test_exported_folder_is_a_stable_diffusion_pipeline(folder):
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    positive, negative = pipeline.encode_prompt("a dog in a park", "cpu", 1, True)
    assert positive.shape == negative.shape == (1, 24, 32)
    assert not torch.equal(positive, negative)
    picture = pipeline("a dog in a park", num_inference_steps=2, output_type="np").images
    assert picture.shape == (1, 64, 64, 3)
    scheduler = pipeline.scheduler.config
    assert scheduler.prediction_type == "v_prediction"
    assert not scheduler.set_alpha_to_one
    assert scheduler.steps_offset == 1


def test_exported_latents_have_unit_scale(folder):
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    assert pipeline.vae.config.scaling_factor != 0.18215  # the library's default
    pictures = torch.stack([torch.from_numpy(render(seed).image) for seed in range(16)])
    pictures = 2 * pictures.permute(0, 3, 1, 2).float() / 255 - 1
    with torch.no_grad():
        latent = pipeline.vae.encode(pictures).latent_dist.sample()
    assert 0.5 < (latent * pipeline.vae.config.scaling_factor).std() < 2


def test_text_encoder_is_the_text_tower_of_clip(folder):
    clip = CLIPModel.from_pretrained(folder / "clip", dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "clip")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    ids = tokenizer(["a cat on a beach"], padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        expected = clip.text_model(ids).last_hidden_state
        assert torch.allclose(pipeline.text_encoder(ids)[0], expected, atol=1e-5)


def test_clip_comes_with_its_tokenizer_and_preprocessing(folder):
    clip = load_clip(str(folder / "clip"))
    assert clip.size == 64
    processor = clip.preprocess.processor
    assert (list(processor.image_mean), list(processor.image_std)) == (
        OPENAI_CLIP_MEAN,
        OPENAI_CLIP_STD,
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        written = (folder / "clip" / name).read_text()
        assert written == (folder / "tokenizer" / name).read_text()


@pytest.mark.parametrize("guide", [SimEmo, EmoGen, ConvNet])
def test_classifiers_train_and_load_again(folder, tmp_path, guide):
    clip = {} if guide is ConvNet else {"clip": str(folder / "clip")}
    output = tmp_path / "guides" / "guide.safetensors"
    task = EmotionClassification(guide(**clip), str(output))
    before = {key: value.clone() for key, value in task.guide.state_dict().items()}
    fit(task)
    changed = {k for k, v in task.guide.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert not any(key.startswith("clip.") for key in changed)
    again = guide(**clip, checkpoint=str(output)).eval()
    image = torch.rand(2, 3, 64, 64)
    assert again.labels == task.guide.labels
    assert torch.allclose(again.read(image), task.guide.read(image), atol=2e-2)


def test_language_term_needs_a_trained_tower(folder, tmp_path):
    output = str(tmp_path / "simemo.safetensors")
    guide = SimEmo(clip=str(folder / "clip"))
    with pytest.raises(MuseError, match="tower_rate > 0"):
        EmotionClassification(guide, output, language_weight=0.3)
    with pytest.raises(MuseError, match="ConvNet has no CLIP"):
        EmotionClassification(ConvNet(), output, language_weight=0.3)
    fit(EmotionClassification(guide, output, language_weight=0.3, tower_rate=1e-4), "feeling")
    tuned = SimEmo(clip=str(folder / "clip"), checkpoint=output)
    image = torch.rand(2, 3, 64, 64)
    assert torch.allclose(tuned.read(image), guide.read(image), atol=2e-2)


def test_tuning_the_decoder_keeps_the_encoder(folder, tmp_path):
    shutil.copytree(folder / "vae", tmp_path / "vae")
    before = AutoencoderKL.from_pretrained(tmp_path / "vae")
    fit(DecoderTuning(str(tmp_path)))
    after = AutoencoderKL.from_pretrained(tmp_path / "vae")
    assert after.config.scaling_factor == before.config.scaling_factor
    new = after.state_dict()
    changed = {
        key for key, value in before.state_dict().items() if not torch.equal(value, new[key])
    }
    assert "decoder.conv_in.weight" in changed
    assert all(key.startswith("decoder.") for key in changed)


def test_the_discriminators_part_has_its_share_of_the_gradient_and_pleases_it(folder):
    torch.manual_seed(0)
    data = SceneData(count=4, val_count=1, batch_size=4)
    data.setup()
    batch = next(iter(data.train_dataloader()))

    def slopes(scale: float, weight: float) -> tuple[DecoderTuning, torch.Tensor, torch.Tensor]:
        torch.manual_seed(0)
        task = DecoderTuning(str(folder), adversarial_weight=weight, latent_noise=0.0)
        with torch.no_grad():
            for parameter in task.discriminator[-1].parameters():
                parameter.mul_(scale)
        task.training_step(batch).backward()
        return task, task.vae.decoder.conv_out.weight.grad, task.discriminator[0].weight.grad

    task, alone, taught = slopes(1.0, 0.0)
    _, both, taught_too = slopes(1.0, 0.4)
    part = both - alone
    assert torch.equal(taught, taught_too), "the decoder's loss does not reach the discriminator"
    assert torch.equal(alone, slopes(0.1, 0.0)[1]), "nor the discriminator's the decoder"
    assert part.norm() == pytest.approx(0.4 * alone.norm().item(), rel=1e-3)
    assert torch.allclose(slopes(0.1, 0.4)[1] - alone, part, atol=1e-3 * part.abs().max().item())

    def score() -> torch.Tensor:
        _, latent = task._encode(batch["image"])
        return task.discriminator(task.vae.decode(latent).sample).mean()

    with torch.no_grad():
        before = score()
        task.vae.decoder.conv_out.weight -= 0.01 * part / part.norm()
        assert score() > before


def test_a_decoder_learns_from_what_the_model_draws(folder, monkeypatch):
    """Of half of the latents; windows of pictures and latents belong together."""
    task = DecoderTuning(str(folder), crop=32, latent_noise=0.0, drawn=0.5, until=0.1)
    monkeypatch.setattr(DecoderTuning, "trainer", SimpleNamespace(estimated_stepping_batches=2))
    data = SceneData(count=4, val_count=1, batch_size=4, captions="diffusion")
    data.setup()
    batch = data.train_set.__getitems__([0, 1, 2, 3])
    _, latent = task._encode(batch["image"])
    drawn = task._predicted(latent, batch["caption"])
    moved = (drawn - latent).abs().amax((1, 2, 3)) > 0
    assert moved.tolist() == [False, True, False, True]
    x, cut, _ = task._seen(batch)
    assert x.shape == (4, 3, 32, 32)
    assert cut.shape == (4, 4, 4, 4)
    for row in (0, 2):  # a scene's own latent, cut where its picture was
        whole = 2 * batch["image"][row] - 1
        places = [
            (top, left)
            for top in range(0, 33, 8)
            for left in range(0, 33, 8)
            if torch.equal(whole[:, top : top + 32, left : left + 32], x[row])
        ]
        top, left = (value // 8 for value in places[0])
        torch.testing.assert_close(cut[row], latent[row, :, top : top + 4, left : left + 4])
    assert "_model" not in "".join(task.state_dict())
    monkeypatch.setattr(DecoderTuning, "global_step", 2)  # the end, of whole pictures
    whole, seen, _ = task._seen({**batch, "image": batch["image"]})
    assert whole.shape == (1, 3, 64, 64)
    torch.testing.assert_close(seen, latent[:1])
    monkeypatch.undo()
    shutil.copytree(folder / "vae", keep := folder / "kept")
    fit(DecoderTuning(str(folder), drawn=0.5))
    shutil.rmtree(folder / "vae")
    keep.rename(folder / "vae")


@pytest.mark.parametrize("share", [{"drawn": 1.5}, {"drawn": -0.1}, {"until": 0.0}, {"until": 2.0}])
def test_a_share_of_drawn_latents_is_one(folder, share):
    with pytest.raises(MuseError, match="is out of range"):
        DecoderTuning(str(folder), **share)


@pytest.mark.parametrize("option", ["latent_noise", "edge_weight", "thing_weight"])
def test_each_weight_of_the_decoders_tuning_moves_its_loss(folder, option):
    data = SceneData(count=4, val_count=1, batch_size=4)
    data.setup()
    batch = data.train_set.__getitems__([0, 1, 2, 3])

    def loss(value: float) -> float:
        torch.manual_seed(0)
        return DecoderTuning(str(folder), **{option: value}).training_step(batch).item()

    assert loss(0.5) == loss(0.5)
    assert loss(0.0) != loss(0.5)


def test_a_preview_shows_what_the_large_decoder_paints(folder, tmp_path):
    shutil.copytree(folder / "vae", tmp_path / "vae")
    task = PreviewDecoding(str(tmp_path), 32, 8)
    image = torch.rand(3, 3, 64, 64)
    vae = AutoencoderKL.from_pretrained(tmp_path / "vae").eval()
    z = vae.encode(2 * image - 1).latent_dist.mode()
    latent, like, shown = task._shown(image, perturb=False)
    close = {"rtol": 0, "atol": 1e-4}  # two layouts of memory, thirty layers
    torch.testing.assert_close(latent, z * vae.config.scaling_factor, **close)
    torch.testing.assert_close(shown, F.avg_pool2d(vae.decode(z).sample, 2), **close)
    assert torch.equal(like, latent)

    task.noise = 0.0
    latent, like, shown = task._shown(image, perturb=True)
    away = (like - latent).flatten(1)
    towards = (latent.roll(1, 0) - latent).flatten(1)
    u = (away * towards).sum(1) / towards.square().sum(1)
    torch.testing.assert_close(away, u[:, None] * towards, **close)
    assert (u > 0).all()
    assert (u < 0.5).all()
    mixed = vae.decode(like / vae.config.scaling_factor).sample
    torch.testing.assert_close(shown, F.avg_pool2d(mixed, 2), **close)

    fit(task)
    shutil.copytree(folder, tmp_path / "whole", dirs_exist_ok=True)
    assert '"block_out_channels"' not in (tmp_path / "preview" / "config.json").read_text()
    backbone = load_backbone(str(tmp_path / "whole"), preview_decoder=str(tmp_path / "preview"))
    seen = backbone.preview(latent)
    assert seen.shape == (3, 3, 32, 32)
    torch.testing.assert_close(seen, task.tiny.decode(latent).sample / 2 + 0.5, rtol=0, atol=1e-2)


@pytest.mark.parametrize("size", [8, 24, 30, 128])
def test_a_preview_is_a_power_of_two_times_the_latent(folder, size):
    with pytest.raises(MuseError, match=f"size = {size} is not allowed. Use .*: 16, 32, 64"):
        PreviewDecoding(str(folder), size)


@pytest.mark.parametrize("option", ["mixed", "noise", "edge_weight", "thing_weight"])
def test_each_weight_of_a_previews_training_moves_its_loss(folder, option):
    data = SceneData(count=4, val_count=1, batch_size=4)
    data.setup()
    batch = data.train_set.__getitems__([0, 1, 2, 3])

    def loss(value: float) -> float:
        torch.manual_seed(0)
        return PreviewDecoding(str(folder), 32, 8, **{option: value}).training_step(batch).item()

    assert loss(0.5) == loss(0.5)
    assert loss(0.0) != loss(0.5)


def test_a_flow_is_a_stable_diffusion_3_pipeline_with_the_parts_that_it_shares(folder, tmp_path):
    fit(LatentFlow(str(folder), str(tmp_path), width=32, layers=2))
    assert {path.name for path in tmp_path.iterdir()} == {
        "transformer", "scheduler", "model_index.json", "muse.json",
    }  # fmt: skip
    clip = CLIPTextModelWithProjection.from_pretrained(folder / "clip", dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    pipeline = StableDiffusion3Pipeline.from_pretrained(
        tmp_path,
        vae=AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        **dict.fromkeys(("text_encoder", "text_encoder_2"), clip),
        **dict.fromkeys(("tokenizer", "tokenizer_2"), tokenizer),
        **dict.fromkeys(("text_encoder_3", "tokenizer_3")),
        torch_dtype=torch.float32,
    )
    pipeline.set_progress_bar_config(disable=True)
    words = {"num_inference_steps": 2, "height": 64, "width": 64, "max_sequence_length": 1}
    drawn = pipeline("a dog in a park", output_type="pt", **words).images
    assert drawn.shape == (1, 3, 64, 64)
    task = LatentFlow(str(folder), str(tmp_path), width=32, layers=2)
    states, pooled = task.encode_captions(["a dog in a park"])
    said, _, vector, _ = pipeline.encode_prompt(
        *["a dog in a park"] * 3, do_classifier_free_guidance=False, max_sequence_length=1
    )
    torch.testing.assert_close(states, said)
    torch.testing.assert_close(pooled, vector)
    ours = load_backbone(str(tmp_path))
    assert ours.pipeline.text_encoder is ours.pipeline.text_encoder_2
    condition = ours.embed(["a dog in a park"], (64, 64))
    torch.testing.assert_close(condition["tokens"], said)
    torch.testing.assert_close(condition["pooled"], vector)
    assert ours.remarks("a dog in a park") == []


def test_a_flow_begins_with_another(folder, tmp_path):
    start = LatentFlow(str(folder), str(tmp_path), width=32, layers=1)
    save_part(start.transformer, tmp_path / "transformer")
    given = str(tmp_path / "transformer")
    begun = LatentFlow(str(folder), str(tmp_path), width=32, layers=1, start=given)
    for new, old in zip(begun.model.parameters(), start.model.parameters(), strict=True):
        assert torch.equal(new, old.half().float())
    deeper = LatentFlow(str(folder), str(tmp_path), width=32, layers=2)
    with pytest.raises(MuseError, match="the same width and layers"):
        LatentFlow(str(folder), str(tmp_path), width=32, layers=2, start=given)
    save_part(deeper.transformer, tmp_path / "transformer")
    with pytest.raises(MuseError, match="the same width and layers"):
        LatentFlow(str(folder), str(tmp_path), width=32, layers=1, start=given)


def test_the_flows_velocity_is_what_straight_lines_need(folder, tmp_path):
    """A model that knows the latent and the noise has no loss, at any time."""
    task = LatentFlow(str(folder), str(tmp_path), width=32, layers=1)
    latent = torch.randn(4, 4, 8, 8)
    seen = []

    class Told(torch.nn.Module):
        def forward(self, hidden_states, timestep, **text):
            sigma = timestep[:, None, None, None] / 1000
            seen.append(timestep)
            return SimpleNamespace(sample=(hidden_states - latent) / sigma)

    task.transformer = Told()
    assert task.loss(latent, ["a dog"] * 4, torch.arange(4) / 4).item() < 1e-9
    [times] = seen
    assert (times.diff() > 0).all()
    assert 0 < times.min() < 100 < 400 < times[2] < 600


def test_latents_are_made_once_for_all_tasks_on_the_same_scenes(folder, tmp_path, monkeypatch):
    added = []
    add = Latents.add

    def counted(self: Latents, index: list[int], latents: torch.Tensor) -> None:
        added.append(index)
        add(self, index, latents)

    monkeypatch.setattr(Latents, "add", counted)
    data = SceneData(count=8, val_count=4, batch_size=4, captions="diffusion")
    data.setup()
    there = latents_of(data.train_set, folder, folder / "vae", "32-true")
    task = LatentFlow(str(folder), str(tmp_path), width=32, layers=1)
    scaled = task.encode_images(data.train_set.__getitems__(list(range(8)))["image"])
    torch.testing.assert_close(there.of(range(8)), scaled)
    fit(task)
    assert added == []
    monkeypatch.setattr(SceneData, "setup", shifted(SceneData.setup))
    fit(LatentFlow(str(folder), str(tmp_path), width=32, layers=1))
    assert sorted(index for one in added for index in one) == list(range(8)), "other pictures"


def shifted(setup):
    """Other scenes under the same options."""

    def changed(self, stage=None):
        setup(self, stage)
        self.train_set.images = self.train_set.images.flip(3)

    return changed


def test_diffusion_says_what_is_missing(tmp_path):
    with pytest.raises(MuseError, match=r"vae is missing; run .*mini/autoencoder\.yaml"):
        LatentDiffusion(str(tmp_path))
    with pytest.raises(MuseError, match=r"vae is missing; run .*mini/first/autoencoder\.yaml"):
        LatentDiffusion(str(tmp_path / "first"))


def test_a_model_to_begin_with_that_is_not_there_is_a_line(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for make, recipe in (
        (lambda: AutoEncoding("a", (8, 8), teacher="first/vae"), "autoencoder"),
        (lambda: Contrastive("a", start="first/clip"), "clip"),
        (lambda: LatentDiffusion(str(folder), (32, 32), start="first/unet"), "diffusion"),
    ):
        with pytest.raises(MuseError, match=rf"There is no .*configs/mini/first/{recipe}\.yaml"):
            make()
    with pytest.raises(MuseError, match=r"Give the folder of one that `muse fit` has saved"):
        AutoEncoding("a", (8, 8), teacher=str(tmp_path))


def test_widths_that_no_layers_have_are_a_line(folder, tmp_path):
    for make, told in (
        (lambda: AutoEncoding("a", channels=(10,)), "channels = 10 is .* multiples of 8"),
        (lambda: AutoEncoding("a", channels=()), "channels = nothing is"),
        (lambda: LatentDiffusion(str(folder), channels=(32, 33)), "channels = 32, 33 is"),
        (lambda: LatentFlow(str(folder), str(tmp_path), width=33), "width = 33 is"),
        (lambda: Contrastive("a", text_width=0), "text_width = 192, 0 is"),
        (lambda: PreviewDecoding(str(folder), channels=1), "channels = 1 is"),
    ):
        with pytest.raises(MuseError, match=told):
            make()


@pytest.mark.parametrize("task", [PreviewDecoding, DecoderTuning, LatentDiffusion])
def test_an_empty_part_is_a_line(tmp_path, task):
    (tmp_path / "vae").mkdir()
    with pytest.raises(MuseError, match=r"There is no AutoencoderKL in '.*vae' \("):
        task(str(tmp_path))


def test_muon_solves_a_least_squares_problem():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 12, generator=generator)
    wanted = torch.randn(5, 12, generator=generator)
    layer = torch.nn.Linear(12, 5)
    optimizer = Muon(layer.named_parameters(), lr=0.05)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 0.05 * (1 - step / 300)
        loss = (layer(inputs) - inputs @ wanted.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-3


def test_muon_leaves_what_is_no_matrix_and_what_it_is_told_to_adam():
    embedding, head = torch.nn.Embedding(3, 4), torch.nn.Linear(4, 2)
    model = torch.nn.ModuleDict({"embedding": embedding, "head": head})
    groups = Muon(model.named_parameters(), lr=0.1, adam=("embedding",)).param_groups
    kept = {group["orthogonal"]: [id(weight) for weight in group["params"]] for group in groups}
    assert kept[True] == [id(head.weight)]
    assert kept[False] == [id(embedding.weight), id(head.bias)]


def test_fine_contrast_is_none_where_a_picture_is_flat():
    assert fine_contrast(torch.full((2, 3, 8, 8), 0.7)) < 1e-6
    stripes = torch.arange(8).remainder(2).float().expand(1, 3, 8, 8)
    assert fine_contrast(stripes) == pytest.approx(2 / 3)


def test_shipped_pipelines_fit_and_load():
    files = [file for root in PACKAGED.values() for file in root.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 64_000_000
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".pth", ".ckpt"}]
    pipeline = StableDiffusionPipeline.from_pretrained(SHIPPED, safety_checker=None)
    assert pipeline.unet.config.in_channels == pipeline.vae.config.latent_channels
    for guide, name in ((SimEmo, "simemo"), (EmoGen, "emogen")):
        guide(
            clip=str(SHIPPED / "clip"), checkpoint=str(SHIPPED / "guides" / f"{name}.safetensors")
        )
    ConvNet(checkpoint=str(SHIPPED / "judge.safetensors"))
    flow = load_backbone("muse-mini-flow")
    assert flow.size == load_backbone("muse-mini").size


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_picture_of_the_shipped_flow_is_diffusers_own(scale):
    """Four steps from the same noise, by a pipeline put together from the packaged parts."""
    backbone, flow = load_backbone("muse-mini-flow"), PACKAGED["muse-mini-flow"]
    clip = CLIPTextModelWithProjection.from_pretrained(SHIPPED / "clip")
    words = CLIPTokenizer.from_pretrained(SHIPPED / "tokenizer")
    pipeline = StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel.from_pretrained(flow / "transformer"),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(flow / "scheduler"),
        vae=AutoencoderKL.from_pretrained(SHIPPED / "vae"), text_encoder=clip, tokenizer=words,
        text_encoder_2=clip, tokenizer_2=words, text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    made = Sampler(
        backbone, ConvNet(width=8), NoSteering(), Never(), MultiEmotionLoss(), GaussianNoise(),
        steps=4, guidance_scale=scale,
    )  # fmt: skip
    job = Job("a", "a dog in a park", None, 0)
    [result] = made.sample([job])
    noise = torch.randn(1, *backbone.latent_shape(backbone.size), generator=job.noise())
    theirs = pipeline(
        job.prompt, latents=noise, num_inference_steps=4, guidance_scale=scale, output_type="pt",
        height=backbone.size[0], width=backbone.size[1],
        max_sequence_length=backbone.max_sequence_length,
    ).images  # fmt: skip
    assert theirs.std() > 0.05
    assert (result.image.clamp(0, 1) - theirs).abs().max() <= 1e-4


def test_no_intensity_is_the_plain_twin():
    """Of the preset `default` on the shipped pipeline, to the last bit."""
    made = Sampler(**{**preset("default"), "steps": 3})
    wanted = Job("a", "a dog in a park", {"awe": 1.0}, 0, intensity=0.0)
    [none] = made.sample([wanted], 1)
    [plain] = made.sample([replace(wanted, target=None, intensity=None)], 1)
    assert torch.equal(none.image, plain.image)
    assert none.probabilities == plain.probabilities
    assert none.cost == plain.cost
    [all_of_it] = made.sample([replace(wanted, intensity=1.0)], 1)
    assert not torch.equal(all_of_it.image, plain.image)


def test_a_task_from_latents_is_compiled_where_it_is_asked_to_be(folder, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    task = LatentFlow(str(folder), str(tmp_path), width=32, layers=1, compiled=True)
    fit(task)
    assert compiled == [task.transformer]
    fit(LatentFlow(str(folder), str(tmp_path), width=32, layers=1))
    assert len(compiled) == 1


def test_shipped_guides_and_judge_read_moods():
    scenes = [render(9_500_000 + seed) for seed in range(96)]
    image = torch.stack([torch.from_numpy(scene.image) for scene in scenes])
    image = image.permute(0, 3, 1, 2).float() / 255
    truth = torch.tensor([EMOTIONS.index(scene.mood) for scene in scenes])
    clip = str(SHIPPED / "clip")
    guides = {
        "simemo": SimEmo(clip=clip, checkpoint=str(SHIPPED / "guides" / "simemo.safetensors")),
        "emogen": EmoGen(clip=clip, checkpoint=str(SHIPPED / "guides" / "emogen.safetensors")),
        "judge": ConvNet(checkpoint=str(SHIPPED / "judge.safetensors")),
    }
    with torch.no_grad():
        right = {n: (g.read(image).argmax(-1) == truth).float().mean() for n, g in guides.items()}
    assert min(right.values()) > 0.7, right


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "mini").rglob("*.yaml")))
def test_recipes_parse(file, capsys):
    assert main(["fit", "--config", str(file), "--print_config"]) == 0
    said = capsys.readouterr().out
    assert f"world: {'main' if file.parent.name == 'first' else 'varied'}" in said
    assert "runs/mini" in said
