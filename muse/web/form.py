"""The fields that all tabs share, in Gradio."""

from __future__ import annotations

from typing import Any

import gradio as gr

from muse.core.emotions import WHEEL
from muse.core.types import MuseError
from muse.web import drawing
from muse.web.catalog import Catalog
from muse.web.recipe import MOST_GUIDANCE, MOST_STEPS

OPTIONS = ("preset", "steps", "guidance_scale", "backbone", "guide", "negative_prompt")
"""Names of a recipe that `settings` has fields for, in their order."""
PROMPTS = ("a dog in a park", "a boat on a beach", "a horse in a field", "a house in a forest")


def prompt(label: str, value: str = PROMPTS[0]) -> gr.Textbox:
    """What the picture shows."""
    return gr.Textbox(
        value, label=label, lines=2, max_lines=4, placeholder="a dog in a park", autofocus=False
    )


def emotion(tab: str, value: str = "awe") -> gr.Textbox:
    """An emotion, picked on the wheel or mixed with sliders. The text that is returned says it,
    as everywhere in muse; page.js keeps wheel, sliders and text together.
    """
    gr.HTML(drawing.wheel({value: 1.0}), elem_id=f"{tab}-wheel", elem_classes="m-wheel-box")
    text = gr.Textbox(
        value, label="emotion", elem_id=f"{tab}-emotion", visible="hidden", interactive=True
    )
    with gr.Accordion("Mix emotions", open=False, elem_classes="m-quiet"):
        sliders = [
            gr.Slider(0, 1, value=float(name == value), step=0.05, label=name) for name in WHEEL
        ]
    for slider in sliders:
        slider.input(None, sliders, text, js="(...v) => muse.mixed(...v)", api_visibility="private")
    text.change(None, text, sliders, js=f"(t) => muse.chosen('{tab}', t)", api_visibility="private")
    return text


def intensity() -> gr.Slider:
    """How strongly the emotion is wanted, down to less of it than there is."""
    return gr.Slider(
        -1,
        1,
        value=1,
        step=0.05,
        label="Intensity",
        info="1: all of it. 0: plain. Below: less of it.",
    )


def seed() -> gr.Number:
    """Another number, another picture."""
    with gr.Row(elem_classes="m-seed"):
        number = gr.Number(5, label="Seed", precision=0, minimum=0, min_width=100, scale=3)
        dice = gr.Button("Another", size="sm", min_width=80, scale=1, elem_classes="m-plain")
    dice.click(
        None, None, number, js="() => Math.floor(Math.random() * 1e6)", api_visibility="private"
    )
    return number


def settings(catalog: Catalog, editing: bool) -> list[Any]:
    """Fields for `OPTIONS`, with what the usual preset says in them."""
    presets = catalog.presets(editing)
    own = catalog.settings(presets[0])
    with gr.Accordion("Settings", open=False, elem_classes="m-quiet"):
        preset = gr.Dropdown(presets, value=presets[0], label="Preset")
        steps = gr.Slider(1, MOST_STEPS, value=own["steps"], step=1, label="Steps")
        guidance = gr.Slider(
            0, MOST_GUIDANCE, value=own.get("guidance_scale") or 1, step=0.1, label="Guidance"
        )
        with gr.Row():
            backbone = gr.Dropdown(
                catalog.backbones, value=catalog.backbones[0], label="Backbone", min_width=120
            )
            guide = gr.Dropdown(
                catalog.guides, value=catalog.guides[0], label="Guide", min_width=120
            )
        negative = gr.Textbox("", label="Negative prompt", lines=1)

    def told(name: str, model: str) -> tuple[Any, Any]:
        return fitting(catalog, name, model) or (gr.skip(), gr.skip())

    for field in (preset, backbone):
        field.input(
            told, [preset, backbone], [steps, guidance], show_progress="hidden",
            api_visibility="private",
        )  # fmt: skip
    return [preset, steps, guidance, backbone, guide, negative]


def fitting(catalog: Catalog, preset: str, backbone: str) -> tuple[Any, Any] | None:
    """What the sliders for steps and guidance show of a preset, within what they can show; None
    where the two names don't go together, which the order tells in words: an exception here would
    be two sliders marked "Error".
    """
    try:
        found = catalog.settings(preset, backbone)
    except MuseError:
        return None
    scale = found.get("guidance_scale")  # None is the backbone's own
    return min(found["steps"], MOST_STEPS), gr.skip() if scale is None else min(
        scale, MOST_GUIDANCE
    )
