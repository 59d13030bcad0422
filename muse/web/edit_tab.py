"""Edit: a photo, an emotion for it, and a mask where it shall not change everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from muse.core.types import MuseError
from muse.web import drawing, form
from muse.web.following import Desk
from muse.web.making import Maker
from muse.web.recipe import Recipe
from muse.web.showing import Panel, cancels, show, visitor_of
from muse.web.uploads import open_photo, read_mask

FIELDS = ("prompt", "emotion", "intensity", "seed", *form.OPTIONS)


def edit_tab(desk: Desk, maker: Maker) -> list[Any]:
    """Lay the tab out.

    Returns:
        its fields, in the order of `FIELDS`.
    """
    with gr.Row(equal_height=False, elem_classes="m-columns"):
        with gr.Column(scale=5, min_width=320, elem_classes="m-form"):
            photo = gr.File(
                label="Photo", show_label=False, elem_id="edit-photo", elem_classes="m-drop",
                height=116,
            )  # fmt: skip
            canvas = gr.HTML("", elem_id="edit-canvas", padding=False)
            mask = gr.Textbox("", label="mask", elem_id="edit-mask", visible="hidden")
            prompt = form.prompt("What the photo shows", "")
            emotion = form.emotion("edit", "fear")
            strength = form.intensity()
            number = form.seed()
            options = form.settings(maker.catalog, editing=True)
            go = gr.Button("Edit the photo", variant="primary", elem_id="edit-go")
            stop = gr.Button("Cancel", visible=False, elem_id="edit-stop")
        with gr.Column(scale=7, min_width=320, elem_classes="m-result"):
            panel = Panel("edit", "Give a photo, and say what it shows.")
    fields = [prompt, emotion, strength, number, *options]

    def opened(path: str | None) -> tuple[str, str, str]:
        """The photo on the canvas, or what is wrong with it; an empty mask, and no older line."""
        if path is None:
            return "", "", ""
        try:
            picture = open_photo(Path(path))
        except MuseError as error:
            return drawing.notice(str(error), "error"), "", ""
        return drawing.canvas(picture.image), "", ""

    photo.change(
        opened, photo, [canvas, mask, panel.notice], api_name="photo", show_progress="hidden"
    )

    async def edit(
        photo: str | None,
        mask: str,
        prompt: str,
        emotion: str,
        intensity: float,
        seed: float,
        preset: str,
        steps: float,
        guidance_scale: float,
        backbone: str,
        guide: str,
        negative_prompt: str,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        said = (prompt, emotion, intensity, seed, preset, steps, guidance_scale, backbone, guide)
        try:
            if not photo:
                raise MuseError("There is no photo yet. Drop one, or choose a file.")
            values = dict(zip(FIELDS, (*said, negative_prompt), strict=True))
            recipe = Recipe.read(values, maker.catalog)
            picture, brushed = open_photo(Path(photo)), read_mask(mask or "")
            async with desk.order(
                visitor_of(request), "edit", lambda live: maker.edit(live, recipe, picture, brushed)
            ) as ticket:
                async for shown in show(desk, ticket, recipe.emotion):
                    yield shown
        except MuseError as error:
            yield panel.failed(str(error))

    inputs, outputs = [photo, mask, *fields], panel.outputs(go, stop)
    go.click(edit, inputs, outputs, concurrency_limit=None, show_progress="hidden", api_name="edit")

    cancels(stop, desk, "edit", "cancel_edit")
    return fields
