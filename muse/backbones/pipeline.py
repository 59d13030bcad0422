"""What all models of the diffusers folder layout share: loading, memory, and the autoencoder."""

from __future__ import annotations

import copy
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn
from torch.nn import functional as F

from muse.backbones.base import Backbone, Size
from muse.backbones.embeddings import add_embeddings
from muse.backbones.features import module_outputs
from muse.backbones.loading import load_pipeline, load_tiny, own_tiny
from muse.backbones.loras import add_loras
from muse.backbones.options import hub_options, several
from muse.backbones.swaps import put_autoencoder, put_scheduler
from muse.backbones.weighting import Weighting, plain_text
from muse.core.types import Cond, Denoised, MuseError, Node
from muse.schedulers import DDIM, DPMSolver2M, Solver

DtypeName: TypeAlias = Literal["float32", "bfloat16", "float16"]
OURS: dict[str, type[Solver]] = {
    "DDIMScheduler": DDIM,
    "DPMSolverMultistepScheduler": DPMSolver2M,
    "EulerDiscreteScheduler": DDIM,
    "FlowMatchEulerDiscreteScheduler": DDIM,
}
"""diffusers' schedulers whose step from node to node is that of a solver of ours."""
PLAIN = {
    "solver_order": 2,
    "solver_type": "midpoint",
    "algorithm_type": "dpmsolver++",
    "lower_order_final": True,
    "euler_at_final": False,
    "thresholding": False,
    "clip_sample": False,
    "stochastic_sampling": False,
}
"""Settings with which it is, where a scheduler has them."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class PipelineBackbone(Backbone):
    """A diffusers pipeline as a backbone; a subclass says how the model is conditioned and read.

    Text encoders, denoiser and autoencoder are the pipeline's own modules, and prompts go through
    its own ``encode_prompt``; its loop is not used.

    Args:
        pretrained: a folder of the diffusers layout, a hub id, a single ``.safetensors`` file, or
            ``muse-mini``.
        dtype: of the weights.
        config: the folder or hub id whose configuration a single file goes with, and which gives
            what the file lacks where that is the text encoders; None lets diffusers find it for
            a whole file, which needs the network once.
        text_device: where prompts are encoded, each once. ``model`` keeps the text encoders beside
            the denoiser; with ``offload`` they wait in main memory, and are copied to the model's
            device while they encode; with ``cpu`` they encode there.
        attention_slicing: attend in slices: less memory, slower; of UNets alone.
        gradient_checkpointing: compute activations again on the way back: less memory for inner
            iterations, more arithmetic.
        decoder_tiling: decode large pictures in tiles: less memory, faint seams.
        channels_last: lay the weights of convolutions out so: faster, equal to rounding.
        preview_decoder: a small autoencoder (`AutoencoderTiny`: a folder, hub id or packaged name)
            that guide and similarity look through; None takes the one in the pipeline's folder
            (``preview/``), if there is one, and else the model's own, as ``full`` always does. The
            final picture always comes from the model's own.
        preview_size: shorter side in pixels at which guide and similarity look, by resizing the
            latent; None is the picture's own size.
        variant: of the weights, as ``save_pretrained`` names it (``fp16``); None takes those of
            none, and of a folder that has one variant alone, that one.
        hub: how a hub id is fetched: ``revision`` (of `config` where that is the hub id),
            ``cache_dir``, ``local_files_only``, ``token``.
        lora: LoRAs, ``FILE[:weight]`` each (`muse.backbones.loras`); needs peft.
        embeddings: textual inversions, ``FILE[:word]`` each (`muse.backbones.embeddings`).
        vae: another autoencoder: a folder, hub id or ``.safetensors`` file.
        scheduler: the class of another scheduler of diffusers, made from the config of the
            pipeline's own, whose nodes are taken.
        scheduler_options: settings in place of that config's, such as ``use_karras_sigmas``.
        weighting: ``compel`` reads weights in prompts, ``(dog:1.3)``, and prompts longer than the
            context (`muse.backbones.weighting`); of UNets alone. None encodes a prompt as diffusers
            does.

    Raises:
        MuseError: nothing loadable under that name, a variant that isn't there, files that are no
            whole weights or would have to be unpickled, a package that is needed, attention slicing
            of a denoiser that has none, a model that was trained under an EDM scheduler, a preview
            decoder or a part of the user's own that doesn't fit, or a preview size that isn't
            allowed.
    """

    pipeline_class: ClassVar[type[DiffusionPipeline]]
    """The diffusers pipeline that it stands for, as ``model_index.json`` names it."""
    denoiser: ClassVar[str] = "unet"
    """The name of the pipeline's component that denoises."""
    model: Any
    """It: the denoiser."""
    vae: Any
    """The autoencoder."""
    schedulers: ClassVar[tuple[str, ...]]
    """Classes of diffusers whose nodes are known."""
    weighs: ClassVar[bool] = False
    """Whether it has a use for `weighting`: its text encoders are CLIP's alone."""
    inner: ClassVar[bool] = False
    """Whether it reads the text encoders' last but one states, as they are."""

    def __init__(
        self,
        pretrained: str,
        dtype: DtypeName = "float32",
        config: str | None = None,
        text_device: Literal["model", "offload", "cpu"] = "model",
        attention_slicing: bool = False,
        gradient_checkpointing: bool = False,
        decoder_tiling: bool = False,
        channels_last: bool = True,
        preview_decoder: str | None = None,
        preview_size: int | None = None,
        variant: str | None = None,
        hub: dict[str, Any] | None = None,
        lora: str | list[str] | None = None,
        embeddings: str | list[str] | None = None,
        vae: str | None = None,
        scheduler: str | None = None,
        scheduler_options: dict[str, Any] | None = None,
        weighting: Literal["compel"] | None = None,
    ) -> None:
        super().__init__()
        self.pretrained = pretrained = os.fspath(pretrained)
        fetching = hub_options(hub)
        pipeline = load_pipeline(
            self.pipeline_class,
            pretrained,
            DTYPES[dtype],
            config,
            self.denoiser,
            variant,
            **self.load_options,
            **fetching,
        )
        fetching.pop("revision", None)  # the model's
        if type(pipeline.scheduler).__name__.startswith("EDM"):
            raise MuseError(
                f"{pretrained!r} was trained under an {type(pipeline.scheduler).__name__}, which "
                "no other scheduler can stand in for, and isn't supported. Give another model."
            )
        if vae is not None:
            put_autoencoder(pipeline, vae, DTYPES[dtype], config or pretrained, fetching)
        if scheduler is not None or scheduler_options:
            put_scheduler(pipeline, scheduler, scheduler_options, self.schedulers)
        if lora:
            add_loras(pipeline, several(lora), fetching)
        if embeddings:
            add_embeddings(pipeline, several(embeddings), fetching)
        self.weighting = self._weighting(weighting)
        # The pipeline is kept for its encode_prompt alone, outside of torch's module tree.
        self._pipeline: list[Any] = [pipeline]
        parts = {k: v for k, v in pipeline.components.items() if isinstance(v, nn.Module)}
        self.model = parts.pop(self.denoiser)
        # Without accelerate, diffusers leaves some models in the dtype of their file.
        if any(weight.dtype != DTYPES[dtype] for weight in self.model.parameters()):
            self.model.to(DTYPES[dtype])
        self.vae = parts.pop("vae")
        texts = {name: part for name, part in parts.items() if name.startswith("text_encoder")}
        self.text_encoders = nn.ModuleDict(texts if text_device == "model" else {})
        self._waiting = texts if text_device == "offload" else {}  # outside, too: they stay
        self._encode_on_cpu = text_device == "cpu"
        kind = type(pipeline.scheduler).__name__
        self.scheduler_config = {**pipeline.scheduler.config, "_class_name": kind}
        if attention_slicing:
            if not hasattr(self.model, "set_attention_slice"):
                raise MuseError(
                    f"attention_slicing = true does nothing for a {type(self.model).__name__}. "
                    "Leave it out; gradient_checkpointing needs less memory too."
                )
            pipeline.enable_attention_slicing()
        if gradient_checkpointing:
            self.model.enable_gradient_checkpointing()
            self.vae.enable_gradient_checkpointing()
        if decoder_tiling:
            self.vae.enable_tiling()
        self.preview_vae = None
        preview_decoder = preview_decoder or own_tiny(pretrained)
        if preview_decoder not in (None, "full"):
            self.preview_vae = load_tiny(preview_decoder, DTYPES[dtype], **fetching)
            found, wanted = (v.config.latent_channels for v in (self.preview_vae, self.vae))
            if found != wanted:
                raise MuseError(
                    f"preview_decoder {preview_decoder!r} reads latents of {found} channels, the "
                    f"model's have {wanted}. Give the tiny autoencoder made for this model."
                )
        if channels_last:
            for part in (self.model, self.vae, self.preview_vae):
                if part is not None:
                    part.to(memory_format=torch.channels_last)
        self.preview_size = preview_size
        if preview_size is not None:
            self.latent_shape((preview_size, preview_size))

    def _weighting(self, given: str | None) -> Weighting | None:
        if given is None:
            return None
        if not self.weighs:
            raise MuseError(
                f"weighting = {given!r} is for CLIP's text encoders alone, and "
                f"{type(self).__name__} reads T5. Leave it out."
            )
        return Weighting(self.inner)

    @property
    def pipeline(self) -> Any:
        """The diffusers pipeline, for what it says about its own model."""
        return self._pipeline[0]

    @property
    def load_options(self) -> dict[str, Any]:
        """More for diffusers' loading, such as components to leave out."""
        return {}

    @property
    def factor(self) -> int:
        """Pixels per latent pixel."""
        return int(self.pipeline.vae_scale_factor)

    @property
    def multiple(self) -> int:
        """What the sides of pictures are multiples of, in pixels."""
        return self.factor * int(self.model.config.get("patch_size", 1))

    @property
    def text_device(self) -> torch.device:
        """Where prompts are encoded."""
        device: torch.device = self.model.device
        return torch.device("cpu") if self._encode_on_cpu else device

    @torch.no_grad()
    def encode_prompt(self, prompts: Sequence[str], **options: Any) -> list[Any]:
        """What the pipeline's own ``encode_prompt`` makes of B prompts, on the model's device.

        Args:
            prompts: B texts.
            options: for that method.
        """
        with self._encoders_there():
            found = self.pipeline.encode_prompt(list(prompts), device=self.text_device, **options)
        return [value if value is None else value.to(self.model.device) for value in found]

    def words(self, prompt: str) -> str:
        """Without weights, where these are read."""
        return prompt if self.weighting is None else plain_text(prompt)

    @torch.no_grad()
    def weighted_tokens(self, prompts: Sequence[str], ending: str = "") -> Tensor:
        """Embeddings of B prompts with weights by one text encoder, (B, n L, d), on the model's
        device (`muse.backbones.weighting.Weighting.tokens`).
        """
        assert self.weighting is not None
        with self._encoders_there():
            found = self.weighting.tokens(self.pipeline, prompts, self.text_device, ending)
        return found.to(self.model.device)

    @torch.no_grad()
    def weighted_pooled(self, prompts: Sequence[str], ending: str) -> Tensor:
        """The pooled vectors of B prompts with weights, (B, p), on the model's device
        (`muse.backbones.weighting.Weighting.pooled`).
        """
        assert self.weighting is not None
        with self._encoders_there():
            found = self.weighting.pooled(self.pipeline, prompts, self.text_device, ending)
        return found.to(self.model.device)

    @contextmanager
    def _encoders_there(self) -> Iterator[None]:
        """Copies of the text encoders that wait, where prompts are encoded. Nothing is ever copied
        back: the weights are frozen.
        """
        try:
            for name, encoder in self._waiting.items():
                there = self.text_device
                moved: dict[int, Any] = {id(b): b.to(there) for b in encoder.buffers()}
                for weight in encoder.parameters():
                    moved[id(weight)] = nn.Parameter(weight.to(there), requires_grad=False)
                setattr(self.pipeline, name, copy.deepcopy(encoder, moved))
            yield
        finally:
            for name, encoder in self._waiting.items():
                setattr(self.pipeline, name, encoder)

    @property
    def size(self) -> Size:
        """The size that the denoiser was trained for."""
        side = self.model.config.sample_size * self.factor
        return (side, side)

    def latent_shape(self, size: Size) -> tuple[int, ...]:
        """(channels, height / factor, width / factor).

        Raises:
            MuseError: a side that isn't a `multiple`.
        """
        if any(side < self.multiple or side % self.multiple for side in size):
            raise MuseError(
                f"size = {list(size)} is not allowed. Use multiples of {self.multiple}."
            )
        return (self.vae.config.latent_channels, *(side // self.factor for side in size))

    @cached_property
    def feature_names(self) -> Sequence[str]:
        """The names of the denoiser's modules."""
        return [name for name, _ in self.model.named_modules() if name]

    def denoise_with(
        self, x: Tensor, node: Node, cond: Cond, take: Sequence[str], give: Mapping[str, Tensor]
    ) -> tuple[Denoised, dict[str, Tensor]]:
        """Features are what the denoiser's modules put out (`muse.backbones.features`)."""
        with module_outputs(self.model, take, give) as taken:
            return self.denoise(x, node, cond), taken

    def solver(self) -> Solver:
        """The pipeline's own scheduler, as ours.

        Raises:
            MuseError: it is none of ours.
        """
        config = self.scheduler_config
        name = config["_class_name"]
        kind = OURS.get(name)
        if kind is not None and all(
            config.get(option, value) == value for option, value in PLAIN.items()
        ):
            return kind()
        raise MuseError(
            f"The scheduler of {self.pretrained!r}, a {name} with these settings, is none of ours. "
            "Leave scheduler out (DDIM), or use DPMSolver2M."
        )

    def extend(self, cond: Cond, tokens: Tensor) -> Cond:
        """Append emotion tokens (B, M, d) after the text's; all else of the condition stays."""
        return {**cond, "tokens": torch.cat([cond["tokens"], tokens.to(cond["tokens"])], dim=1)}

    @property
    def scale_and_shift(self) -> tuple[float | Tensor, float | Tensor]:
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
        scaled = (latent / scale + shift).to(self.vae.dtype)
        return self.vae.decode(scaled).sample.to(latent) / 2 + 0.5

    def preview(self, latent: Tensor) -> Tensor:
        """As `decode`, at the preview's size and through the preview's decoder."""
        if self.preview_size is not None:
            scale = self.preview_size // self.factor / min(latent.shape[-2:])
            sides = [round(side * scale) for side in latent.shape[-2:]]
            latent = F.interpolate(latent, sides, mode="bilinear", antialias=True)
        if self.preview_vae is None:
            return self.decode(latent)
        # A tiny autoencoder reads the denoiser's own latents, neither scaled nor shifted. Its
        # `forward` would quantise them, without gradients.
        image: Tensor = self.preview_vae.decode(latent.to(self.preview_vae.dtype)).sample
        return image.to(latent) / 2 + 0.5

    @abstractmethod
    def remarks(self, prompt: str) -> list[str]:
        """What the tokenizer cuts off or doesn't know."""
