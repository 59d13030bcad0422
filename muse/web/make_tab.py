"""Make: a prompt and an emotion, and a picture that takes shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from muse.core.types import MuseError
from muse.web import form
from muse.web.following import Desk
from muse.web.making import Maker
from muse.web.recipe import Recipe
from muse.web.showing import Panel, cancels, show, visitor_of

FIELDS = ("prompt", "emotion", "intensity", "seed", *form.OPTIONS)


def make_tab(desk: Desk, maker: Maker) -> list[Any]:
    """Lay the tab out.

    Returns:
        its fields, in the order of `FIELDS`.
    """
    with gr.Row(equal_height=False, elem_classes="m-columns"):
        with gr.Column(scale=5, min_width=320, elem_classes="m-form"):
            prompt = form.prompt("What the picture shows")
            emotion = form.emotion("make")
            strength = form.intensity()
            number = form.seed()
            options = form.settings(maker.catalog, editing=False)
            go = gr.Button("Make the picture", variant="primary", elem_id="make-go")
            stop = gr.Button("Cancel", visible=False, elem_id="make-stop")
        with gr.Column(scale=7, min_width=320, elem_classes="m-result"):
            panel = Panel("make", "Your picture takes shape here.")
    fields = [prompt, emotion, strength, number, *options]

    async def make(
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
            values = dict(zip(FIELDS, (*said, negative_prompt), strict=True))
            recipe = Recipe.read(values, maker.catalog)
            async with desk.order(
                visitor_of(request), "make", lambda live: maker.picture(live, recipe)
            ) as ticket:
                async for shown in show(desk, ticket, recipe.emotion):
                    yield shown
        except MuseError as error:
            yield panel.failed(str(error))

    outputs = panel.outputs(go, stop)
    go.click(make, fields, outputs, concurrency_limit=None, show_progress="hidden", api_name="make")

    cancels(stop, desk, "make", "cancel")
    return fields
