"""What is done to pictures before they are learned from: windows, and the damage that a steered
picture shows halfway (blur, noise, uneven light).
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def degrade(image: Tensor) -> Tensor:
    """Half of the pictures come out blurred, all slightly noisy and brighter or darker.

    One-step predictions of a diffusion model are soft and spotted; who reads them must have seen
    such pictures, or its gradient asks for artefacts instead of content.

    Args:
        image: (B, 3, H, W) in [0, 1], sides divisible by 4.

    Returns:
        Pictures of the same shape, in about [0, 1].
    """
    rows = image.shape[0]
    draw = torch.rand(rows, 1, 1, 1, device=image.device)
    size = image.shape[-2:]
    soft = F.interpolate(F.avg_pool2d(image, 2), size, mode="bilinear", align_corners=False)
    softer = F.interpolate(F.avg_pool2d(image, 4), size, mode="bilinear", align_corners=False)
    image = torch.where(draw < 0.2, softer, torch.where(draw < 0.5, soft, image))
    strength = 0.08 * torch.rand_like(draw)
    light = 1.0 + 0.12 * (torch.rand_like(draw) - 0.5)
    return image * light + strength * torch.randn_like(image)


def windows(image: Tensor, box: Tensor, side: int, grid: int = 1) -> tuple[Tensor, Tensor]:
    """A random square window of each picture.

    Args:
        image: (B, C, H, H).
        box: in each picture, left, top, right and bottom (B, 4), in [0, 1].
        side: of the windows in pixels, at most H.
        grid: their left and upper edges lie on multiples of it.

    Returns:
        Windows (B, C, side, side), and the boxes in the windows' coordinates, which lie outside
        [0, 1] where a box is cut.
    """
    full = image.shape[-1]
    corners = (grid * torch.randint((full - side) // grid + 1, (len(image), 2))).tolist()
    cut = [
        picture[:, top : top + side, left : left + side]
        for picture, (left, top) in zip(image, corners, strict=True)
    ]
    origin = torch.tensor(corners, device=box.device, dtype=box.dtype).repeat(1, 2)
    return torch.stack(cut), (box * full - origin) / side


def windows_then_whole(
    image: Tensor, box: Tensor, side: int | None, done: float, whole: float, grid: int = 1
) -> tuple[Tensor, Tensor]:
    """What a training step of convolutions sees of a batch: `windows`, which cost less, and at the
    end of the run as many whole pictures as have the windows' pixels, for group norms are reckoned
    over all that is seen.

    Args:
        image, box, grid: as for `windows`.
        side: of the windows; None shows whole pictures throughout.
        done: the share of the run's steps that are done, in [0, 1].
        whole: the share at the end that sees whole pictures, in [0, 1].
    """
    if side is None:
        return image, box
    if done < 1.0 - whole:
        return windows(image, box, side, grid)
    rows = max(1, len(image) * side**2 // image[0, 0].numel())
    return image[:rows], box[:rows]
