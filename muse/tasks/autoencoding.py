"""Learning to write pictures as small latents, and to read them back."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from muse.backbones.options import DTYPE
from muse.core.types import MuseError
from muse.mini.augment import windows_then_whole
from muse.mini.data import SceneBatch
from muse.mini.export import save_part
from muse.mini.optimizing import Muon, with_one_cycle
from muse.mini.reconstruction import reconstruction_loss
from muse.tasks.beginning import check_widths, load_part
from muse.tasks.resuming import Resumable


class AutoEncoding(Resumable):
    r"""Trains a small `AutoencoderKL` of square pictures, and exports it as `vae/`.

    :math:`L = |y - x|_1 + w_e |\nabla y - \nabla x|_1 + w_k KL(q(z|x) \| N(0, I))`, each a mean
    over its elements (`muse.mini.reconstruction`). On export `scaling_factor` is 1 / std of the
    training latents seen last.

    With a teacher, an autoencoder of pictures half as large with latents of the same size and
    fewer channels, a term :math:`w_t |z_{:c} / s - z_t / s_t|^2` (each in its own standard
    deviation) makes the first c channels mean what the teacher's mean: a diffusion model of the
    teacher's latents is then a good start for one of these (`LatentDiffusion`'s `start`).

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
        teacher: the folder of an `AutoencoderKL`; None: no such term.
        teacher_weight: :math:`w_t`.

    Raises:
        MuseError: channels that aren't multiples of 8, no teacher in that folder, or one whose
            latents have more channels than these, or another size.
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
        teacher: str | None = None,
        teacher_weight: float = 0.1,
    ) -> None:
        super().__init__()
        check_widths("channels", channels, 8)
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
            shift_factor=0.0,  # flow pipelines read it
        ).to(memory_format=torch.channels_last)
        # Start with little sampling noise: the log-variance half of the moments begins at -6.
        assert self.vae.quant_conv is not None
        assert self.vae.quant_conv.bias is not None
        torch.nn.init.constant_(self.vae.quant_conv.bias[latent_channels:], -6.0)
        self.register_buffer("latent_std", torch.ones(()))
        self.teacher_weight = teacher_weight
        self.stride = 2 ** (len(channels) - 1)
        # Not a child: it isn't learned, and no checkpoint holds it.
        self._teacher = [] if teacher is None else [self._read_teacher(teacher, latent_channels)]

    def _read_teacher(self, folder: str, most: int) -> AutoencoderKL:
        vae: AutoencoderKL = load_part(AutoencoderKL, folder, **{DTYPE: torch.float32})
        channels, stride = vae.config.latent_channels, 2 ** len(vae.config.block_out_channels)
        if channels > most or stride != self.stride:
            raise MuseError(
                f"the teacher {folder} has latents of {channels} channels, 1/{stride} of a picture "
                f"twice its own; at most {most} channels and 1/{self.stride} can be learned from."
            )
        return vae.eval().requires_grad_(False)

    @torch.no_grad()
    def _taught(self, image: Tensor) -> Tensor:
        """The teacher's latents (B, c, h, w) of pictures (B, 3, H, H) in [0, 1]."""
        [teacher] = self._teacher = [self._teacher[0].to(self.device)]
        latent = teacher.encode(2.0 * F.avg_pool2d(image, 2) - 1.0).latent_dist.mode()
        return latent.float() * teacher.config.scaling_factor

    def _losses(
        self, image: Tensor, box: Tensor, sample: bool, taught: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
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
        loss = reconstruction + self.kl_weight * kl
        if taught is not None:
            first = posterior.mean[:, : taught.shape[1]].float() / self.latent_std
            loss = loss + self.teacher_weight * F.mse_loss(first, taught)
        return loss, (y.float() - x).abs().mean()

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The loss of one batch."""
        done = 0.0
        if self.crop is not None:
            done = self.global_step / self.trainer.estimated_stepping_batches
        image, grid, taught = batch["image"], 1, None
        if self._teacher:
            # The latents go through the cutting as further channels, as large as the picture.
            grid = self.stride
            large = F.interpolate(self._taught(image), scale_factor=grid)
            image = torch.cat([image, large], dim=1)
        image, box = windows_then_whole(image, batch["box"], self.crop, done, self.whole, grid)
        if self._teacher:
            image, taught = image[:, :3], image[:, 3:, ::grid, ::grid]
        loss, absolute = self._losses(image, box, True, taught)
        self.log_dict({"train/loss": loss, "train/l1": absolute}, prog_bar=True)
        return loss

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs `val/l1`, the mean absolute error of pictures in [-1, 1]."""
        _, absolute = self._losses(batch["image"], batch["box"], sample=False)
        self.log("val/l1", absolute, prog_bar=True, batch_size=len(batch["image"]))
        if self._teacher:
            taught = self._taught(batch["image"])
            mean = self.vae.encode(2.0 * batch["image"] - 1.0).latent_dist.mode()
            off = F.mse_loss(mean[:, : taught.shape[1]] / self.latent_std, taught)
            self.log("val/taught", off, prog_bar=True, batch_size=len(mean))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon, one cycle over the run."""
        optimizer = Muon(self.vae.named_parameters(), self.learning_rate)
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)

    def on_fit_end(self) -> None:
        """Exports `vae/`."""
        if self.trainer.is_global_zero:
            self.vae.register_to_config(scaling_factor=float(1.0 / self.latent_std))
            save_part(self.vae, self.pipeline_dir / "vae")
