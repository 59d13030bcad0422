"""Memory and arithmetic of steering at full size, worked out without a GPU and without weights.

python benchmarks/memory.py --models '[sd15,sdxl]' --batches '[1]'

One real inner iteration (prediction, preview, guide, loss, and the way back to the emotion tokens)
and the decoding of the final picture run on torch's meta device, where tensors have a shape and a
dtype and no values. The bytes of all tensors alive at once are added up, and the arithmetic with
them. What a GPU takes beside that is not in it: CUDA itself, the workspaces of its libraries, and
gaps between allocations. Attention counts as torch's memory-saving kernel.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from unittest import mock

import torch
from jsonargparse import auto_cli
from published import PATHS, guide, pipeline, tiny_autoencoder
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from muse.backbones import (
    Flux,
    PipelineBackbone,
    PixArtAlpha,
    StableDiffusion,
    StableDiffusion3,
    StableDiffusionXL,
)
from muse.commands.lightning import quiet
from muse.core.asks import Evaluate, Observe
from muse.core.types import Cond, Denoised, Goal, Guidance
from muse.losses import MultiEmotionLoss
from muse.sampling.answers import Answers
from muse.steering import TokenOptimization

Model = Literal["sd15", "sdxl", "pixart", "sd3", "flux"]
BACKBONES: dict[str, type[PipelineBackbone]] = {
    "sd15": StableDiffusion,
    "sdxl": StableDiffusionXL,
    "pixart": PixArtAlpha,
    "sd3": StableDiffusion3,
    "flux": Flux,
}
COND: dict[str, dict[str, tuple[int, ...]]] = {
    "pixart": {
        "tokens": (120, 4096), "mask": (120,), "resolution": (2,), "aspect_ratio": (1,)
    },
    "sd3": {"tokens": (77 + 256, 4096), "pooled": (2048,)},
    "flux": {"tokens": (512, 4096), "pooled": (768,)},
}  # fmt: skip
"""What `embed` makes of a prompt, in shape, where T5 encodes: transformers' looks at the values of
its mask, and `meta` has none."""
COLUMNS = (
    "model", "pictures", "preview", "text encoders", "other weights", "final picture",
    "inner iteration", "TFLOP", "checkpointed", "TFLOP",
)  # fmt: skip


class Counter(TorchDispatchMode):
    """Adds up the bytes of all tensors alive on the meta device, `peak` the most at once, and the
    floating-point operations, by torch's own formulas. (torch's `FlopCounterMode` keeps tensors
    alive.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.alive = self.peak = self.operations = 0

    def hold(self, value: Any) -> None:
        """Count a tensor's storage, once, until it is freed."""
        if not isinstance(value, Tensor) or value.device.type != "meta":
            return
        storage = value.untyped_storage()
        if id(storage) not in self.sizes:
            self.sizes[id(storage)] = storage.nbytes()
            self.alive += storage.nbytes()
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self._drop, id(storage))

    def _drop(self, storage: int) -> None:
        self.alive -= self.sizes.pop(storage)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        for value in tree_leaves(made):
            self.hold(value)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.operations += formula(*args, **kwargs, out_val=made)
        return made


@dataclass(frozen=True)
class Needs:
    """What steering needs: bytes at once, and floating-point operations."""

    texts: int
    """The text encoders' weights; not in the others."""
    weights: int
    """Of all that stays on the GPU: denoiser, autoencoders, guide."""
    iteration: int
    """At the peak of an inner iteration, the weights included."""
    final: int
    """At the peak of decoding the final pictures, the weights included."""
    operations: int
    """Of an inner iteration."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, **_: Any,
) -> Tensor:  # fmt: skip
    """Attention by the memory-saving kernel, which torch takes on a GPU but not on `meta`."""
    if attn_mask is not None:
        attn_mask = attn_mask.expand(*query.shape[:-1], key.shape[-2])
    way_back = torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value))
    made = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, way_back, dropout_p, is_causal, scale=scale
    )
    return made[0]


@contextmanager
def on_meta(dtype: torch.dtype) -> Iterator[None]:
    """Make what is made inside on `meta`, in `dtype`."""
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def load(model: str, path: str, tiny: bool = False, **options: Any) -> PipelineBackbone:
    """The backbone of a model in bfloat16, without a file to load."""
    with on_meta(torch.bfloat16):
        parts = {
            "load_pipeline": mock.Mock(return_value=pipeline(model, tiny)),
            "load_tiny": mock.Mock(return_value=tiny_autoencoder(model, tiny)),
        }
    options |= PATHS[path]("taesd", 16 if tiny else 224)
    with mock.patch.multiple("muse.backbones.pipeline", **parts):
        return BACKBONES[model](model, dtype="bfloat16", **options)


def embed(model: str, backbone: PipelineBackbone) -> Cond:
    """The condition of one prompt."""
    if model not in COND:
        return backbone.embed(["a"], backbone.size)
    with on_meta(torch.bfloat16):
        return {name: torch.empty(1, *shape) for name, shape in COND[model].items()}


def needs(model: str, backbone: PipelineBackbone, reader: Any, batch: int) -> Needs:
    """Run an inner iteration of `batch` pictures, and decode as many."""
    scale = backbone.default_guidance_scale
    answers = Answers(backbone, reader, TokenOptimization(), MultiEmotionLoss(), None)
    answers.eval().requires_grad_(False)
    answers._evaluations = lambda *_: []  # type: ignore[method-assign]  # reads values
    size, counter, cond = backbone.size, Counter(), embed(model, backbone)
    texts = sum(p.numel() * p.element_size() for p in backbone.text_encoders.parameters())
    backbone.text_encoders.clear()
    for value in (*answers.parameters(), *answers.buffers()):
        counter.hold(value)
    weights = counter.alive
    x = torch.empty(1, *backbone.latent_shape(size), device="meta")
    node = backbone.time_grid(50, size)[10]
    goal = Goal(torch.empty(1, 8, device="meta"), torch.empty(1, 8, device="meta"))
    state = answers.steering.init(x, cond, torch.Generator())
    plain = Denoised(x, x) if scale != 1 else None
    ask = Evaluate(x, node, cond, plain, state, goal, "a", 10, guidance=Guidance(scale))
    with mock.patch("torch.nn.functional.scaled_dot_product_attention", attend), counter:
        answers.evaluate([ask] * batch)
        iteration, operations = counter.peak, counter.operations
        counter.peak = counter.alive
        answers.observe([Observe(x, "a", final=True)] * batch)
    return Needs(texts, weights, iteration, counter.peak, operations)


def main(
    models: Sequence[Model] = ("sd15", "sdxl", "pixart", "sd3", "flux"),
    batches: Sequence[int] = (1,),
    previews: Sequence[Literal["KL", "small KL", "TAESD"]] = ("KL", "small KL", "TAESD"),
) -> None:
    """Print a Markdown table, a line for each way to steer.

    Args:
        models: each at its own size, in bfloat16.
        batches: pictures in a call.
        previews: what guide and similarity look through.
    """
    quiet()
    with torch.device("meta"):
        reader = guide()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for model in models:
        for batch in batches:
            for preview in previews:
                cells = [model, str(batch), preview]
                for kept in (False, True):
                    backbone = load(model, preview, gradient_checkpointing=kept)
                    found = needs(model, backbone, reader, batch)
                    if not kept:
                        cells += map(gib, (found.texts, found.weights, found.final))
                    cells += [gib(found.iteration), f"{found.operations / 1e12:.1f}"]
                print(f"| {' | '.join(cells)} |", flush=True)


def gib(size: int) -> str:
    """Bytes in GiB."""
    return f"{size / 2**30:.1f}"


if __name__ == "__main__":
    auto_cli(main)
