"""The order in which training visits its scenes."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class Shuffling(Sampler[int]):
    """Another order at every pass, decided by a seed: a resumed run visits what was still to come.

    It counts its passes itself: where training is given in steps, a resumed Lightning run counts
    one epoch more.

    Args:
        count: how many there are.
        visits: how many of them a pass visits.
    """

    def __init__(self, count: int, visits: int) -> None:
        self.count, self.visits = count, visits
        self.seed = int(torch.randint(2**31, ()))
        self.passes, self.given, self._resumed = 0, 0, False

    def __len__(self) -> int:
        return self.visits

    def __iter__(self) -> Iterator[int]:
        resumed, self._resumed = self._resumed, False
        if not resumed or self.given == self.visits:
            self.passes, self.given = self.passes + 1, 0
        generator = torch.Generator().manual_seed(self.seed + self.passes)
        order = torch.randperm(self.count, generator=generator).tolist()
        while self.given < self.visits:
            self.given += 1
            yield order[self.given - 1]

    def state_dict(self) -> dict[str, int]:
        """What decides the orders, and how far the last pass has come."""
        return {"seed": self.seed, "passes": self.passes, "given": self.given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next pass go on from there."""
        self.seed, self.passes = state["seed"], state["passes"]
        self.given = min(state["given"], self.visits)  # a checkpoint of more scenes
        self._resumed = True
