"""The page: header, tabs, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from muse.core.emotions import target_text
from muse.core.types import MuseError
from muse.runs.png_settings import read_png_settings
from muse.web import drawing
from muse.web.catalog import Catalog
from muse.web.edit_tab import edit_tab
from muse.web.following import Desk
from muse.web.form import fitting
from muse.web.grid_tab import grid_tab
from muse.web.make_tab import FIELDS, make_tab
from muse.web.making import Maker
from muse.web.recipe import Recipe
from muse.web.runs_tab import runs_tab
from muse.web.shelf import Shelf
from muse.web.studio import Studio

HEADER = (
    '<header class="m-header"><h1>muse</h1><p>Say what a picture shows, and how it feels.</p>'
    "</header>"
)


def page(maker: Maker, shelf: Shelf | None, studio: Studio | None = None) -> gr.Blocks:
    """Build the page.

    Args:
        maker: makes what visitors order.
        shelf: the runs that they may look at; None shows no such tab.
        studio: the line; None begins one.
    """
    desk = Desk(studio or Studio())
    with gr.Blocks(title="muse", analytics_enabled=False, delete_cache=(900, 6 * 3600)) as blocks:
        gr.HTML(HEADER, padding=False)
        notice = gr.HTML("", elem_id="page-notice", padding=False)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Make", id="make"):
                make = make_tab(desk, maker)
            with gr.Tab("Edit", id="edit"):
                edit = edit_tab(desk, maker)
            with gr.Tab("Grid", id="grid"):
                grid_tab(desk, maker)
            if shelf is not None:
                with gr.Tab("Runs", id="runs") as opened:
                    run = runs_tab(shelf)

                def listed(now: str | None) -> Any:
                    names = list(shelf.runs())
                    value = now if now in names else next(iter(names), None)
                    return gr.update(choices=names, value=value)

                opened.select(listed, run, run, api_visibility="private", show_progress="hidden")
        dropped = gr.File(visible="hidden", elem_id="dropped", label="a PNG of muse")

        def restore(path: str | None) -> list[Any]:
            """The settings inside a PNG, put into the form of its tab."""
            nothing = [gr.skip()] * len(FIELDS)
            if path is None:
                return [gr.skip(), gr.skip(), *nothing, *nothing]
            try:
                recipe, editing = restored(Path(path), maker.catalog)
            except MuseError as error:
                return [drawing.notice(str(error), "error"), gr.skip(), *nothing, *nothing]
            values = form_values(recipe, maker.catalog)
            said = f"The settings of {Path(path).name} are in the form."
            said += " Give its photo, too." if editing else ""
            tab = gr.update(selected="edit" if editing else "make")
            both = [*nothing, *values] if editing else [*values, *nothing]
            return [drawing.notice(said), tab, *both]

        outputs = [notice, tabs, *make, *edit]
        dropped.change(restore, dropped, outputs, api_name="restore", show_progress="hidden")

        def left(request: gr.Request) -> None:
            """A visitor has closed the page."""
            if request.session_hash:
                desk.cancel(request.session_hash)

        blocks.unload(left)
    return blocks


def restored(path: Path, catalog: Catalog) -> tuple[Recipe, bool]:
    """The recipe in a PNG's settings, and whether it is an edit. What the PNG names is looked up
    in the catalog's lists; a preset that it doesn't name is found by its options.

    Raises:
        MuseError: no settings of muse, or such as aren't allowed here.
    """
    told = read_png_settings(path)
    options = told.get("options") or {}
    editing = bool(told.get("image"))
    said = {name: told.get(name) for name in FIELDS}
    if not said["preset"]:
        said["preset"] = catalog.preset_of(options, editing)
    for name in ("steps", "guidance_scale", "intensity"):
        said[name] = options.get(name) if said[name] is None else said[name]
    for name, named in (("backbone", catalog.backbones), ("guide", catalog.guides)):
        said[name] = said[name] or named[0]
    try:
        return Recipe.read(said, catalog), editing
    except MuseError as error:
        raise MuseError(f"The settings in {path.name[:60]!r} don't go here: {error}") from None


def form_values(recipe: Recipe, catalog: Catalog) -> list[Any]:
    """A recipe as the values of `FIELDS`."""
    own = fitting(catalog, recipe.preset, recipe.backbone) or (gr.skip(), gr.skip())
    said = {name: getattr(recipe, name) for name in FIELDS}
    said["emotion"] = target_text(recipe.emotion)
    for name, value in zip(("steps", "guidance_scale"), own, strict=True):
        said[name] = value if said[name] is None else said[name]
    return list(said.values())
