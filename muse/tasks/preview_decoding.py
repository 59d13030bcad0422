"""Learning a small decoder that shows at once what the large one would paint."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from muse.backbones.options import DTYPE
from muse.core.types import MuseError
from muse.mini.data import SceneBatch
from muse.mini.export import part_folder, save_part
from muse.mini.optimizing import Muon, with_one_cycle
from muse.mini.reconstruction import reconstruction_loss
from muse.tasks.beginning import check_widths, load_part
from muse.tasks.resuming import Resumable


class PreviewDecoding(Resumable):
    r"""Trains an `AutoencoderTiny` whose decoder shows, at half the size or less, what the decoder
    of `vae/` paints; exports it as `preview/`.

    Guides and similarity look at predictions through it (`preview_decoder` of
    `muse.backbones.pipeline.PipelineBackbone`). So its loss compares it with the large decoder and
    not with scenes, and on such latents as predictions are: not only those of scenes, but mixtures
    of two (an early prediction is a mean of many pictures), and noisy ones:
    :math:`z' = (1 - u) z_i + u z_j + s \epsilon`, u and s drawn anew for each. Its encoder learns
    to give back z of the smaller picture.

    Args:
        pipeline_dir: the pipeline's folder, with `vae/` in it.
        size: of what is shown, in pixels, a power of two times the latent's.
        channels: width of the decoder, a multiple of 2: the encoder has half as many.
        learning_rate: peak of the one-cycle schedule (Muon).
        mixed: the largest u, in [0, 0.5].
        noise: the largest s, in standard deviations of the latents.
        edge_weight, thing_weight: of the reconstruction loss.

    Raises:
        MuseError: channels that aren't a multiple of 2, a size that isn't a power of two times the
            latent's, or `vae/` is missing.
    """

    def __init__(
        self,
        pipeline_dir: str,
        size: int = 64,
        channels: int = 32,
        learning_rate: float = 2e-3,
        mixed: float = 0.5,
        noise: float = 0.5,
        edge_weight: float = 0.5,
        thing_weight: float = 2.0,
    ) -> None:
        super().__init__()
        check_widths("channels", [channels], 2)
        self.save_hyperparameters()
        self.pipeline_dir = Path(pipeline_dir)
        self.size, self.mixed, self.noise = size, mixed, noise
        self.learning_rate = learning_rate
        self.edge_weight, self.thing_weight = edge_weight, thing_weight
        folder = part_folder(pipeline_dir, "vae", "autoencoder")
        vae: AutoencoderKL = load_part(AutoencoderKL, folder, **{DTYPE: torch.float32})
        vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        # Not a child: it isn't learned, and no checkpoint holds it.
        self._large = [vae]
        side = vae.config.sample_size // 2 ** (len(vae.config.block_out_channels) - 1)
        allowed = [side << power for power in range(1, len(vae.config.block_out_channels))]
        if size not in allowed:
            raise MuseError(
                f"size = {size} is not allowed. Use the latent's {side} times a power of two: "
                f"{', '.join(map(str, allowed))}."
            )
        doublings = allowed.index(size) + 1
        self.tiny = AutoencoderTiny(
            encoder_block_out_channels=(channels // 2,) * (doublings + 1),
            decoder_block_out_channels=(channels,) * (doublings + 1),
            num_encoder_blocks=(1,) * (doublings + 1),
            num_decoder_blocks=(3, *(2,) * (doublings - 1), 1),
            latent_channels=vae.config.latent_channels,
        ).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def _shown(self, image: Tensor, perturb: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, 3, H, H) in [0, 1] as latents, as latents like predictions, and what the
        large decoder shows of these, at the small size in [-1, 1].
        """
        [large] = self._large = [self._large[0].to(self.device)]
        scale = large.config.scaling_factor
        x = (2.0 * image - 1.0).to(memory_format=torch.channels_last)
        latent = scale * large.encode(x).latent_dist.mode().float()
        like = latent
        if perturb:
            rows = (len(latent), 1, 1, 1)
            u = self.mixed * torch.rand(rows, device=self.device)
            spread = self.noise * torch.rand(rows, device=self.device)
            like = torch.lerp(latent, latent.roll(1, 0), u) + spread * torch.randn_like(latent)
        shown = large.decode(like / scale).sample.float()
        return latent, like, self._small(shown)

    def _small(self, image: Tensor) -> Tensor:
        return F.interpolate(image, (self.size, self.size), mode="area")

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The loss of one batch."""
        latent, like, shown = self._shown(batch["image"], perturb=True)
        y = self.tiny.decode(like).sample
        loss = reconstruction_loss(y, shown, batch["box"], self.edge_weight, self.thing_weight)
        back = self.tiny.encode(self._small(2.0 * batch["image"] - 1.0)).latents
        encoder = F.mse_loss(back.float(), latent)
        self.log_dict({"train/loss": loss, "train/encoder": encoder}, prog_bar=True)
        return loss + encoder

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs `val/l1`, the mean absolute difference of both decoders in [-1, 1], of scenes'
        latents.
        """
        _, like, shown = self._shown(batch["image"], perturb=False)
        found = (self.tiny.decode(like).sample - shown).abs().mean()
        self.log("val/l1", found, prog_bar=True, batch_size=len(shown))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon, one cycle over the run."""
        optimizer = Muon(self.tiny.named_parameters(), self.learning_rate)
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)

    def on_fit_end(self) -> None:
        """Exports `preview/`."""
        if self.trainer.is_global_zero:
            save_part(self.tiny, self.pipeline_dir / "preview")
