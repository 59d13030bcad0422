"""Learning which caption belongs to which picture."""

from pathlib import Path

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTextModel

from muse.core.types import MuseError
from muse.mini.augment import degrade
from muse.mini.data import SceneBatch
from muse.mini.export import save_clip, save_part
from muse.mini.optimizing import Muon, with_one_cycle
from muse.mini.tokenizer import CONTEXT, save_tokenizer
from muse.pretrained.clip import Clip
from muse.tasks.beginning import check_widths, load_part
from muse.tasks.resuming import Resumable


class Contrastive(Resumable):
    r"""Trains a small `CLIPModel`; exports `clip/`, `text_encoder/`, `tokenizer/`.

    The loss is CLIP's symmetric cross-entropy over the batch at a learned temperature (Radford et
    al. 2021), with equal captions of a batch all counted as right:
    :math:`-\sum_j t_{ij} \log softmax_j(\tau \cos(I_i, T_j))`, t uniform over the equal ones.
    As in Stable Diffusion, its text tower is the text encoder of the diffusion model.

    Args:
        pipeline_dir: the pipeline's folder.
        image_width, image_layers: of the picture's transformer (patches of 8x8).
        text_width, text_layers: of the text's transformer.
        projection_dim: width of the common space.
        learning_rate: peak of the one-cycle schedule (Muon).
        start: the folder of a `CLIPModel` to begin with, whose text tower stays as it is (locked
            as in Zhai et al. 2022, the other tower): diffusion models of that text encoder go on
            with this one. Its sizes are taken in place of the ones above. None: both towers begin
            with random weights.

    Raises:
        MuseError: there is no CLIP at `start`, or it speaks another vocabulary.
    """

    def __init__(
        self,
        pipeline_dir: str,
        image_width: int = 192,
        image_layers: int = 4,
        text_width: int = 160,
        text_layers: int = 3,
        projection_dim: int = 192,
        learning_rate: float = 1.5e-3,
        start: str | None = None,
    ) -> None:
        super().__init__()
        check_widths("image_width and text_width", [image_width, text_width], 32)
        self.save_hyperparameters()
        self.pipeline_dir = Path(pipeline_dir)
        self.learning_rate = learning_rate
        tokenizer = save_tokenizer(self.pipeline_dir / "tokenizer")
        config = CLIPConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": text_width,
                "intermediate_size": 4 * text_width,
                "num_hidden_layers": text_layers,
                "num_attention_heads": text_width // 32,
                "max_position_embeddings": CONTEXT,
                "bos_token_id": tokenizer.bos_token_id,
                "eos_token_id": tokenizer.eos_token_id,
                "pad_token_id": tokenizer.pad_token_id,
                "projection_dim": projection_dim,
            },
            vision_config={
                "hidden_size": image_width,
                "intermediate_size": 4 * image_width,
                "num_hidden_layers": image_layers,
                "num_attention_heads": image_width // 32,
                "image_size": 64,
                "patch_size": 8,
                "projection_dim": projection_dim,
            },
            projection_dim=projection_dim,
        )
        model = CLIPModel(config) if start is None else self._locked(start, len(tokenizer))
        self.clip = Clip(model, tokenizer)

    def _locked(self, start: str, vocabulary: int) -> CLIPModel:
        """The model to begin with, its text's side frozen."""
        model: CLIPModel = load_part(CLIPModel, start, dtype=torch.float32)
        size = model.config.text_config.vocab_size
        if size != vocabulary:
            raise MuseError(
                f"the CLIP to begin with ({start}) knows {size} words; muse-mini's know "
                f"{vocabulary}: begin with one that this task has made."
            )
        model.text_model.requires_grad_(False)
        model.text_projection.requires_grad_(False)
        return model

    def _loss(self, image: Tensor, captions: list[str]) -> tuple[Tensor, Tensor]:
        pictures = F.normalize(self.clip.image(image).float(), dim=-1)
        texts = F.normalize(self.clip.text(captions).float(), dim=-1)
        logits = self.clip.model.logit_scale.exp().clamp(max=100.0) * pictures @ texts.T
        same = torch.tensor([[a == b for b in captions] for a in captions], device=self.device)
        target = same / same.sum(-1, keepdim=True)
        loss = 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
        right = same.gather(1, logits.argmax(-1, keepdim=True)).float().mean()
        return loss, right

    def training_step(self, batch: SceneBatch) -> Tensor:
        """The loss of one batch of slightly damaged pictures."""
        loss, right = self._loss(degrade(batch["image"]), batch["caption"])
        self.log_dict({"train/loss": loss, "train/retrieval": right}, prog_bar=True)
        return loss

    def validation_step(self, batch: SceneBatch) -> None:
        """Logs loss and the share of pictures whose nearest caption of the batch is theirs."""
        loss, right = self._loss(batch["image"], batch["caption"])
        self.log_dict(
            {"val/loss": loss, "val/retrieval": right},
            prog_bar=True,
            batch_size=len(batch["image"]),
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon, one cycle over the run; embeddings by Adam."""
        weights = [
            (n, weight) for n, weight in self.clip.named_parameters() if weight.requires_grad
        ]
        optimizer = Muon(weights, self.learning_rate, adam=("embedding",), weight_decay=0.05)
        return with_one_cycle(optimizer, self.trainer.estimated_stepping_batches)

    def on_fit_end(self) -> None:
        """Exports `clip/` and the text tower as `text_encoder/`."""
        if not self.trainer.is_global_zero:
            return
        save_clip(self.clip, self.pipeline_dir / "clip")
        save_part(text_encoder_of(self.clip.model), self.pipeline_dir / "text_encoder")


def text_encoder_of(model: CLIPModel) -> nn.Module:
    """A `CLIPTextModel` with the weights of a CLIP's text tower."""
    encoder = CLIPTextModel(model.config.text_config)
    weights = model.text_model.state_dict()
    keys = set(encoder.state_dict())
    prefix = "text_model." if any(key.startswith("text_model.") for key in keys) else ""
    encoder.load_state_dict({prefix + key: value for key, value in weights.items()})
    return encoder
