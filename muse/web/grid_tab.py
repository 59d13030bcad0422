"""Grid: two axes over any options, and a sheet that fills."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from muse.core.pictures import save_png
from muse.core.types import MuseError
from muse.runs.records import on_target
from muse.web import drawing, form
from muse.web.album import Made
from muse.web.following import Desk
from muse.web.grid import AXES, Grid
from muse.web.live import Live
from muse.web.making import Maker
from muse.web.showing import cancels, idle, visitor_of

FIELDS = ("prompt", "emotion", "seed", *form.OPTIONS)


def grid_tab(desk: Desk, maker: Maker) -> None:
    """Lay the tab out."""
    with gr.Row(equal_height=False, elem_classes="m-columns"):
        with gr.Column(scale=4, min_width=320, elem_classes="m-form"):
            prompt = form.prompt("What the pictures show")
            x = gr.Dropdown(list(AXES), value="emotion", label="Across", elem_id="grid-x")
            columns = gr.Textbox("awe, fear, sadness", label="Its values", elem_id="grid-columns")
            y = gr.Dropdown(list(AXES), value="seed", label="Down", elem_id="grid-y")
            rows = gr.Textbox("1..3", label="Its values", elem_id="grid-rows")
            emotion = gr.Textbox(
                "awe", label="Emotion, where no axis says it", info="awe, or awe:0.7,fear:0.3"
            )
            number = form.seed()
            options = form.settings(maker.catalog, editing=False)
            go = gr.Button("Fill the sheet", variant="primary", elem_id="grid-go")
            stop = gr.Button("Cancel", visible=False, elem_id="grid-stop")
        with gr.Column(scale=8, min_width=320, elem_classes="m-result"):
            example = Grid("emotion", "seed", ["awe", "fear", "sadness"], ["1", "2", "3"], {})
            sheet = gr.HTML(drawing.sheet(example, {}, {}), elem_id="grid-sheet", padding=False)
            line = gr.HTML("", elem_id="grid-notice", padding=False)
            download = gr.DownloadButton("Download the sheet", visible=False)

    async def fill(
        x: str,
        columns: str,
        y: str,
        rows: str,
        prompt: str,
        emotion: str,
        seed: float,
        preset: str,
        steps: float,
        guidance_scale: float,
        backbone: str,
        guide: str,
        negative_prompt: str,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        said = (prompt, emotion, seed, preset, steps, guidance_scale, backbone, guide)
        done: dict[str, Made] = {}
        try:
            common = dict(zip(FIELDS, (*said, negative_prompt), strict=True))
            grid = Grid.read(common, (x, columns), (y, rows), maker.catalog)

            def work(live: Live) -> None:
                maker.many(live, grid.cells, done.__setitem__)

            async with desk.order(visitor_of(request), "grid", work) as ticket:
                yield [drawing.sheet(grid, {}, {}), "", gr.update(visible=False), *busy()]
                async for told in desk.follow(ticket, 1.0):
                    now = {cell: on_target(made.record) for cell, made in dict(done).items()}
                    drawn = drawing.sheet(grid, dict(ticket.live.shots), now)
                    yield [drawn, drawing.notice(told), gr.skip(), *busy()]
                now = {cell: on_target(made.record) for cell, made in done.items()}
                drawn = drawing.sheet(grid, dict(ticket.live.shots), now)
                why = ticket.reason or ended(len(grid.cells), now)
                kind = "error" if ticket.reason else "info"
                file = gr.update(value=kept(grid, done), visible=True) if done else gr.skip()
                yield [drawn, drawing.notice(why, kind), file, *idle()]
        except MuseError as error:
            yield [gr.skip(), drawing.notice(str(error), "error"), gr.skip(), *idle()]

    inputs = [x, columns, y, rows, prompt, emotion, number, *options]
    go.click(
        fill, inputs, [sheet, line, download, go, stop], concurrency_limit=None,
        show_progress="hidden", api_name="grid",
    )  # fmt: skip

    cancels(stop, desk, "grid", "cancel_grid")


def ended(cells: int, made: Mapping[str, bool | None]) -> str:
    """How many of so many cells are made, and what a dashed edge means where there is one."""
    off = sum(right is False for right in made.values())
    told = f" The guide reads {off} of them otherwise than wanted: dashed." if off else ""
    return f"{len(made)} of {cells} pictures are made.{told}"


def kept(grid: Grid, done: dict[str, Made]) -> str:
    """The sheet as a file for download."""
    pictures = {}
    for cell, made in done.items():
        with Image.open(made.path) as picture:
            pictures[cell] = picture.convert("RGB")
    first = next(iter(done.values()))
    path = Path(get_upload_folder()) / first.path.stem / f"{grid.x}-{grid.y}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(path, grid.sheet(pictures))
    return str(path)


def busy() -> list[Any]:
    """The buttons while the sheet fills."""
    return [gr.update(visible=False), gr.update(visible=True)]
