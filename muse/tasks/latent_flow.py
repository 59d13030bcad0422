"""Learning to turn noise and a prompt into a latent: a transformer, along straight lines."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModelWithProjection

from muse.mini.export import part_folder, plain_copy, save_part
from muse.pretrained.sharing import PREVIEW, note_sharing
from muse.tasks.beginning import begin_with, check_widths, load_part
from muse.tasks.from_latents import FromLatents


class LatentFlow(FromLatents):
    r"""Trains a small `SD3Transformer2DModel`; exports the finished pipeline into a folder of its
    own, without the parts that it shares.

    Rectified flow (Lipman et al. 2023): :math:`L = |v_\theta((1 - \sigma) z + \sigma \epsilon,
    1000 \sigma, c) - (\epsilon - z)|^2`, :math:`\sigma` logit-normal (Esser et al. 2024, Eq. 19).
    Text and picture attend to each other jointly. The prompt is read as Stable Diffusion 3 reads
    it: the states before the last layer of two CLIPs side by side, then T5's tokens, and both
    CLIPs' projections as one vector. Here the two CLIPs are one, muse-mini's, and in T5's place
    stands one token of zeros, as in Stable Diffusion 3 without it. The rest is `FromLatents`'.

    Args:
        pipeline_dir: the folder with `vae/`, `clip/` and `tokenizer/` in it.
        output_dir: of the flow's pipeline.
        width: of the transformer, a multiple of 32.
        layers: of joint attention.
        learning_rate: peak of the one-cycle schedule (Muon).
        drop_prompt: probability of the empty prompt.
        compiled: whether `torch.compile` fuses the model, see `FromLatents`.
        start: the folder of an `SD3Transformer2DModel` of the same width and layers, whose weights
            this one begins with. None: begin with random ones.

    Raises:
        MuseError: when a part is missing in the folder, or `start` has another shape.
    """

    ends = "pos_embed.", "proj_out.", "norm_out.", "norm1", "time_text_embed."

    def __init__(
        self,
        pipeline_dir: str,
        output_dir: str,
        width: int = 192,
        layers: int = 8,
        learning_rate: float = 2e-3,
        drop_prompt: float = 0.1,
        compiled: bool = False,
        start: str | None = None,
    ) -> None:
        check_widths("width", [width], 32)
        super().__init__(pipeline_dir, learning_rate, drop_prompt, compiled)
        self.save_hyperparameters()
        self.output_dir = output_dir
        clip = part_folder(pipeline_dir, "clip", "clip")
        self.text_encoder = load_part(CLIPTextModelWithProjection, clip, dtype=torch.float32)
        self.text_encoder.eval().requires_grad_(False)
        text = self.text_encoder.config
        self.transformer = SD3Transformer2DModel(
            sample_size=self.side,
            patch_size=2,
            in_channels=self.vae.config.latent_channels,
            out_channels=self.vae.config.latent_channels,
            num_layers=layers,
            attention_head_dim=32,
            num_attention_heads=width // 32,
            caption_projection_dim=width,
            joint_attention_dim=2 * text.hidden_size,
            pooled_projection_dim=2 * text.projection_dim,
            pos_embed_max_size=self.side // 2,
            qk_norm="rms_norm",
        )
        if start is not None:
            remedy = "give both the same width and layers"
            begin_with(self.transformer, start, remedy, frozenset())

    @property
    def model(self) -> SD3Transformer2DModel:  # type: ignore[override]
        """The transformer."""
        return self.transformer

    @torch.no_grad()
    def encode_captions(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """Text states (B, L + 1, 2 d) and the pooled vector (B, 2 p)."""
        found = self.text_encoder(self.tokens(captions), output_hidden_states=True)
        states = found.hidden_states[-2].float().repeat(1, 1, 2)
        pooled = found.text_embeds.float().repeat(1, 2)
        return torch.cat([states, torch.zeros_like(states[:, :1])], 1), pooled

    def loss(self, latent: Tensor, captions: list[str], spread: Tensor) -> Tensor:
        """The mean squared error of the velocity."""
        inner = (0.999 * spread.double() + 5e-4).to(latent)  # the normal's quantiles have no ends
        sigma = torch.special.ndtri(inner).sigmoid()[:, None, None, None]
        noise = torch.randn_like(latent)
        states, pooled = self.encode_captions(captions)
        output = self.transformer(
            hidden_states=(1 - sigma) * latent + sigma * noise,
            timestep=1000 * sigma.flatten(),
            encoder_hidden_states=states,
            pooled_projections=pooled,
        ).sample
        return F.mse_loss(output.float(), noise - latent)

    def export(self) -> None:
        """Writes `transformer/`, `scheduler/`, `model_index.json`, and where the others lie."""
        folder = Path(self.output_dir)
        save_part(self.transformer, folder / "transformer")
        scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
        scheduler.save_pretrained(folder / "scheduler")
        clip = plain_copy(self.text_encoder)
        pipeline = StableDiffusion3Pipeline(
            transformer=plain_copy(self.transformer),
            scheduler=scheduler,
            vae=plain_copy(self.vae),
            text_encoder=clip,
            tokenizer=self.tokenizer,
            text_encoder_2=clip,
            tokenizer_2=self.tokenizer,
            text_encoder_3=None,
            tokenizer_3=None,
        )
        pipeline.save_config(folder)
        own = self.pipeline_dir
        note_sharing(
            folder,
            {
                "vae": own / "vae",
                **dict.fromkeys(("text_encoder", "text_encoder_2"), own / "clip"),
                **dict.fromkeys(("tokenizer", "tokenizer_2"), own / "tokenizer"),
                **({PREVIEW: own / PREVIEW} if (own / PREVIEW).is_dir() else {}),
            },
            {"max_sequence_length": 1},
        )
