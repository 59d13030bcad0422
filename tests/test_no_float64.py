"""Devices without float64, such as Apple's: none is made there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers.utils.torch_utils as diffusers_devices
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from muse import MusePipeline
from muse.guides import ConvNet, GuideEnsemble
from muse.schedulers import Always, TimeGrid

META = torch.device("meta")
ABSENT = META, torch.float64


class NoFloat64(TorchDispatchMode):
    """Makes of ``meta`` a device that has no float64, as Apple's has none, and from which values
    can be read all the same: whatever they would be, they are ones.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        read = func is torch.ops.aten._local_scalar_dense.default
        if read and args[0].device == META:
            return torch.ones((), dtype=args[0].dtype).item()
        copied = func is torch.ops.aten._to_copy.default
        if copied and args[0].device == META != given.get("device", META):
            return torch.ones_like(args[0], **given)
        made = func(*args, **given)
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and (tensor.device, tensor.dtype) == ABSENT:
                raise TypeError(f"{func}: the device has no float64.")
        return made


@pytest.fixture
def no_float64(monkeypatch: pytest.MonkeyPatch) -> NoFloat64:
    """The mode. Diffusers, which makes float64 where it can, is told of the device, and torch's
    question whether it has autocast is answered.
    """
    lacking = diffusers_devices._DTYPE_UNSUPPORTED_DEVICES
    monkeypatch.setitem(lacking, torch.float64, {*lacking[torch.float64], "meta"})
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: False)
    return NoFloat64()


@pytest.mark.parametrize("family", ["sd", "sdxl-v", "pixart-1024", "sd3", "flux-dev"])
def test_none_is_made_on_the_models_device(
    tiny_folder: Callable[[str], Path], no_float64: NoFloat64, family: str
) -> None:
    """Guided, steered, by an ensemble, from noise and from a picture, in each kind of model. The
    schedule's numbers may be float64: they stay on the CPU until they are cast.
    """
    guide = GuideEnsemble([ConvNet(width=8), ConvNet(width=8)], [1, 3])
    parts: dict[str, Any] = {"guide": guide, "timing": Always()}
    pipe = MusePipeline.from_pretrained(str(tiny_folder(family)), **parts)
    pipe.set_progress_bar_config(disable=True)
    options: dict[str, Any] = {"num_inference_steps": 1, "max_iterations": 1}
    options |= {"height": 32, "width": 32, "guidance_scale": 3.0}
    with no_float64:
        pipe.to("meta")
        assert pipe("a b", "awe", **options).start_steps == [0]
        assert pipe("a b", "fear", image=torch.rand(3, 32, 32), **options).start_steps == [0]


@pytest.mark.parametrize("grid", [TimeGrid.vp(4), TimeGrid.flow(4)])
def test_what_a_model_is_told_of_the_time_fits_any_device(grid: TimeGrid) -> None:
    assert grid.timesteps.dtype in (torch.int64, torch.float32)


def test_the_mode_sees_what_it_is_for(no_float64: NoFloat64) -> None:
    number = torch.ones(2, dtype=torch.float64)
    with no_float64:
        assert number.to("meta", torch.float32).dtype == torch.float32
        assert number.to("meta", torch.float32).tolist() == [1, 1]
        with pytest.raises(TypeError, match="no float64"):
            number.to("meta")
        with pytest.raises(TypeError, match="no float64"):
            torch.ones(2, device="meta").double()
