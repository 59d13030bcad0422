"""Learning to paint crisply what latents leave open."""

import torch
from diffusers import AutoencoderKL
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from muse.backbones import StableDiffusion
from muse.backbones.options import DTYPE
from muse.core.types import Denoised, MuseError, Node
from muse.mini.augment import windows_then_whole
from muse.mini.data import SceneBatch
from muse.mini.export import part_folder, save_part
from muse.mini.optimizing import Muon, with_one_cycle
from muse.mini.reconstruction import corner_loss, fine_contrast, reconstruction_loss
from muse.tasks.beginning import load_part
from muse.tasks.resuming import Resumable

NODES = 50
"""Of the schedule, from which a diffusion model draws."""


class DecoderTuning(Resumable):
    r"""Trains the decoder of `vae/` further, against a discriminator, and exports `vae/` again.

    A mean error alone makes a decoder blur what a latent leaves open. The decoder's loss is the
    autoencoder's (`muse.mini.reconstruction`) and :math:`-\lambda D(y)`, the discriminator's the
    hinge loss :math:`\max(0, 1 - D(x)) + \max(0, 1 + D(y))` (Lim and Ye 2017), read from patches
    (Isola et al. 2017). As in Esser et al. 2021, :math:`\lambda` makes the gradients of both terms
    at the decoder's last layer alike, times a weight. Latents get a little noise, for those that a
    diffusion model draws are never exact.

    A share of them may be such as the folder's finished diffusion model draws: its one-step
    predictions of scenes' latents that were made noisy, :math:`\hat z_0(\alpha z + \sigma
    \epsilon)`, from any node up to a share of the schedule. Their errors are the model's own, and
    there is a true picture to each.

    The encoder stays as it is, bit for bit: what learned from its latents need not learn anew.

    Args:
        pipeline_dir: the pipeline's folder, with `vae/` in it.
        learning_rate: peak of the one-cycle schedule, of the decoder (Muon) and the
            discriminator (Adam).
        adversarial_weight: of the discriminator's part in the decoder's gradient.
        latent_noise: the largest standard deviation of the noise, in that of the latents.
        edge_weight, thing_weight: of the reconstruction loss.
        corner_weight: of the pictures' corners beside it (`muse.mini.reconstruction.corner_loss`).
        crop, whole: as the autoencoder's.
        drawn: the share of latents that are the diffusion model's, in [0, 1]; above 0 the folder
            has to be a whole pipeline, and captions are those of its training.
        until: the noisiest of its nodes, as a share of the schedule, in (0, 1].

    Raises:
        MuseError: a share out of range, or a part that is missing in the folder.
    """

    def __init__(
        self,
        pipeline_dir: str,
        learning_rate: float = 1e-3,
        adversarial_weight: float = 0.4,
        latent_noise: float = 0.15,
        edge_weight: float = 0.5,
        thing_weight: float = 2.0,
        corner_weight: float = 0.25,
        crop: int | None = None,
        whole: float = 0.2,
        drawn: float = 0.0,
        until: float = 0.4,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.crop, self.whole = crop, whole
        self.folder = part_folder(pipeline_dir, "vae", "autoencoder")
        self.learning_rate = learning_rate
        self.adversarial_weight, self.latent_noise = adversarial_weight, latent_noise
        self.edge_weight, self.thing_weight = edge_weight, thing_weight
        self.corner_weight = corner_weight
        vae: AutoencoderKL = load_part(AutoencoderKL, self.folder, **{DTYPE: torch.float32})
        self.vae = vae.to(memory_format=torch.channels_last).train().requires_grad_(False)
        self.vae.decoder.requires_grad_(True)
        for name, value, allowed in (
            ("drawn", drawn, 0 <= drawn <= 1),
            ("until", until, 0 < until <= 1),
        ):
            if not allowed:
                raise MuseError(f"{name} = {value:g} is out of range. Use a share of 1.")
        self.drawn, self.until = drawn, until
        # Not a child: it isn't learned, and no checkpoint holds it.
        self._model = [StableDiffusion(pipeline_dir).eval().requires_grad_(False)] if drawn else []
        self.stride = 2 ** (len(vae.config.block_out_channels) - 1)
        self.discriminator = discriminator().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def _encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures in [-1, 1], and the means of their latents."""
        x = (2.0 * image - 1.0).to(memory_format=torch.channels_last)
        return x, self.vae.encode(x).latent_dist.mode()

    @torch.no_grad()
    def _predicted(self, latent: Tensor, captions: list[str]) -> Tensor:
        """Latents, a share of which the diffusion model has drawn."""
        [model] = self._model = [self._model[0].to(self.device)]
        # Spread over the batch, of which the end of the training sees the first rows alone.
        before = (self.drawn * torch.arange(len(latent) + 1)).floor()
        rows = before.diff().nonzero().flatten().tolist()
        if not rows:
            return latent
        scale, shift = model.scale_and_shift
        clean = (latent[rows] - shift) * scale
        grid = model.time_grid(NODES, model.size)
        first = len(grid) - max(1, round(self.until * len(grid)))
        picked = torch.randint(first, len(grid), (len(rows),)).tolist()
        node = Node.stack([grid[i] for i in picked])
        noisy = Denoised(clean, torch.randn_like(clean)).at(node.alpha, node.sigma)
        cond = model.embed([captions[row] for row in rows], model.size)
        mixed = latent.clone()
        mixed[rows] = model.denoise(noisy, node, cond).x0 / scale + shift
        return mixed

    def _seen(self, batch: SceneBatch) -> tuple[Tensor, Tensor, Tensor]:
        """What a step sees of a batch: pictures or windows of them in [-1, 1], their latents, and
        the things' boxes.
        """
        done = 0.0
        if self.crop is not None:
            done = self.global_step / self.trainer.estimated_stepping_batches
        image, box = batch["image"], batch["box"]
        if not self._model:
            image, box = windows_then_whole(image, box, self.crop, done, self.whole)
            return *self._encode(image), box
        # The model draws whole pictures; their latents go through the cutting as further channels.
        x, latent = self._encode(image)
        large = F.interpolate(self._predicted(latent, batch["caption"]), scale_factor=self.stride)
        both = torch.cat([x, large], dim=1)
        both, box = windows_then_whole(both, box, self.crop, done, self.whole, self.stride)
        x = both[:, :3].contiguous(memory_format=torch.channels_last)
        return x, both[:, 3:, :: self.stride, :: self.stride], box

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The losses of decoder and discriminator; neither's gradient reaches the other."""
        x, latent, box = self._seen(batch)
        most = self.latent_noise / self.vae.config.scaling_factor
        spread = most * torch.rand(len(x), 1, 1, 1, device=self.device)
        y = self.vae.decode(latent + spread * torch.randn_like(latent)).sample
        reconstruction = reconstruction_loss(y, x, box, self.edge_weight, self.thing_weight)
        reconstruction = reconstruction + self.corner_weight * corner_loss(y, x)
        self.discriminator.requires_grad_(False)
        adversarial = -self.discriminator(y).mean()
        self.discriminator.requires_grad_(True)
        balance = self._slope(reconstruction) / (self._slope(adversarial) + 1e-12)
        real, made = self.discriminator(x), self.discriminator(y.detach())
        hinge = F.relu(1.0 - real).mean() + F.relu(1.0 + made).mean()
        self.log_dict(
            {"train/reconstruction": reconstruction, "train/discriminator": hinge}, prog_bar=True
        )
        return reconstruction + self.adversarial_weight * balance * adversarial + hinge

    def _slope(self, loss: Tensor) -> Tensor:
        """The norm of the loss's gradient at the decoder's last layer."""
        [slope] = torch.autograd.grad(loss, self.vae.decoder.conv_out.weight, retain_graph=True)
        return slope.norm()

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs `val/l1`, as the autoencoder's task does, and `val/contrast`, the share of the
        pictures' finest contrast that is kept.
        """
        x, latent = self._encode(batch["image"])
        y = self.vae.decode(latent).sample.clamp(-1.0, 1.0)
        found = {
            "val/l1": (y - x).abs().mean(),
            "val/contrast": fine_contrast(y) / fine_contrast(x),
        }
        self.log_dict(found, prog_bar=True, batch_size=len(x))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon, Adam for the discriminator, one cycle over the run."""
        learning = [(n, weight) for n, weight in self.named_parameters() if weight.requires_grad]
        optimizer = Muon(learning, self.learning_rate, adam=("discriminator.",), betas=(0.5, 0.9))
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)

    def on_fit_end(self) -> None:
        """Exports `vae/`."""
        if self.trainer.is_global_zero:
            save_part(self.vae, self.folder)


def discriminator(channels: int = 48) -> nn.Sequential:
    """Scores pictures (B, 3, H, W) by patches, (B, 1, H/4, W/4): high where they look true."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 1, 1), nn.LeakyReLU(0.2)]
    width = channels
    for out, kernel, stride in ((channels, 4, 2), (2 * channels, 4, 2), (2 * channels, 3, 1)):
        layers += [
            nn.Conv2d(width, out, kernel, stride, 1),
            nn.GroupNorm(8, out),
            nn.LeakyReLU(0.2),
        ]
        width = out
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 3, 1, 1))
