"""The right half of Make and Edit: the picture while it is made, and what came of it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from muse.core.intensity import emotion_text
from muse.runs.records import target_probability
from muse.web import drawing
from muse.web.album import Made
from muse.web.following import Desk
from muse.web.live import Shot
from muse.web.studio import Ticket


class Panel:
    """The components of the right half.

    Args:
        tab: whose.
        hint: what it says before the first picture.
    """

    def __init__(self, tab: str, hint: str) -> None:
        self.stage = gr.HTML(
            drawing.stage(None, hint, busy=False), elem_id=f"{tab}-stage", padding=False
        )
        self.slider = gr.ImageSlider(
            visible=False, show_label=False, interactive=False, type="filepath", format="png",
            elem_id=f"{tab}-slider", buttons=["fullscreen"], max_height=660,
            elem_classes="m-slider",
        )  # fmt: skip
        self.notice = gr.HTML("", elem_id=f"{tab}-notice", padding=False)
        self.bars = gr.HTML(drawing.bars(None), elem_id=f"{tab}-bars", padding=False)
        self.download = gr.DownloadButton(
            "Download, with its settings inside", visible=False, elem_id=f"{tab}-download"
        )

    def outputs(self, go: gr.Button, stop: gr.Button) -> list[Any]:
        """What `show` and `failed` fill, in their order."""
        return [self.stage, self.slider, self.notice, self.bars, self.download, go, stop]

    def failed(self, reason: str) -> list[Any]:
        """Nothing was made, in one line."""
        return [gr.skip(), gr.skip(), drawing.notice(reason, "error"), *[gr.skip()] * 2, *idle()]


def visitor_of(request: gr.Request) -> str:
    """Whose orders and cancels belong together: a page that is open in a browser."""
    return request.session_hash or "nobody"


def cancels(stop: gr.Button, desk: Desk, kind: str, api_name: str) -> None:
    """Let a button cancel its own visitor's orders of a kind."""

    def cancel(request: gr.Request) -> None:
        desk.cancel(visitor_of(request), kind)

    stop.click(cancel, None, None, api_name=api_name, queue=False)


async def show(
    desk: Desk, ticket: Ticket, target: Mapping[str, float] | None
) -> AsyncIterator[list[Any]]:
    """What `Panel.outputs` show while an order is made, and at its end."""
    hidden = gr.update(visible=False)
    first, shot, second = True, Shot(), None
    async for line in desk.follow(ticket):
        shots = list(ticket.live.shots.values())
        shot, second = (shots[0] if shots else Shot()), (shots[1] if len(shots) > 1 else None)
        picture = gr.update(value=drawing.stage(shot, line, True, second), visible=True)
        read = drawing.bars(shot.probabilities, target)
        if first:
            yield [picture, hidden, "", read, hidden, hidden, gr.update(visible=True)]
        else:
            yield [picture, gr.skip(), gr.skip(), read, *[gr.skip()] * 3]
        first = False
    made: Made | None = ticket.outcome
    if ticket.state == "done" and made is not None:
        yield [*finished(made), *idle()]
        return
    line = "Cancelled." if ticket.state == "cancelled" else "Nothing was made."
    last = gr.update(value=drawing.stage(shot, line, False, second), visible=True)
    why = drawing.notice(ticket.reason, "error")
    yield [last, hidden, why, gr.skip(), hidden, *idle()]


def finished(made: Made) -> list[Any]:
    """A picture beside what it is compared with, how it is read, and the file."""
    record, target = made.record, made.recipe.emotion
    before = record.get("plain_probabilities")
    path = lend(made.path)
    if made.before is None:
        stage = gr.update(value=drawing.stage(shot_of(made.path), "Done.", False), visible=True)
        slider = gr.update(visible=False)
    else:
        stage = gr.update(visible=False)
        slider = gr.update(value=(lend(made.before), path), visible=True)
    bars = drawing.bars(record["probabilities"], target, before)
    download = gr.update(value=path, visible=True)
    return [stage, slider, drawing.notice(told(made)), bars, download]


def told(made: Made) -> str:
    """What came of it, in one line."""
    record = made.record
    after, was = target_probability(record), target_probability(record, "plain_probabilities")
    if after is None:
        return f"Plain, in {record['seconds']:.0f} s."
    left = "the photo" if record["image"] else "plain"
    before = "" if was is None else f"{was:.0%} → "
    never = "" if record["start_step"] is not None else " It was never steered."
    never = " Intensity 0 is the plain picture." if record["intensity"] == 0 else never
    emotion = emotion_text(record["target"], record["intensity"])
    return f"Left {left}, right {emotion}: {before}{after:.0%} by the guide itself.{never}"


def lend(path: Path) -> str:
    """A copy of a file in the folder that Gradio serves, which is all that it serves."""
    folder = Path(get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return str(shutil.copyfile(path, folder / path.name))


def shot_of(path: Path) -> Shot:
    """A finished picture, as one that is being made."""
    with Image.open(path) as picture:
        return Shot(picture=picture.convert("RGB"))


def idle() -> list[Any]:
    """The buttons when nothing is made."""
    return [gr.update(visible=True), gr.update(visible=False)]
