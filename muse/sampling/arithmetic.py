"""What one row's passes through the networks take, in floating-point operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from muse.sampling.sampler import Sampler, frozen


@dataclass(frozen=True)
class Arithmetic:
    """Operations of one pass of one row, by the names of `muse.core.results.Cost`: a multiplication
    and an addition are two.

    Attributes:
        predictions: through the denoiser.
        gradients: through it and back to the latent and the text.
        decodings: through the preview's decoder, and the look of guide and similarity.
        decoder_gradients: through these and back.
    """

    predictions: float
    gradients: float
    decodings: float
    decoder_gradients: float

    def of(self, cost: Mapping[str, float]) -> float:
        """Operations of a picture that has cost so many passes, as its record counts them."""
        return sum(each * cost[name] for name, each in asdict(self).items())


def arithmetic(sampler: Sampler) -> Arithmetic:
    """Count the operations of a sampler's model and readers, at its own size, by torch's own
    formulas for matrix products, convolutions and attention. Each kind of pass is made once with
    tensors that have shapes and no values: nothing is computed but an empty prompt's embedding.

    Args:
        sampler: of any device.
    """
    answers, setup = sampler.answers, sampler.setup
    backbone = answers.backbone
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    cond = {name: fake.from_tensor(value) for name, value in sampler.prompts("").items()}
    node = setup.grid[len(setup.grid) // 2]
    like = cond["tokens"]
    with fake:
        x = torch.zeros(1, *backbone.latent_shape(setup.size), device=like.device)

    def predict() -> list[Tensor]:
        leaves = [x.requires_grad_(), like.detach().requires_grad_()]
        x0 = backbone.denoise(x, node, {**cond, "tokens": leaves[1]}).x0
        return [x0.sum(), *leaves] if torch.is_grad_enabled() else []

    def look() -> list[Tensor]:
        leaf = x.detach().requires_grad_()
        image = backbone.preview(leaf)
        seen = answers.guide.read(image).sum()
        if answers.similarity is not None:
            seen = seen + answers.similarity(image, [""]).sum()
        return [seen, leaf] if torch.is_grad_enabled() else []

    with frozen(sampler):
        return Arithmetic(
            *(
                _count(work, gradient, fake)
                for work in (predict, look)
                for gradient in (False, True)
            )
        )


class _Counter(TorchDispatchMode):
    """Adds up operations. (`FlopCounterMode` itself forbids `torch.autograd.grad` by leaves.)"""

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0  # there are no values: torchvision's "is any deviation 0?" is answered by no
        made = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=made)
        return made


def _count(work: Callable[[], list[Tensor]], gradient: bool, fake: FakeTensorMode) -> float:
    # torch has formulas for the attention of GPUs, none for that of CPUs: written out, both count.
    with (
        fake,
        _Counter() as counter,
        sdpa_kernel(SDPBackend.MATH),
        torch.set_grad_enabled(gradient),
    ):
        made = work()
        if gradient:
            torch.autograd.grad(made[0], made[1:], allow_unused=True)
    return float(counter.operations)
