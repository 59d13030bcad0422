"""The paper's loop for one picture, written from the text and from nothing else in muse.

It uses the backbone's predictions, the guide, the similarity and `torch.optim.Adam`; conditions,
one-step predictions, loss, timing and the DDIM step are written out here, with no batch, no
generator and no state but local variables. Eight emotions stand in EmoSet's order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from muse.core.types import Node

EMOTIONS = ["amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness"]
WHEEL = ["amusement", "contentment", "awe", "excitement", "fear", "sadness", "disgust", "anger"]


@dataclass
class Settings:
    """Numbers of one run; the names are the paper's where it has any."""

    eta: float = 60.0
    omega: float = 6.5
    lr: float = 0.2
    tokens: int = 4
    scale: float = 0.02
    lambda_1: float = 0.0005
    lambda_2: float = 0.0015
    tolerance: float = 1e-4
    iterations: int = 5
    emotion_scale: float | None = None  # beyond the paper


def loss_of(logits: Tensor, target: str, inherent: str | None, settings: Settings) -> Tensor:
    """Eq. 11 to 13 for a single target emotion."""
    log_p = (logits - logits.logsumexp(-1, keepdim=True))[0]
    place = WHEEL.index(target)
    similar = [WHEEL[place - 1], WHEEL[(place + 1) % 8]]
    l_target = -log_p[EMOTIONS.index(target)]
    l_similar = -(log_p[EMOTIONS.index(similar[0])] + log_p[EMOTIONS.index(similar[1])]) / 2
    l_inherent = -log_p[EMOTIONS.index(inherent)] if inherent else torch.zeros(())
    return l_target - settings.lambda_1 * l_inherent - settings.lambda_2 * l_similar


def predict(backbone, x: Tensor, node: Node, text: Tensor, s: Tensor | None, null: Tensor, numbers):
    """x0 (Eq. 7) and eps (Eq. 6) of the guided model, under the text and, where given, S."""
    rows = Node(node.timestep[None], node.alpha[None], node.sigma[None])
    tokens = text if s is None else torch.cat([text, s], dim=1)
    with_s = backbone.denoise(x, rows, {"tokens": tokens})
    empty = backbone.denoise(x, rows, {"tokens": null})
    omega, apart = numbers.omega, numbers.emotion_scale
    if apart is None:
        weights = [(with_s, 1 + omega), (empty, -omega)]
    else:
        plain = backbone.denoise(x, rows, {"tokens": text})
        weights = [(with_s, apart), (plain, 1 + omega - apart), (empty, -omega)]
    eps = sum(weight * seen.eps for seen, weight in weights)
    if node.alpha == 0:  # a flow model's first node, where Eq. 7 is 0 / 0
        return sum(weight * seen.x0 for seen, weight in weights), eps
    return (x - node.sigma * eps) / node.alpha, eps


def search(backbone, guide, x, node, text, null, s, step, target, inherent, settings, moments=None):
    """The inner loop at one step: S optimised, and the last prediction. `moments` starts Adam in
    the middle: (mean, square, iterations done)."""
    unit = text.square().mean().sqrt()
    u = (s / unit).detach().clone().requires_grad_()
    adam = torch.optim.Adam([u], lr=settings.lr * max(0.0, 1 - step / 100))
    done = 0
    if moments is not None:
        mean, square, done = moments
        adam.state[u] = {
            "step": torch.tensor(float(done)),
            "exp_avg": mean.clone(),
            "exp_avg_sq": square.clone(),
        }
    history = []
    for k in range(done, settings.iterations + 1):
        adam.zero_grad()
        x0, eps = predict(backbone, x, node, text, unit * u, null, settings)
        loss = loss_of(guide(x0), target, inherent, settings)
        mean = adam.state[u]["exp_avg"].clone() if u in adam.state else None
        history.append(((unit * u).detach().clone(), loss.item(), x0.detach(), eps.detach(), mean))
        if loss.item() < settings.tolerance or k == settings.iterations:
            break
        loss.backward()
        adam.step()
    return history


@torch.enable_grad()
def make_picture(backbone, guide, similarity, grid, prompt, target, x, s, settings, start=None):
    """The whole loop; `start` replaces the threshold by a fixed step.

    Returns:
        the latents of all nodes, the first steered step, the inherent emotion.
    """
    text = backbone.embed([prompt], (1, 1))["tokens"]
    null = backbone.embed([""], (1, 1), negative=True)["tokens"]
    latched, began, inherent, before, path = False, None, None, None, [x]
    for i in range(len(grid)):
        node = grid[i]
        x0, eps = predict(backbone, x, node, text, None, null, settings)
        if not latched:
            reached = (
                similarity(x0, [prompt]).item() >= settings.eta if start is None else i >= start
            )
            if reached:
                latched, began = True, i
                guess = EMOTIONS[int(guide(x0 if before is None else before).argmax())]
                inherent = None if guess == target else guess
        if latched:
            history = search(backbone, guide, x, node, text, null, s, i, target, inherent, settings)
            s, _, x0, eps, _ = history[-1]
        before = x0
        x = grid[i + 1].alpha * x0 + grid[i + 1].sigma * eps
        path.append(x)
    return torch.cat(path), began, inherent
