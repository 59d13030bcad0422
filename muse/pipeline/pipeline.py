"""`MusePipeline`: the sampler behind a call like those of diffusers' pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from itertools import chain
from os import PathLike
from typing import Any, Self

import torch
from torch import Tensor

from muse.backbones import Backbone
from muse.core.errors import check_choice, check_counts, check_number
from muse.core.jobs import Job
from muse.core.memory import memory_told
from muse.core.types import MuseError
from muse.guides import Guide, Similarity
from muse.latents import LatentSource
from muse.losses import EmotionLoss, MultiEmotionLoss
from muse.pipeline.embeds import condition, rows_of
from muse.pipeline.inputs import (
    Emotion,
    Generators,
    ImageInput,
    _GivenLatents,
    _NoGuide,
    broadcast,
    generators_of,
    in_memory,
    masks_of,
    noise_of,
    pictures_of,
    prompts_of,
    seeds_of,
    size_of,
    targets_of,
)
from muse.pipeline.loading import load
from muse.pipeline.outputs import OUTPUT_TYPES, MusePipelineOutput, OutputType, images_of
from muse.pipeline.running import Callback, StepEnds, run
from muse.presets import OWN
from muse.presets.building import preset
from muse.sampling import Sampler
from muse.schedulers import StepWindow, TimingPolicy
from muse.steering import Steering

PARTS = ("guide", "similarity", "steering", "timing", "loss")
NAMED = {"backbone", "latents", "steps", "guidance_scale", "negative_prompt", "size"}
"""The sampler's parameters that a call has by other names, or the pipeline holds."""
MINI = {"guide", "similarity", "timing", "loss", "guidance_scale", "longest_rest", "look_until"}
"""What the preset `default` says for muse-mini alone: its weights, what was measured on them, and
what was found to be near enough there.
"""


class MusePipeline:
    """Pictures with an emotion, from Python: the names and meanings of diffusers' pipelines, the
    rows of `muse.sampling.sampler.Sampler`.

    A part that is left out is muse-mini's own, by the preset ``default``. Another model has no
    guide until one is given, is steered as the presets and the configurations of large models say
    (``presets/shift.yaml``, in as many iterations and to the same loss), by the paper's loss, and
    starts after a fifth of the steps, because a threshold belongs to its CLIP (so it does on
    muse-mini with another similarity). The parts are attributes and may be replaced between calls.

    Example::

        import torch
        from muse import MusePipeline

        pipe = MusePipeline.from_pretrained("muse-mini")
        made = pipe("a dog in a park", emotion="awe", generator=torch.Generator().manual_seed(3))
        made.images[0].save("dog.png")
        print(made.probabilities[0]["awe"], made.start_steps[0])

    Args:
        backbone: the diffusion model.
        guide: the emotion classifier that steers; none is needed for plain pictures.
        similarity: of a picture to its prompt; needed where timing or loss reads it.
        steering: HOW, in pictures from noise and in edits.
        timing: WHEN, in both.
        loss: WHICH.
    """

    def __init__(
        self,
        backbone: Backbone,
        guide: Guide | None = None,
        similarity: Similarity | None = None,
        steering: Steering | None = None,
        timing: TimingPolicy | None = None,
        loss: EmotionLoss | None = None,
    ) -> None:
        parts = zip(PARTS, (guide, similarity, steering, timing, loss), strict=True)
        given = {name for name, part in parts if part is not None}
        if similarity is not None:  # thresholds on another one mean nothing
            given |= {"timing", "loss"}
        own = OWN.get(getattr(backbone, "pretrained", ""))
        if own is None:
            given |= MINI
        noise, edits = own or ("default", "edit")
        default = preset(noise, without={"backbone", "latents", *given})
        edit = preset(edits, without={"backbone", "guide", "similarity", "loss"})
        self.backbone = backbone
        self.guide: Guide | None = guide or default.pop("guide", None)
        self.similarity: Similarity | None = similarity or default.pop("similarity", None)
        self.steering: Steering = steering or default.pop("steering")
        self.timing: TimingPolicy | None = timing or default.pop("timing", None)
        self.loss: EmotionLoss = loss or default.pop("loss", None) or MultiEmotionLoss()
        self.edit_steering: Steering = steering or edit.pop("steering")
        self.inversion = edit.pop("latents")
        self.edit_timing: TimingPolicy = timing or edit.pop("timing")
        self.options = {name: default[name] for name in default if name not in PARTS}
        self.edit_options = {name: edit[name] for name in edit if name not in PARTS}
        self.show_progress = True
        self._interrupt = False

    @classmethod
    @memory_told()
    def from_pretrained(
        cls,
        pretrained: str = "muse-mini",
        guide: Guide | None = None,
        similarity: Similarity | None = None,
        steering: Steering | None = None,
        timing: TimingPolicy | None = None,
        loss: EmotionLoss | None = None,
        dtype: str | torch.dtype = "float32",
        torch_dtype: str | torch.dtype | None = None,
        variant: str | None = None,
        revision: str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **options: Any,
    ) -> Self:
        """Load a model with its backbone, as its ``model_index.json`` says.

        Args:
            pretrained: a folder of the diffusers layout, a hub id, or ``muse-mini``.
            guide, similarity, steering, timing, loss: as for the class.
            dtype: of the model's weights: float32, bfloat16 or float16.
            torch_dtype: another name for `dtype`.
            variant: of the weights, such as ``fp16``; a folder that has one alone needs none.
            revision, cache_dir, local_files_only, token: how a hub id is fetched, as in diffusers.
            options: more for the backbone's constructor, such as ``decoder_tiling``.

        Raises:
            MuseError: nothing loadable under that name, an unknown dtype or option, or out of
                memory.
        """
        hub = {
            "revision": revision,
            "cache_dir": None if cache_dir is None else str(cache_dir),
            "local_files_only": local_files_only or None,
            "token": token,
        }
        if variant is not None:
            options["variant"] = variant
        named = set(signature(cls.from_pretrained).parameters) - {"options"}
        backbone = load(pretrained, named, dtype, torch_dtype, hub, options)
        return cls(backbone, guide, similarity, steering, timing, loss)

    @memory_told()
    def to(
        self, device: torch.device | str | torch.dtype, dtype: torch.dtype | None = None
    ) -> Self:
        """Move model and parts to a device; the pipeline itself. Text encoders that were loaded
        with ``text_device="cpu"`` stay there.

        Raises:
            MuseError: a dtype, which belongs to loading (some weights need a wider one than the
                others, and the guide's stay in float32), or out of memory.
        """
        cast = device if isinstance(device, torch.dtype) else dtype
        if cast is not None:
            name = str(cast).removeprefix("torch.")
            raise MuseError(
                f"dtype = {name} is not allowed here: a loaded model isn't cast. Load it so: "
                f"MusePipeline.from_pretrained(..., dtype={name!r})."
            )
        for name in ("backbone", *PARTS, "edit_steering", "edit_timing", "inversion"):
            part = getattr(self, name)
            if part is not None:
                part.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        weights = chain(self.backbone.parameters(), self.backbone.buffers())
        return next(weights, torch.empty(0)).device

    @property
    def interrupt(self) -> bool:
        """Whether the call in progress takes no more steps: a callback has set ``_interrupt``, as
        for diffusers' pipelines.
        """
        return self._interrupt

    def set_progress_bar_config(self, disable: bool = False) -> None:
        """Show a progress bar during calls, or not."""
        self.show_progress = not disable

    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        emotion: Emotion | Sequence[Emotion] = None,
        image: ImageInput | None = None,
        latents: Tensor | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float | None = None,
        negative_prompt: str | Sequence[str] | None = None,
        num_images_per_prompt: int = 1,
        height: int | None = None,
        width: int | None = None,
        generator: Generators = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        slots: int = 8,
        mask_image: ImageInput | None = None,
        **options: Any,
    ) -> Any:
        """Make pictures, or edit them where an `image` is given.

        Prompts, emotions, images and negative prompts may be lists; one of a kind serves for all
        pictures. Nothing of a picture depends on its neighbours, but for what a shared `generator`
        draws.

        Args:
            prompt: what a picture shows; of an edit, what its source shows. Beside `prompt_embeds`
                it is what similarity and records read.
            emotion: a name, a mixture (``"awe:0.7,fear:0.3"``, or a mapping), or None for the plain
                model; ``"awe@0.6"`` says how strongly, as the option ``intensity`` does for all.
            image: to edit: Pillow images of any size and mode, or tensors (B, 3, H, W) in [0, 1].
                Sampling starts from its DDIM inversion, with the remedies of the preset ``edit``.
            latents: x_T, (B, ...) or (1, ...) for all, instead of noise from the generator.
            num_inference_steps: sampling steps.
            guidance_scale: of classifier-free guidance; None is the preset's for muse-mini (4), for
                others that of the model's diffusers pipeline (7.5 for Stable Diffusion; 1, which is
                none, for FLUX, whose distilled one is an option of its backbone), and 1 in edits,
                where guidance acts on what steering adds alone (``emotion_scale``).
            negative_prompt: for the unconditional branch; None is the empty one.
            num_images_per_prompt: how many of each.
            height, width: in pixels; None takes the model's own.
            generator: draws x_T as diffusers does: one generator draws that of all pictures, of a
                list each draws its own; None is torch's own, on the CPU. The emotion tokens start
                from its seed: ``torch.Generator().manual_seed(3)`` is ``muse generate --seed 3``.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``, see `MusePipelineOutput`.
            return_dict: False returns (images, traces, probabilities).
            callback_on_step_end: called after every step of every row (rows step apart, so it sees
                one at a time) as ``callback(pipe, step, timestep, {"latents": (1, ...), "row":
                index})``; may return ``{"latents": ...}`` to go on with others, and set
                ``pipe._interrupt = True`` to end all rows here, each with the picture so far.
            callback_on_step_end_tensor_inputs: what it is given: ``latents`` or nothing.
            slots: how many pictures share a model call; it changes memory and speed.
            mask_image: white where the emotion may act: Pillow images of the pictures' proportions,
                or tensors (B, 1, H, W) in [0, 1]. Outside an edit is its source, and any other
                picture its plain twin; the option ``mask_view`` says what the guide looks at.
            options: any other option of `muse.sampling.Sampler`, for this call:
                ``intensity``, ``emotion_scale``, ``max_iterations``, ``timing``, ... And prompts as
                embeddings, in diffusers' names: ``prompt_embeds`` (B, L, d),
                ``negative_prompt_embeds`` and, where the model has such, ``pooled_prompt_embeds``,
                ``prompt_attention_mask`` and their negatives.

        Returns:
            `MusePipelineOutput`.

        Raises:
            MuseError: an option out of range or of another type, lists that don't go together, an
                emotion without a guide, a picture that failed, or out of memory.

        Warns:
            UserWarning: words of a prompt that the model can't read; pictures never steered.
        """
        self._interrupt = False
        check_choice("output_type", output_type, OUTPUT_TYPES)
        check_counts(num_inference_steps=num_inference_steps, slots=slots)
        check_counts(num_images_per_prompt=num_images_per_prompt)
        if guidance_scale is not None:
            check_number("guidance_scale", guidance_scale)
        size = size_of(self.backbone.size, height, width)
        embeds, null_embeds = rows_of(options, ""), rows_of(options, "negative_")
        if prompt is None and embeds == [None]:
            raise MuseError("There is no prompt. Give one, or prompt_embeds.")
        for name in options:
            check_choice("option", name, sorted(set(signature(Sampler).parameters) - NAMED))
        if image is not None and latents is not None:
            raise MuseError("image and latents don't go together. Give one of them to start from.")
        if image is not None and not self.backbone.reads_pictures:
            raise MuseError(f"{type(self.backbone).__name__} has points. Leave the image out.")
        if mask_image is not None and self.backbone.has_points:
            raise MuseError(f"{type(self.backbone).__name__} has points. Leave mask_image out.")
        columns = broadcast(
            prompt=prompts_of("" if prompt is None else prompt),
            emotion=targets_of(emotion),
            image=[None] if image is None else pictures_of(image, size),
            mask_image=[None] if mask_image is None else masks_of(mask_image),
            negative_prompt=prompts_of(negative_prompt or "", "negative_prompt"),
            prompt_embeds=embeds,
            negative_prompt_embeds=null_embeds,
        )
        prompts, targets, pictures, masks, negatives, embeds, null_embeds = (
            [entry for entry in column for _ in range(num_images_per_prompt)] for column in columns
        )
        generators = generators_of(generator, len(prompts))
        seeds = seeds_of(generators, len(prompts))
        columns_of_rows = zip(prompts, targets, seeds, negatives, strict=True)
        jobs = [
            Job(f"row-{row}", prompt, target, seed, negative_prompt=negative, intensity=intensity)
            for row, (prompt, (target, intensity), seed, negative) in enumerate(columns_of_rows)
        ]
        rows = {job.id: row for row, job in enumerate(jobs)}
        source: LatentSource
        laid = {
            name: mask.fitted(size, None if image is None else picture[1])
            for name, mask, picture in zip(rows, masks, pictures, strict=True)
            if mask is not None
        }
        if image is None:
            shape = (len(prompts), *self.backbone.latent_shape(size))
            noise = noise_of(latents, shape, generators, self.device).split(1)
            source = _GivenLatents(dict(zip(rows, noise, strict=True)), laid)
            timing = self.timing or StepWindow(0.2)
            options = {"timing": timing, **self.options, **options}
        else:
            shown = {name: picture for name, (picture, _) in zip(rows, pictures, strict=True)}
            source = in_memory(self.inversion, shown, laid, lambda: self.interrupt)
            parts = {"steering": self.edit_steering, "timing": self.edit_timing}
            options = {**parts, **self.edit_options, **options}
        if guidance_scale is not None:
            options["guidance_scale"] = guidance_scale
        options = {name: getattr(self, name) for name in PARTS} | options
        steered = any(target for target, _ in targets)
        if torch.is_inference_mode_enabled() and steered:
            raise MuseError("Steering needs gradients. Call it outside of torch.inference_mode().")
        if options["guide"] is None and steered:
            raise MuseError(
                "There is no guide to steer to an emotion. Give one, such as MusePipeline."
                "from_pretrained(..., guide=EmoGen(...)), or emotion=None for the plain model."
            )
        with memory_told():  # parts that were put in since the model was moved follow it
            sampler = Sampler(
                self.backbone,
                latents=source,
                steps=num_inference_steps,
                size=size,
                **{**options, "guide": options["guide"] or _NoGuide()},
            ).to(self.device)
        if prompt is None and steered and sampler.answers.similarity is not None:
            raise MuseError(
                "Timing or loss compares pictures with the prompt. Give it too, beside "
                "prompt_embeds: a text."
            )
        for negative, kind, column in ((False, "", embeds), (True, "negative_", null_embeds)):
            for job, given in zip(jobs, column, strict=True):
                if given is not None:
                    like = sampler.prompts("", negative, size)
                    sampler.prompts.give(job, condition(given, like, kind), negative)
        watched = callback_on_step_end_tensor_inputs
        step_ends = StepEnds(self, callback_on_step_end, watched, sampler, rows)
        results = run(sampler, jobs, slots, step_ends, self.show_progress)
        made = MusePipelineOutput(
            images_of(self.backbone, results, output_type),
            [result.trace for result in results],
            [result.probabilities if options["guide"] else {} for result in results],
        )
        return made if return_dict else (made.images, made.traces, made.probabilities)
