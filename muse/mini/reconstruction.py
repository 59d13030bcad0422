"""How far a decoded picture is from its source, and how much fine contrast it has."""

import torch
from torch import Tensor
from torch.nn import functional as F


def reconstruction_loss(
    y: Tensor, x: Tensor, box: Tensor, edge_weight: float, thing_weight: float
) -> Tensor:
    r""":math:`|y - x|_1 + w_e |\nabla y - \nabla x|_1`, each a mean over its elements.

    The first is a weighted mean, that counts the thing more than what surrounds it. The second, of
    finite differences, is summed over full and half size; it keeps edges crisp.

    Args:
        y, x: pictures (B, 3, H, H) in [-1, 1], decoded and true.
        box: the things' left, top, right and bottom (B, 4), in [0, 1].
        edge_weight: :math:`w_e`.
        thing_weight: how much more pixels in the box weigh in the first term.
    """
    y = y.float()
    weight = 1.0 + thing_weight * _inside(box, x.shape[-1])
    seen = (weight * (y - x).abs()).mean() / weight.mean()
    edge = _edge_loss(y, x) + _edge_loss(F.avg_pool2d(y, 2), F.avg_pool2d(x, 2))
    return seen + edge_weight * edge


def corner_loss(y: Tensor, x: Tensor, side: int = 8) -> Tensor:
    """Mean distance of pictures (B, 3, H, W) in their four corners, squares of so many pixels: ().

    A decoder with group norm that learns against a discriminator may hide a bright spot there, by
    which it rules its own statistics (the droplets of Karras et al. 2020, Sec. 2): too small for a
    mean over the picture to mind.
    """
    apart = (y.float() - x).abs()
    ends = slice(None, side), slice(-side, None)
    return torch.stack(
        [apart[..., rows, columns].mean() for rows in ends for columns in ends]
    ).mean()


def fine_contrast(image: Tensor) -> Tensor:
    """Mean distance of brightness from its own 3x3 average, in the inside of pictures
    (B, 3, H, W): ().
    """
    brightness = image.float().mean(1, keepdim=True)
    return (brightness[..., 1:-1, 1:-1] - F.avg_pool2d(brightness, 3, 1)).abs().mean()


def _inside(box: Tensor, side: int) -> Tensor:
    """1 inside boxes (B, 4), 0 outside: (B, 1, side, side)."""
    at = (torch.arange(side, device=box.device) + 0.5) / side
    left, top, right, bottom = (edge[:, None] for edge in box.unbind(-1))
    columns, rows = (left < at) & (at < right), (top < at) & (at < bottom)
    return (rows[:, None, :, None] & columns[:, None, None, :]).float()


def _edge_loss(y: Tensor, x: Tensor) -> Tensor:
    rows = F.l1_loss(y[..., 1:, :] - y[..., :-1, :], x[..., 1:, :] - x[..., :-1, :])
    columns = F.l1_loss(y[..., 1:] - y[..., :-1], x[..., 1:] - x[..., :-1])
    return 0.5 * (rows + columns)
