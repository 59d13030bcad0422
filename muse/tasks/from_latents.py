"""Learning to draw latents: what every such task does before its model is asked."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTokenizer

from muse.backbones.options import DTYPE
from muse.mini.data import SceneBatch, SceneDataset
from muse.mini.encoded import Latents, latents_of
from muse.mini.export import part_folder
from muse.mini.optimizing import Muon, with_one_cycle
from muse.tasks.beginning import load_part
from muse.tasks.resuming import Resumable

ENCODED_AT_ONCE = 8


class FromLatents(Resumable):
    """Trains a model that turns noise and a prompt into the latents of scenes.

    Autoencoder and text encoder are those of the folder, frozen; every scene is encoded once, at
    its first visit, and all are then kept in that folder, for the next start and for other tasks
    (`Latents`). A share of prompts is replaced by the empty one, for classifier-free guidance; a
    batch's times are spread evenly.

    Args:
        pipeline_dir: the pipeline's folder, with `vae/` and `tokenizer/` in it.
        learning_rate: peak of the one-cycle schedule (Muon).
        drop_prompt: probability of the empty prompt.
        compiled: whether `torch.compile` fuses the model: in bfloat16 on a CPU a third fewer
            seconds a step, after some minutes at the start.
    """

    model: nn.Module
    """What is trained."""

    ends: tuple[str, ...] = ()
    """Parts of names of those weights that Adam has, in place of Muon."""

    def __init__(
        self, pipeline_dir: str, learning_rate: float, drop_prompt: float, compiled: bool
    ) -> None:
        super().__init__()
        self.pipeline_dir = Path(pipeline_dir)
        self.learning_rate, self.drop_prompt = learning_rate, drop_prompt
        self.compiled = compiled
        vae = part_folder(pipeline_dir, "vae", "autoencoder")
        self.vae = load_part(AutoencoderKL, vae, **{DTYPE: torch.float32})
        self.vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        tokenizer = part_folder(pipeline_dir, "tokenizer", "clip")
        self.tokenizer = load_part(CLIPTokenizer, tokenizer)
        self._latents = Latents()

    @property
    def side(self) -> int:
        """Of the latents."""
        return int(
            self.vae.config.sample_size // 2 ** (len(self.vae.config.block_out_channels) - 1)
        )

    @torch.no_grad()
    def encode_images(self, image: Tensor) -> Tensor:
        """Scaled latents (B, C, h, w) of pictures (B, 3, H, H) in [0, 1]."""
        x = (2.0 * image - 1.0).to(memory_format=torch.channels_last)
        # In small calls, whose large first maps stay in a processor's cache: 64 pictures of 128 px
        # take 1.2 s on two cores in place of 4.2.
        means = [self.vae.encode(some).latent_dist.mode() for some in x.split(ENCODED_AT_ONCE)]
        return torch.cat(means).float() * self.vae.config.scaling_factor

    def tokens(self, captions: list[str]) -> Tensor:
        """Token ids (B, L)."""
        found = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        ids: Tensor = found.input_ids.to(self.device)
        return ids

    @abstractmethod
    def loss(self, latent: Tensor, captions: list[str], spread: Tensor) -> Tensor:
        """The loss of latents under their captions.

        Args:
            latent: scaled, (B, C, h, w).
            captions: B.
            spread: where in the schedule, (B,) in [0, 1).
        """

    @abstractmethod
    def export(self) -> None:
        """Writes what makes the folder a pipeline."""

    def _remembered_latents(self, batch: SceneBatch) -> Tensor:
        index = batch["index"].tolist()
        if not self._latents.has(index):
            # All of the batch: how many rows there are decides how a row is rounded, and a resumed
            # run, which remembers none, meets other ones as new.
            self._latents.add(index, self.encode_images(batch["image"]))
        return self._latents.of(index).to(self.device)

    def _plain_attention_loss(self, latent: Tensor, captions: list[str], spread: Tensor) -> Tensor:
        # Over some sixty tokens a CPU's fused attention takes longer than a product of matrices:
        # a step of 64 in bfloat16 0.65 s in place of 0.55.
        kernels = sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext()
        with kernels:
            return self.loss(latent, captions, spread)

    def on_fit_start(self) -> None:
        """Looks for latents that an earlier start, or another task, has left."""
        scenes = getattr(self.trainer.datamodule, "train_set", None)
        if isinstance(scenes, SceneDataset):
            vae = part_folder(self.pipeline_dir, "vae", "autoencoder")
            precision = str(self.trainer.precision)
            self._latents = latents_of(scenes, self.pipeline_dir, vae, precision)
        if self.compiled:
            self.model.compile()

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The loss of one batch."""
        latent = self._remembered_latents(batch)
        rows = len(latent)
        dropped = (torch.rand(rows) < self.drop_prompt).tolist()
        captions = [
            "" if drop else caption for drop, caption in zip(dropped, batch["caption"], strict=True)
        ]
        spread = (torch.arange(rows) + torch.rand(rows)) / rows
        loss = self._plain_attention_loss(latent, captions, spread.to(self.device))
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs `val/loss` over times that are the same for every batch."""
        rows = len(batch["image"])
        spread = torch.linspace(0, 1 - 1e-3, rows, device=self.device)
        latent = self.encode_images(batch["image"])
        loss = self._plain_attention_loss(latent, batch["caption"], spread)
        self.log("val/loss", loss, prog_bar=True, batch_size=rows)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon (Adam for the model's ends), one cycle over the run."""
        optimizer = Muon(self.model.named_parameters(), self.learning_rate, adam=self.ends)
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches, warmup=0.05)

    def on_fit_end(self) -> None:
        """Exports what was learned."""
        if self.trainer.is_global_zero:
            self.export()
