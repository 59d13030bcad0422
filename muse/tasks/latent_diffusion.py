"""Learning to turn noise and a prompt into a latent: a UNet."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel

from muse.mini.export import part_folder, plain_copy, save_part
from muse.tasks.beginning import begin_with, check_widths, load_part
from muse.tasks.from_latents import FromLatents

TRAIN_STEPS = 1000

GROWN = frozenset({"conv_in.weight", "conv_out.weight", "conv_out.bias"})
"""Where a UNet meets the latents, which may have more channels than its forerunner's."""


class LatentDiffusion(FromLatents):
    r"""Trains a small text-conditioned `UNet2DConditionModel`; exports the finished pipeline.

    v-prediction (Salimans and Ho 2022): :math:`L = |v_\theta(\alpha z + \sigma \epsilon, t, c) -
    (\alpha \epsilon - \sigma z)|^2` with Stable Diffusion's schedule (scaled linear, 0.00085 to
    0.012, 1000 steps); v because its one-step prediction of z is good at high noise, which is
    where steering reads it. The rest is `FromLatents`'.

    Args:
        pipeline_dir: the pipeline's folder, with `vae/`, `text_encoder/` and `tokenizer/` in it.
        channels: width of the levels, from the latent's size down, each half as large as the one
            before; multiples of 32. Levels of at most 8x8 attend, to themselves and to the text.
        layers_per_block: residual and attention blocks per level.
        learning_rate: peak of the one-cycle schedule (Muon).
        drop_prompt: probability of the empty prompt.
        compiled: whether `torch.compile` fuses the model, see `FromLatents`.
        start: the folder of a `UNet2DConditionModel` of the same widths, whose weights this one
            begins with; where its latents have fewer channels, they are the first of these, as
            after `AutoEncoding` with a teacher. None: begin with random ones.

    Raises:
        MuseError: when a part is missing in the folder, or `start` has other widths.
    """

    ends = "conv_in.", "conv_out."

    def __init__(
        self,
        pipeline_dir: str,
        channels: tuple[int, ...] = (96, 160, 128),
        layers_per_block: int = 1,
        learning_rate: float = 4e-3,
        drop_prompt: float = 0.1,
        compiled: bool = False,
        start: str | None = None,
    ) -> None:
        check_widths("channels", channels, 32)
        super().__init__(pipeline_dir, learning_rate, drop_prompt, compiled)
        self.save_hyperparameters()
        texts = part_folder(pipeline_dir, "text_encoder", "clip")
        self.text_encoder = load_part(CLIPTextModel, texts, dtype=torch.float32)
        self.text_encoder.eval().requires_grad_(False)
        unet = self._new_unet(channels, layers_per_block)
        if start is not None:
            begin_with(unet, start, "give both the same channels and layers_per_block", GROWN)
        self.unet = unet.to(memory_format=torch.channels_last)
        self.scheduler = DDIMScheduler(
            num_train_timesteps=TRAIN_STEPS,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type="v_prediction",
        )

    @property
    def model(self) -> UNet2DConditionModel:  # type: ignore[override]
        """The UNet."""
        return self.unet

    def _new_unet(self, channels: tuple[int, ...], layers_per_block: int) -> UNet2DConditionModel:
        attends = [self.side >> level <= 8 for level in range(len(channels))]
        return UNet2DConditionModel(
            sample_size=self.side,
            in_channels=self.vae.config.latent_channels,
            out_channels=self.vae.config.latent_channels,
            down_block_types=tuple(
                "CrossAttnDownBlock2D" if here else "DownBlock2D" for here in attends
            ),
            up_block_types=tuple(
                "CrossAttnUpBlock2D" if here else "UpBlock2D" for here in reversed(attends)
            ),
            block_out_channels=channels,
            layers_per_block=layers_per_block,
            cross_attention_dim=self.text_encoder.config.hidden_size,
            attention_head_dim=4,  # diffusers' misnomer: the number of heads
            norm_num_groups=32,
        )

    @torch.no_grad()
    def encode_captions(self, captions: list[str]) -> Tensor:
        """Text states (B, L, d)."""
        states: Tensor = self.text_encoder(self.tokens(captions))[0]
        return states.float()

    def loss(self, latent: Tensor, captions: list[str], spread: Tensor) -> Tensor:
        """The mean squared error of v."""
        timesteps = (spread * TRAIN_STEPS).long()
        noise = torch.randn_like(latent)
        noisy = self.scheduler.add_noise(latent, noise, timesteps)
        target = self.scheduler.get_velocity(latent, noise, timesteps)
        noisy = noisy.to(memory_format=torch.channels_last)
        output = self.unet(noisy, timesteps, self.encode_captions(captions)).sample
        return F.mse_loss(output.float(), target)

    def export(self) -> None:
        """Writes what makes the folder a Stable Diffusion pipeline."""
        save_part(self.unet, self.pipeline_dir / "unet")
        self.scheduler.save_pretrained(self.pipeline_dir / "scheduler")
        pipeline = StableDiffusionPipeline(
            vae=plain_copy(self.vae),
            text_encoder=plain_copy(self.text_encoder),
            tokenizer=self.tokenizer,
            unet=plain_copy(self.unet),
            scheduler=self.scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.save_config(self.pipeline_dir)
