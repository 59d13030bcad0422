"""Orders: recipes, made in the studio's thread and put into the album."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from muse.core.jobs import Job
from muse.core.masks import Mask
from muse.core.pictures import Picture, centre
from muse.core.results import Result
from muse.core.types import MuseError
from muse.runs import Memory, make
from muse.sampling import Sampler
from muse.web.album import Album, Made
from muse.web.catalog import Catalog, edits
from muse.web.live import Live
from muse.web.recipe import Recipe


@dataclass(frozen=True)
class Maker:
    """Makes orders.

    Attributes:
        catalog: the samplers.
        album: where pictures go.
        slots: how many share a model call.
    """

    catalog: Catalog
    album: Album
    slots: int = 4

    def picture(self, live: Live, recipe: Recipe) -> Made:
        """One picture, and beside it, from the same noise, its plain twin.

        Raises:
            MuseError: a preset that edits, or what the sampler refuses.
        """
        if edits(recipe.preset):
            raise MuseError(f"The preset {recipe.preset!r} edits a photo. Use it under Edit.")
        name = self.album.new_name(recipe)
        job = recipe.job(name)
        plain = None
        if job.target is not None:
            plain = replace(job, id=f"plain-{name}", target=None, intensity=None)
        jobs = [job] if plain is None else [job, plain]
        results = self._run(live, self._sampler(recipe), jobs)
        before = None
        if plain is not None:
            before, _ = self._saved(results[plain.id], recipe)
        twin = None if plain is None else results[plain.id]
        path, record = self._saved(results[name], recipe, twin)
        return Made(path, before, record, recipe)

    def edit(
        self, live: Live, recipe: Recipe, photo: Picture, mask: Image.Image | None = None
    ) -> Made:
        """Another emotion for a photo.

        Args:
            live: shows how far it is.
            recipe: what it shows, and the emotion.
            photo: the photo; the part of it that fits the model's proportions is edited.
            mask: of the photo's proportions, L: white is where it may change; None is everywhere.

        Raises:
            MuseError: no emotion, a preset that doesn't edit, or what the sampler refuses.
        """
        if recipe.emotion is None:
            raise MuseError("No emotion is chosen. Pick one on the wheel, or mix some.")
        if not edits(recipe.preset):
            raise MuseError(f"The preset {recipe.preset!r} edits no photo. Use it under Make.")
        sampler = self._sampler(recipe)
        size = sampler.setup.size
        name = self.album.new_name(recipe)
        part = photo.cut(size)
        cropped = centre(photo.image, part)
        source = self.album.keep_source(name, cropped)
        job = replace(recipe.job(name), image=source)
        if mask is not None:
            laid = Mask("The mask", mask)
            mask = centre(laid.over(photo.image.size), part)
            try:
                laid.fitted(size, photo.image.size)
            except MuseError:
                empty = "The mask is empty. Brush over what may change, or clear it."
                raise MuseError(empty) from None
            job = replace(job, mask=self.album.keep_source(f"{name}-mask", mask))
        results = self._run(live, sampler, [job])
        picture = photo.restored(self._drawn(results[name], sampler), size)
        if mask is not None:
            picture = laid.kept(picture, photo, size)
        path, record = self._saved(results[name], recipe, picture=picture)
        return Made(path, source, record, recipe)

    def many(
        self, live: Live, recipes: Mapping[str, Recipe], finished: Callable[[str, Made], None]
    ) -> None:
        """Pictures without twins, those of one model together.

        Args:
            live: shows how far each is.
            recipes: by the name of their cell, under which `live` knows them.
            finished: is told of each as it is done.

        Raises:
            MuseError: a preset that edits, or what the sampler refuses.
        """
        groups: dict[tuple[str, str, str], list[str]] = {}
        for cell, recipe in recipes.items():
            if edits(recipe.preset):
                raise MuseError(f"The preset {recipe.preset!r} edits a photo. Use it under Edit.")
            groups.setdefault(recipe.model, []).append(cell)
        for cells in groups.values():
            jobs = [recipes[cell].job(cell) for cell in cells]
            sampler = self._sampler(recipes[cells[0]])
            self._run(live, sampler, jobs, lambda result: self._cell(result, recipes, finished))

    def _cell(
        self,
        result: Result,
        recipes: Mapping[str, Recipe],
        finished: Callable[[str, Made], None],
    ) -> None:
        cell = result.job.id
        recipe = recipes[cell]
        named = replace(result, job=replace(result.job, id=self.album.new_name(recipe)))
        path, record = self._saved(named, recipe)
        finished(cell, Made(path, None, record, recipe))

    def _sampler(self, recipe: Recipe) -> Sampler:
        return self.catalog.sampler(*recipe.model)

    def _run(
        self,
        live: Live,
        sampler: Sampler,
        jobs: Sequence[Job],
        finished: Callable[[Result], None] | None = None,
    ) -> dict[str, Result]:
        live.check()
        steps = {job.id: len(sampler.setup_of(job).grid) for job in jobs}
        read = frozenset(job.id for job in jobs if job.target is not None or len(jobs) == 1)
        live.look_at(sampler, steps, read)
        sink = _Told(finished)
        make(sampler, jobs, sink, self.slots, [live])
        return sink.results

    def _drawn(self, result: Result, sampler: Sampler) -> Image.Image:
        if result.image is None:
            raise MuseError(result.failure or "There is no picture.")
        return sampler.backbone.render(result.image[0], result.path)

    def _saved(
        self,
        result: Result,
        recipe: Recipe,
        twin: Result | None = None,
        picture: Image.Image | None = None,
    ) -> tuple[Path, dict[str, object]]:
        drawn = picture or self._drawn(result, self._sampler(recipe))
        options = self.catalog.settings(*recipe.model)
        return self.album.save(result, drawn, options, recipe, twin)


class _Told(Memory):
    """Keeps results, or hands each on as it comes."""

    def __init__(self, finished: Callable[[Result], None] | None) -> None:
        super().__init__()
        self.finished = finished

    def save(self, result: Result, backbone: object) -> None:
        """Take it."""
        if self.finished is None:
            self.results[result.job.id] = result
        else:
            self.finished(result)
