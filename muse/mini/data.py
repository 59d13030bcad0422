"""Scenes as training batches."""

from collections.abc import Iterable
from typing import Any, Literal, TypedDict

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.data.captions import feeling_caption
from muse.mini.captions import contrastive_caption, diffusion_caption
from muse.mini.catalog import PLACES, THINGS
from muse.mini.draw import SIZE
from muse.mini.scenes import Scene, render_each
from muse.mini.shuffling import Shuffling
from muse.mini.world import WORLDS, WorldName

Captions = Literal["content", "diffusion", "contrastive", "feeling"]

VALIDATION_OFFSET = 1_000_000
"""Validation scenes take their seeds this far above the training scenes'."""


class SceneBatch(TypedDict):
    """B scenes.

    Keys:
        image: (B, 3, H, H) float32 in [0, 1].
        caption: B captions.
        emotion: (B,) int64, an index into `muse.core.emotions.EMOTIONS`.
        index: (B,) int64, the scene's place in its data set.
        box: (B, 4) float32, the thing's left, top, right and bottom, in [0, 1].
        thing: (B,) int64, an index into `list(THINGS)`.
        place: (B,) int64, an index into `list(PLACES)`.
    """

    image: Tensor
    caption: list[str]
    emotion: Tensor
    index: Tensor
    box: Tensor
    thing: Tensor
    place: Tensor


class SceneDataset(Dataset[SceneBatch]):
    """Rendered scenes in memory; captions are drawn anew at every visit.

    Args:
        scenes: what to hold; each is read once.
        count: how many these are.
        size: side of their pictures, in pixels.
        captions: what captions say, see `muse.mini.captions`.
    """

    def __init__(self, scenes: Iterable[Scene], count: int, size: int, captions: Captions) -> None:
        # Where they stay, from the start: a list of pictures to stack takes their memory twice.
        pictures = np.empty((count, size, size, 3), np.uint8)
        things, places = list(THINGS), list(PLACES)
        self.emotions, self.things, self.places = torch.empty(3, count, dtype=torch.int64)
        self.boxes = torch.empty(count, 4)
        self.said: list[tuple[str, str, tuple[str, ...]]] = []
        for index, scene in enumerate(scenes):
            pictures[index] = scene.image
            self.emotions[index] = EMOTIONS.index(scene.mood)
            self.things[index] = things.index(scene.thing)
            self.places[index] = places.index(scene.place)
            self.boxes[index] = torch.tensor(scene.box)
            self.said.append((scene.caption, scene.mood, scene.attributes))
        self.images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        self.captions = captions

    def __len__(self) -> int:
        return len(self.said)

    def __getitems__(self, indices: list[int]) -> SceneBatch:
        """The scenes at `indices`, as one batch."""
        index = torch.as_tensor(indices)
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        return {
            "image": self.images[index].float() / 255.0,
            "caption": [self._caption(rng, i) for i in indices],
            "emotion": self.emotions[index],
            "index": index,
            "box": self.boxes[index],
            "thing": self.things[index],
            "place": self.places[index],
        }

    def _caption(self, rng: np.random.Generator, index: int) -> str:
        content, mood, attributes = self.said[index]
        if self.captions == "diffusion":
            return diffusion_caption(rng, content, mood, attributes)
        if self.captions == "contrastive":
            return contrastive_caption(rng, content, mood, attributes)
        return feeling_caption(mood) if self.captions == "feeling" else content


def _as_batch(batch: Any) -> SceneBatch:
    """`__getitems__` has made a batch already."""
    made: SceneBatch = batch
    return made


class SceneData(L.LightningDataModule):
    """Scenes of the procedural world, rendered once and kept in memory.

    Args:
        count: training scenes, of the seeds `first_seed`, `first_seed` + 1, ...
        val_count: validation scenes, of the seeds from `first_seed` + 1,000,000.
        first_seed: where the seeds begin; other beginnings make disjoint data.
        captions: "content" ("a dog in a park"), "diffusion" (a few say more), "contrastive" (half
            say the mood or its signs) or "feeling" (SimEmo's sentence for the emotion).
        batch_size: scenes in a batch.
        render_workers: processes that render; 0 renders in this one.
        world: "main", or "fi-like" for the same contents with other moods, marks and colours;
            "varied" and "varied-fi" with more layouts and positions.
        all_pairs: whether scenes also combine the `HELD_OUT` things and places: for a classifier
            that shall judge them, never for what makes pictures.
        size: side of the pictures, in pixels.

    Raises:
        MuseError: when a count or the batch size leaves nothing to train on, or for a world that
            does not exist.
    """

    def __init__(
        self,
        count: int = 20_000,
        val_count: int = 512,
        first_seed: int = 0,
        captions: Captions = "content",
        batch_size: int = 64,
        render_workers: int = 0,
        world: WorldName = "main",
        all_pairs: bool = False,
        size: int = SIZE,
    ) -> None:
        super().__init__()
        if not 1 <= batch_size <= count <= VALIDATION_OFFSET or val_count < 1:
            raise MuseError(
                f"batch_size={batch_size}, count={count}, val_count={val_count}: give "
                f"1 <= batch_size <= count <= {VALIDATION_OFFSET} and val_count >= 1."
            )
        if world not in WORLDS:
            raise MuseError(f"world {world!r} does not exist; use one of {', '.join(WORLDS)}.")
        self.world: WorldName = world
        self.all_pairs, self.size = all_pairs, size
        self.count, self.val_count, self.first_seed = count, val_count, first_seed
        self.captions: Captions = captions
        self.batch_size, self.render_workers = batch_size, render_workers
        self.train_set: SceneDataset | None = None
        self.val_set: SceneDataset | None = None

    def setup(self, stage: str | None = None) -> None:
        """Renders the scenes, once."""
        if self.train_set is None:
            self.train_set = self._render(self.first_seed, self.count, self.render_workers)
            self.val_set = self._render(self.first_seed + VALIDATION_OFFSET, self.val_count, 0)
            self.order = Shuffling(self.count, self.count - self.count % self.batch_size)

    def _render(self, first: int, count: int, workers: int) -> SceneDataset:
        seeds = range(first, first + count)
        scenes = render_each(seeds, workers, WORLDS[self.world], self.all_pairs, self.size)
        return SceneDataset(scenes, count, self.size, self.captions)

    def train_dataloader(self) -> DataLoader[SceneBatch]:
        """Shuffled batches; an incomplete last one is dropped."""
        assert self.train_set is not None
        return self._loader(self.train_set, sampler=self.order)

    def val_dataloader(self) -> DataLoader[SceneBatch]:
        """The validation scenes in their order."""
        assert self.val_set is not None
        return self._loader(self.val_set)

    def _loader(self, scenes: SceneDataset, **options: Any) -> DataLoader[SceneBatch]:
        # A generator of its own: otherwise each pass takes a number from those that training draws.
        own = torch.Generator()
        return DataLoader(scenes, self.batch_size, collate_fn=_as_batch, generator=own, **options)

    def state_dict(self) -> dict[str, Any]:
        """How far training has visited its scenes, for a checkpoint."""
        return self.order.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Makes training go on from there."""
        self.order.load_state_dict(state_dict)
