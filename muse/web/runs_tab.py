"""Runs: what was made on this machine, searched, and how each picture came to be."""

from __future__ import annotations

from typing import Any

import gradio as gr

from muse.core.emotions import WHEEL
from muse.core.intensity import emotion_text
from muse.core.types import MuseError
from muse.data.jobs import PICTURES
from muse.runs.records import on_target
from muse.web import drawing
from muse.web.shelf import Found, Shelf
from muse.web.showing import lend

NONE = "No picture is like that."
EMPTY = "There are no runs yet. Make a picture first."
SHOWN = 60
"""Pictures of a search that are laid out."""


def runs_tab(shelf: Shelf) -> gr.Dropdown:
    """Lay the tab out.

    Returns:
        the list of runs, to be filled when the tab is opened (`runs_of`).
    """
    names = list(shelf.runs())
    with gr.Row(elem_classes="m-search"):
        run = gr.Dropdown(  # the shelf knows which there are; this list may be old
            names, value=names[0] if names else None, label="Run", allow_custom_value=True,
            min_width=180,
        )  # fmt: skip
        words = gr.Textbox("", label="Prompt", placeholder="dog park", min_width=160)
        emotion = gr.Dropdown(["any", "plain", *WHEEL], value="any", label="Emotion", min_width=120)
        right = gr.Radio(["all", "right", "wrong"], value="all", label="Read as wanted")
    told = "" if names else drawing.notice(EMPTY)  # no field changes then, and no search is made
    notice = gr.HTML(told, elem_id="runs-notice", padding=False)
    with gr.Row(equal_height=False, elem_classes="m-columns"):
        with gr.Column(scale=6, min_width=320):
            gallery = gr.Gallery(
                show_label=False, columns=4, height="auto", allow_preview=False, format="png",
                elem_id="runs-gallery", buttons=[], object_fit="cover",
                interactive=False, fit_columns=False,
            )  # fmt: skip
        with gr.Column(scale=5, min_width=320, elem_classes="m-detail"):
            slider = gr.ImageSlider(
                visible=False, show_label=False, interactive=False, type="filepath",
                format="png", buttons=["fullscreen"], elem_classes="m-slider",
            )  # fmt: skip
            facts = gr.HTML("", elem_id="runs-facts", padding=False)
            curves = gr.HTML("", padding=False)
            with gr.Accordion("The whole record", open=False, visible=False) as more:
                record = gr.JSON(show_label=False, max_height=420)
            download = gr.DownloadButton("Download, with its settings inside", visible=False)
    found = gr.State([])

    def search(run: str | None, prompt: str, emotion: str, right: Any) -> tuple[Any, ...]:
        if run is None:
            return [], [], drawing.notice(EMPTY)
        try:
            hits = shelf.search(run, prompt, "" if emotion == "any" else emotion, right)
        except MuseError as error:
            return [], [], drawing.notice(str(error), "error")
        shown = hits[:SHOWN]
        pictures = [(lend(hit.picture), caption(hit)) for hit in shown]
        more = f"; the first {SHOWN} are shown" if len(hits) > SHOWN else ""
        count = "One picture" if len(hits) == 1 else f"{len(hits)} pictures"
        told = f"{count}{more}. Press one to see how it came to be." if hits else NONE
        return pictures, [(hit.run, hit.name) for hit in shown], drawing.notice(told)

    asked = [run, words, emotion, right]
    for field, name in ((run, "runs"), (words, None), (emotion, None), (right, None)):
        field.change(
            search, asked, [gallery, found, notice], show_progress="hidden",
            api_name=name, api_visibility="public" if name else "private",
        )  # fmt: skip

    def chosen(names: list[tuple[str, str]], event: gr.SelectData) -> tuple[Any, ...]:
        return detail(*names[event.index])

    def detail(run: str, name: str) -> tuple[Any, ...]:
        """One picture, before and after, and how it came to be."""
        try:
            [hit] = [hit for hit in shelf.search(run) if hit.name == name]
            whole = shelf.record(run, name)
        except (MuseError, ValueError) as error:
            return gr.update(visible=False), drawing.notice(str(error), "error"), "", *hidden()
        pictures = lend(hit.plain or hit.picture), lend(hit.picture)
        return (
            gr.update(value=pictures, visible=True),
            drawing.notice(sides(hit)) + drawing.facts(whole),
            drawing.bars(whole["probabilities"], whole["target"], whole.get("plain_probabilities"))
            + drawing.curves(whole),
            gr.update(visible=True),
            {key: value for key, value in whole.items() if key not in PICTURES},
            gr.update(value=pictures[1], visible=True),
        )

    def hidden() -> tuple[Any, ...]:
        return gr.update(visible=False), None, gr.update(visible=False)

    shown = [slider, facts, curves, more, record, download]
    gallery.select(chosen, found, shown, show_progress="hidden", api_visibility="private")
    return run


def sides(hit: Found) -> str:
    """What the slider shows on its left and on its right."""
    if hit.plain is None:
        return "The picture alone: nothing was made beside it."
    left = "the photo" if hit.record.get("image") else "plain"
    return f"Left {left}, right {emotion_text(hit.record['target'], hit.record.get('intensity'))}."


def caption(hit: Found) -> str:
    """What stands below a picture: the emotion, and whether it is read so."""
    right = {True: "", False: "  ✗ read otherwise", None: ""}[on_target(hit.record)]
    return f"{emotion_text(hit.record['target'], hit.record.get('intensity'))}{right}"
