"""What all models of the diffusers folder layout share: loading, memory, and the autoencoder."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from diffusers import AutoencoderTiny, DiffusionPipeline
from diffusers.utils import is_accelerate_available
from torch import Tensor, nn
from torch.nn import functional as F

from muse.backbones.base import Backbone, Size
from muse.types import MuseError
from muse.weights import locate

DtypeName: TypeAlias = Literal["float32", "bfloat16", "float16"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class PipelineBackbone(Backbone):
    """A diffusers pipeline as a backbone; a subclass says how the model is conditioned and read.

    Text encoders, denoiser and autoencoder are the pipeline's own modules, and prompts go through
    its own ``encode_prompt``; its loop is not used.

    Args:
        pretrained: a folder of the diffusers layout, a hub id, a single ``.safetensors`` file, or
            ``muse-mini``.
        dtype: of the weights.
        config: the folder or hub id whose configuration a single file goes with; None lets
            diffusers find it, which needs the network once.
        text_device: where prompts are encoded: ``model`` keeps the text encoders beside the
            denoiser, ``cpu`` leaves them in main memory (they run once a prompt).
        attention_slicing: attend in slices: less memory, slower.
        gradient_checkpointing: compute activations again on the way back: less memory for inner
            iterations, about a third slower.
        decoder_tiling: decode large pictures in tiles: less memory, faint seams.
        preview_decoder: a small autoencoder (`AutoencoderTiny`: a folder, hub id or packaged name)
            that guide and similarity look through; None takes the model's own. The final picture
            always comes from the model's own.
        preview_size: height and width in pixels at which guide and similarity look, by resizing
            the latent; None is the picture's own size.

    Raises:
        MuseError: nothing loadable under that name, a file that would have to be unpickled, a
            preview decoder that doesn't fit, or a preview size that isn't allowed.
    """

    pipelines: ClassVar[tuple[str, ...]]
    """The names of the diffusers pipelines that it loads, as in ``model_index.json``; the first
    is the class that does it.
    """
    pipeline_class: ClassVar[type[DiffusionPipeline]]
    """What loads it."""
    denoiser: ClassVar[str] = "unet"
    """The name of the pipeline's component that denoises."""
    model: Any
    """It: the denoiser."""
    vae: Any
    """The autoencoder."""
    load_options: ClassVar[dict[str, Any]] = {}
    """More for diffusers' loading, such as components to leave out."""

    def __init__(
        self,
        pretrained: str,
        dtype: DtypeName = "float32",
        config: str | None = None,
        text_device: Literal["model", "cpu"] = "model",
        attention_slicing: bool = False,
        gradient_checkpointing: bool = False,
        decoder_tiling: bool = False,
        preview_decoder: str | None = None,
        preview_size: int | None = None,
    ) -> None:
        super().__init__()
        self.pretrained = pretrained
        pipeline = load_pipeline(
            self.pipeline_class, pretrained, DTYPES[dtype], config, **self.load_options
        )
        # The pipeline is kept for its encode_prompt alone, outside of torch's module tree.
        self._pipeline: list[Any] = [pipeline]
        parts = {k: v for k, v in pipeline.components.items() if isinstance(v, nn.Module)}
        self.model = parts.pop(self.denoiser)
        self.vae = parts.pop("vae")
        texts = {name: part for name, part in parts.items() if name.startswith("text_encoder")}
        self.text_encoders = nn.ModuleDict(texts if text_device == "model" else {})
        self.scheduler_config = dict(pipeline.scheduler.config)
        if attention_slicing:
            pipeline.enable_attention_slicing()
        if gradient_checkpointing:
            self.model.enable_gradient_checkpointing()
            self.vae.enable_gradient_checkpointing()
        if decoder_tiling:
            self.vae.enable_tiling()
        self.preview_vae = None
        if preview_decoder is not None:
            self.preview_vae = load_tiny(preview_decoder, DTYPES[dtype])
        self.preview_size = preview_size
        if preview_size is not None:
            self.latent_shape((preview_size, preview_size))

    @property
    def pipeline(self) -> Any:
        """The diffusers pipeline, for what it says about its own model."""
        return self._pipeline[0]

    @property
    def factor(self) -> int:
        """Pixels per latent pixel."""
        return int(self.pipeline.vae_scale_factor)

    @property
    def text_device(self) -> torch.device:
        """Where prompts are encoded."""
        return next(self.text_encoders.parameters(), torch.empty(0)).device

    @property
    def size(self) -> Size:
        """The size that the denoiser was trained for."""
        side = self.model.config.sample_size * self.factor
        return (side, side)

    def latent_shape(self, size: Size) -> tuple[int, ...]:
        """(channels, height / factor, width / factor).

        Raises:
            MuseError: a size that the autoencoder's factor doesn't divide.
        """
        if any(side < self.factor or side % self.factor for side in size):
            raise MuseError(f"size = {list(size)} is not allowed. Use multiples of {self.factor}.")
        return (self.model.config.in_channels, *(side // self.factor for side in size))

    @property
    def scale_and_shift(self) -> tuple[float, float]:
        """Of the latents: the denoiser sees (z - shift) * scale."""
        return self.vae.config.scaling_factor, getattr(self.vae.config, "shift_factor", None) or 0.0

    def encode(self, image: Tensor) -> Tensor:
        """The mean of the autoencoder's posterior, shifted and scaled."""
        scale, shift = self.scale_and_shift
        latent = self.vae.encode(image.to(self.vae.dtype) * 2 - 1).latent_dist.mean
        return ((latent - shift) * scale).to(image)

    def decode(self, latent: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in about [0, 1], unclamped."""
        scale, shift = self.scale_and_shift
        scaled = latent.to(self.vae.dtype) / scale + shift
        return self.vae.decode(scaled).sample.to(latent) / 2 + 0.5

    def preview(self, latent: Tensor) -> Tensor:
        """As `decode`, at the preview's size and through the preview's decoder."""
        if self.preview_size is not None:
            side = self.preview_size // self.factor
            latent = F.interpolate(latent, (side, side), mode="bilinear", antialias=True)
        if self.preview_vae is None:
            return self.decode(latent)
        # A tiny autoencoder reads the denoiser's own latents, neither scaled nor shifted. Its
        # `forward` would quantise them, without gradients.
        image: Tensor = self.preview_vae.decode(latent.to(self.preview_vae.dtype)).sample
        return image.to(latent) / 2 + 0.5

    @abstractmethod
    def remarks(self, prompt: str) -> list[str]:
        """What the tokenizer cuts off or doesn't know."""


def load_pipeline(
    cls: type[DiffusionPipeline],
    pretrained: str,
    dtype: torch.dtype,
    config: str | None = None,
    **options: Any,
) -> Any:
    """Load a diffusers pipeline of class `cls` from a folder, a hub id or a single file.

    Raises:
        MuseError: nothing loadable under that name, or weights that only unpickling would read.
    """
    path = locate(pretrained)
    try:
        if Path(path).is_file():
            if Path(path).suffix != ".safetensors":
                raise MuseError(
                    f"{pretrained!r} would have to be unpickled, which can run code. Give a "
                    ".safetensors file, or a folder of the diffusers layout."
                )
            single: Any = cls
            return single.from_single_file(path, config=config, torch_dtype=dtype, **options)
        return cls.from_pretrained(
            path,
            torch_dtype=dtype,
            use_safetensors=True,
            low_cpu_mem_usage=is_accelerate_available(),
            **options,
        )
    except MuseError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MuseError(
            f"No {cls.__name__} under {pretrained!r} ({reason}). Give a folder of the diffusers "
            "layout with safetensors weights, a hub id (needs the network once), a .safetensors "
            "file, or 'muse-mini'."
        ) from error


def load_tiny(name: str, dtype: torch.dtype) -> Any:
    """Load an `AutoencoderTiny` from a folder, a hub id or a packaged name.

    Raises:
        MuseError: there is none under that name.
    """
    try:
        return AutoencoderTiny.from_pretrained(locate(name), torch_dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MuseError(
            f"No AutoencoderTiny under {name!r} ({reason}). Give a folder, or a hub id such as "
            "'madebyollin/taesd' (needs the network once)."
        ) from error
