"""The Stable Diffusion adapter against diffusers' own pipeline, with small random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMInverseScheduler,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from muse.backbones import StableDiffusion
from muse.engine import run
from muse.guides import ConvNet
from muse.jobs import Job
from muse.latents import DDIMInversion, GaussianNoise
from muse.losses import MultiEmotionLoss
from muse.sampler import Sampler
from muse.schedulers import Always, Never, StepWindow, TimingPolicy
from muse.steering import TokenOptimization
from muse.types import MuseError

STEPS = 8


def tokenizer(folder: Path) -> CLIPTokenizer:
    """A tokenizer of letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16
    )


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pipeline in the diffusers layout."""
    path = tmp_path_factory.mktemp(request.param)
    save_tiny_pipeline(path, request.param)
    return path


def save_tiny_pipeline(path: Path, prediction_type: str = "epsilon") -> None:
    """Save a pipeline of a few thousand random weights for pictures of 16 x 16."""
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=54, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=16, bos_token_id=52, eos_token_id=53,
        pad_token_id=53,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), layers_per_block=1,
        cross_attention_dim=16, attention_head_dim=2, norm_num_groups=4,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
        sample_size=16, scaling_factor=0.7,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, prediction_type=prediction_type,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer(path), unet=unet,
        scheduler=scheduler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(path)


def sampler(folder: Path, timing: TimingPolicy, scale: float = 7.5, **options: object) -> Sampler:
    """A sampler on the tiny pipeline, guided by a random ConvNet."""
    torch.manual_seed(1)
    return Sampler(
        StableDiffusion(str(folder)),
        ConvNet(width=8),
        TokenOptimization(lr=0.05),
        timing,
        MultiEmotionLoss(),
        GaussianNoise(),
        steps=STEPS,
        guidance_scale=scale,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_plain_sampling_is_the_pipelines(folder: Path, scale: float) -> None:
    made = sampler(folder, Never(), scale, negative_prompt="ugly")
    jobs = [Job(str(i), prompt, {"awe": 1.0}, i) for i, prompt in enumerate(["a dog", "b", "c"])]
    results = {result.job.id: result for result in made.sample(jobs, slots=2)}
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.cat([torch.randn(1, 4, 8, 8, generator=job.noise()) for job in jobs])
    expected = pipeline(
        [job.prompt for job in jobs], negative_prompt=["ugly"] * 3, latents=noise,
        num_inference_steps=STEPS, guidance_scale=scale, output_type="pt",
    ).images  # fmt: skip
    for job, picture in zip(jobs, expected, strict=True):
        found = results[job.id].image
        assert found is not None
        torch.testing.assert_close(found[0].clamp(0, 1), picture, atol=1e-4, rtol=0)


def test_inversion_is_diffusers_inverse_scheduler(folder: Path) -> None:
    backbone = StableDiffusion(str(folder))
    grid = backbone.time_grid(STEPS, backbone.size)
    cond = backbone.embed(["a dog"], backbone.size)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))

    with torch.no_grad():
        found = drive(DDIMInversion().invert(start, grid, cond), backbone)
        inverse = DDIMInverseScheduler.from_config(
            backbone.scheduler_config, clip_sample=False, set_alpha_to_one=False
        )
        inverse.set_timesteps(STEPS)
        x = start
        for timestep in inverse.timesteps:
            output = backbone.model(x, timestep, encoder_hidden_states=cond["tokens"]).sample
            x = inverse.step(output, timestep, x).prev_sample
    torch.testing.assert_close(found, x, atol=1e-4, rtol=1e-4)


def drive(row: object, backbone: StableDiffusion) -> torch.Tensor:
    """Answer a row's predictions."""

    def answer(asks: list) -> list:  # type: ignore[type-arg]
        return [backbone.denoise(a.x, type(a.node).stack([a.node]), a.cond) for a in asks]

    return next(run(iter([row]), answer, 1))  # type: ignore[list-item]


def test_steering_moves_the_loss_and_no_weight(folder: Path) -> None:
    made = sampler(folder, Always(), max_iterations=3)
    [result] = made.sample([Job("a", "a dog", {"awe": 1.0}, 0)])
    trace = result.trace.inner
    assert result.failure is None
    assert min(trace["loss_target"]) < trace["loss_target"][0]
    assert all(p.grad is None and not p.requires_grad for p in made.parameters())


def test_rows_never_meet(folder: Path) -> None:
    # Late, because the search amplifies rounding; on the exact toy rows are equal bit for bit.
    made = sampler(folder, StepWindow(STEPS - 1), max_iterations=1)
    jobs = [Job(e, "a dog", {e: 1.0}, i) for i, e in enumerate(["awe", "fear", "anger"])]
    alone = {result.job.id: result.image for job in jobs for result in made.sample([job])}
    for result in made.sample(jobs, slots=3):
        torch.testing.assert_close(result.image, alone[result.job.id], atol=1e-3, rtol=0)


def test_decode_is_not_clamped(folder: Path) -> None:
    picture = StableDiffusion(str(folder)).decode(50 * torch.randn(1, 4, 8, 8))
    assert picture.min() < 0 or picture.max() > 1


def test_what_is_no_pipeline_is_told(tmp_path: Path) -> None:
    with pytest.raises(MuseError, match="No StableDiffusionPipeline under"):
        StableDiffusion(str(tmp_path))


def test_sizes_must_fit_the_autoencoder(folder: Path) -> None:
    backbone = StableDiffusion(str(folder))
    assert backbone.size == (16, 16)
    assert backbone.latent_shape((32, 16)) == (4, 16, 8)
    with pytest.raises(MuseError, match="multiples of 2"):
        backbone.latent_shape((33, 16))
