"""Learning to write pictures as small latents, and to read them back."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from muse.mini.augment import windows_then_whole
from muse.mini.data import SceneBatch
from muse.mini.export import save_part
from muse.mini.optimizing import Muon, with_one_cycle
from muse.mini.reconstruction import reconstruction_loss
from muse.tasks.resuming import Resumable


class AutoEncoding(Resumable):
    r"""Trains a small `AutoencoderKL` of square pictures, and exports it as `vae/`.

    :math:`L = |y - x|_1 + w_e |\nabla y - \nabla x|_1 + w_k KL(q(z|x) \| N(0, I))`, each a mean
    over its elements (`muse.mini.reconstruction`). On export `scaling_factor` is 1 / std of the
    training latents seen last.

    Args:
        pipeline_dir: the pipeline's folder.
        channels: width of the levels, each half as large as the one before, from the picture
            down to the latent; multiples of 8.
        latent_channels: channels of the latent.
        learning_rate: peak of the one-cycle schedule (Muon).
        edge_weight: :math:`w_e`.
        kl_weight: :math:`w_k`.
        thing_weight: how much more pixels in the thing's box weigh in the first term.
        size: side of the pictures that the config names; data may come in another.
        attention: whether the latent's level attends to itself.
        crop: side of the windows that are seen at first (`muse.mini.augment.windows_then_whole`);
            None shows whole pictures throughout.
        whole: the share of steps at the end that see whole pictures, in [0, 1].
    """

    def __init__(
        self,
        pipeline_dir: str,
        channels: tuple[int, ...] = (24, 48, 96),
        latent_channels: int = 4,
        learning_rate: float = 2e-3,
        edge_weight: float = 0.5,
        kl_weight: float = 1e-4,
        thing_weight: float = 2.0,
        size: int = 64,
        attention: bool = True,
        crop: int | None = None,
        whole: float = 0.2,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.pipeline_dir = Path(pipeline_dir)
        self.crop, self.whole = crop, whole
        self.learning_rate = learning_rate
        self.edge_weight, self.kl_weight = edge_weight, kl_weight
        self.thing_weight = thing_weight
        self.vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * len(channels),
            up_block_types=("UpDecoderBlock2D",) * len(channels),
            block_out_channels=tuple(channels),
            layers_per_block=1,
            latent_channels=latent_channels,
            norm_num_groups=8,
            sample_size=size,
            mid_block_add_attention=attention,
        ).to(memory_format=torch.channels_last)
        # Start with little sampling noise: the log-variance half of the moments begins at -6.
        assert self.vae.quant_conv is not None
        assert self.vae.quant_conv.bias is not None
        torch.nn.init.constant_(self.vae.quant_conv.bias[latent_channels:], -6.0)
        self.register_buffer("latent_std", torch.ones(()))

    def _losses(self, image: Tensor, box: Tensor, sample: bool) -> tuple[Tensor, Tensor]:
        x = (2.0 * image - 1.0).to(memory_format=torch.channels_last)
        posterior = self.vae.encode(x).latent_dist
        latent = posterior.sample() if sample else posterior.mean
        if sample:
            std = latent.detach().float().std()
            self.latent_std.lerp_(std, 0.02) if self.global_step else self.latent_std.copy_(std)
        y = self.vae.decode(latent).sample
        variance = posterior.var.float()
        kl = 0.5 * (posterior.mean.float() ** 2 + variance - 1.0 - variance.log()).mean()
        reconstruction = reconstruction_loss(y, x, box, self.edge_weight, self.thing_weight)
        return reconstruction + self.kl_weight * kl, (y.float() - x).abs().mean()

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The loss of one batch."""
        done = 0.0
        if self.crop is not None:
            done = self.global_step / self.trainer.estimated_stepping_batches
        image, box = windows_then_whole(batch["image"], batch["box"], self.crop, done, self.whole)
        loss, absolute = self._losses(image, box, sample=True)
        self.log_dict({"train/loss": loss, "train/l1": absolute}, prog_bar=True)
        return loss

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs `val/l1`, the mean absolute error of pictures in [-1, 1]."""
        _, absolute = self._losses(batch["image"], batch["box"], sample=False)
        self.log("val/l1", absolute, prog_bar=True, batch_size=len(batch["image"]))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon, one cycle over the run."""
        optimizer = Muon(self.vae.named_parameters(), self.learning_rate)
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)

    def on_fit_end(self) -> None:
        """Exports `vae/`."""
        if self.trainer.is_global_zero:
            self.vae.register_to_config(scaling_factor=float(1.0 / self.latent_std))
            save_part(self.vae, self.pipeline_dir / "vae")
