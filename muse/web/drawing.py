"""Pieces of the page as HTML and SVG: the wheel, the emotions' bars, a picture that takes shape.

Everything that came from a person or a file is escaped. Colours are the page's own (style.css) but
for the emotions', which are those of all of muse's sheets.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

from PIL import Image

from muse.core.emotions import COLORS, WHEEL, strongest, target_text
from muse.core.intensity import emotion_text
from muse.runs.records import Record, on_target
from muse.web.grid import Grid
from muse.web.live import Shot

LARGEST = 512
"""Pixels a side of a picture that is shown while it is made."""


def data_uri(picture: Image.Image, most: int = LARGEST) -> str:
    """A picture inside the page itself."""
    small = picture.copy()
    small.thumbnail((most, most))
    stream = BytesIO()
    small.save(stream, "WEBP", quality=86, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def notice(text: str, kind: str = "info") -> str:
    """One line for a person; nothing where there is none.

    Args:
        text: the line.
        kind: ``info`` or ``error``, which is read out.
    """
    role = "alert" if kind == "error" else "status"
    return f'<p class="m-notice m-{kind}" role="{role}">{escape(text)}</p>' if text else ""


def wheel(target: Mapping[str, float] | None) -> str:
    """Mikels' wheel as radio buttons: eight petals around the choice in the middle.

    Args:
        target: what is chosen; a petal is as full as its weight.
    """
    target = target or {}
    petals = "".join(_petal(i, name, target) for i, name in enumerate(WHEEL))
    said = target_text(target) if len(target) < 2 else "a mixture"
    middle = (
        f'<g class="m-middle" data-emotion="plain" role="radio" aria-checked="{_bool(not target)}" '
        f'aria-label="no emotion: the plain model" tabindex="{0 if not target else -1}">'
        f'<circle r="47"/><text y="-2">{escape(said)}</text>'
        f'<text class="m-hint" y="15">{"press to clear" if target else "pick one"}</text></g>'
    )
    label = "Emotion, on Mikels' wheel"
    return (
        f'<svg class="m-wheel" viewBox="-152 -136 304 272" role="radiogroup" aria-label="{label}">'
        f"{petals}{middle}</svg>"
    )


def _petal(index: int, name: str, target: Mapping[str, float]) -> str:
    gap, inner, outer = 0.02, 56, 128
    a = math.tau * (index - 0.5) / 8 - math.pi / 2 + gap
    b = math.tau * (index + 0.5) / 8 - math.pi / 2 - gap
    share = target.get(name, 0.0) / max(target.values(), default=1.0)
    label_at = 97
    x, y = (label_at * f((a + b) / 2) for f in (math.cos, math.sin))
    chosen = name in target
    first = target and next(iter(target)) == name
    return (
        f'<g class="m-petal{" m-on" if chosen else ""}" data-emotion="{name}" role="radio" '
        f'aria-checked="{_bool(chosen)}" aria-label="{name}" tabindex="{0 if first else -1}" '
        f'style="--e:{COLORS[name]};--w:{share:.2f}"><path d="{_sector(a, b, inner, outer)}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{name}</text></g>'
    )


def _sector(a: float, b: float, inner: float, outer: float) -> str:
    """The path of a part of a ring, from angle `a` to `b`."""
    points = [(outer, a), (outer, b), (inner, b), (inner, a)]
    p = [f"{r * math.cos(t):.2f} {r * math.sin(t):.2f}" for r, t in points]
    return f"M{p[0]} A{outer:.2f} {outer:.2f} 0 0 1 {p[1]} L{p[2]} A{inner} {inner} 0 0 0 {p[3]} Z"


def bars(
    probabilities: Mapping[str, float] | None,
    target: Mapping[str, float] | None = None,
    before: Mapping[str, float] | None = None,
) -> str:
    """The guide's reading, an emotion a line in the wheel's order.

    Args:
        probabilities: emotion -> probability; None before there is a reading.
        target: what is wanted, which is marked.
        before: of its plain twin, as a thin mark.
    """
    lines = []
    for name in WHEEL:
        p, was = (probabilities or {}).get(name), (before or {}).get(name)
        mark = "" if was is None else f'<i style="left:{100 * was:.1f}%"></i>'
        value = "" if p is None else f"{100 * p:.0f}"
        wanted = " m-wanted" if name in (target or {}) else ""
        lines.append(
            f'<div class="m-bar{wanted}" style="--e:{COLORS[name]}"><span>{name}</span>'
            f'<div class="m-track"><b style="width:{100 * (p or 0):.1f}%"></b>{mark}</div>'
            f"<em>{value}</em></div>"
        )
    legend = "how the guide reads it, in %"
    legend += "" if before is None else "; the thin marks: the plain picture"
    return f'<div class="m-bars">{"".join(lines)}<p class="m-legend">{legend}</p></div>'


def stage(shot: Shot | None, line: str, busy: bool, second: Shot | None = None) -> str:
    """A picture as far as it has come, and a line about it.

    Args:
        shot: the picture; None before there is one.
        line: what is going on.
        busy: whether anything is.
        second: its plain twin, shown small.
    """
    picture = shot.picture if shot else None
    if picture is None:
        inner = '<div class="m-empty"><span></span></div>'
    else:
        inner = f'<img src="{data_uri(picture)}" alt="the picture so far"/>'
    if second is not None and second.picture is not None:
        inner += (
            f'<figure class="m-twin"><img src="{data_uri(second.picture, 192)}" alt=""/>'
            "<figcaption>plain</figcaption></figure>"
        )
    done = 100 * shot.step / shot.steps if shot and shot.steps else 0
    progress = f'<div class="m-progress"><b style="width:{done:.1f}%"></b></div>' if busy else ""
    state = "m-busy" if busy else "m-still"
    return (
        f'<div class="m-stage {state}"><div class="m-frame">{inner}</div>{progress}'
        f'<p class="m-line" role="status">{escape(line)}</p></div>'
    )


def canvas(photo: Image.Image) -> str:
    """A photo to brush a mask on; page.js draws it and sends it."""
    return (
        f'<div class="m-canvas"><div><img src="{data_uri(photo, 768)}" alt="your photo"/>'
        '<canvas aria-label="brush over what may change" role="img"></canvas></div>'
        "<p><span>Brush over what may change, or leave it all.</span>"
        '<label>Brush <input type="range" min="4" max="40" value="14"/></label>'
        '<button type="button">Clear</button></p></div>'
    )


def sheet(grid: Grid, shots: Mapping[str, Shot], done: Mapping[str, bool | None]) -> str:
    """A grid as far as it has come.

    Args:
        grid: what was asked for.
        shots: by cell.
        done: cell -> whether the finished picture is as it was wanted, None where nothing was;
            cells that aren't done are missing.
    """
    head = "".join(f'<th scope="col">{escape(value)}</th>' for value in grid.columns)
    rows = []
    for row, value in enumerate(grid.rows):
        cells = []
        for column in range(len(grid.columns)):
            cell = f"{row}-{column}"
            shot = shots.get(cell)
            kind = "m-done" if cell in done else "m-open"
            kind += " m-off" if done.get(cell) is False else ""
            inner = "<div></div>"
            if shot is not None and shot.picture is not None:
                said = f"{grid.y} {value}, {grid.x} {grid.columns[column]}"
                inner = f'<img src="{data_uri(shot.picture, 192)}" alt="{escape(said)}"/>'
            cells.append(f'<td class="{kind}">{inner}</td>')
        rows.append(f'<tr><th scope="row">{escape(value)}</th>{"".join(cells)}</tr>')
    corner = f'<th class="m-corner">{escape(grid.x)} →<br>{escape(grid.y)} ↓</th>'
    return (
        f'<div class="m-sheet" tabindex="0"><table><thead><tr>{corner}{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def facts(record: Record) -> str:
    """What a record says, for a person."""
    right = on_target(record)
    p = record.get("probabilities") or {}
    start = record.get("start_step")
    told = {
        "prompt": record.get("prompt"),
        "wanted": emotion_text(record.get("target"), record.get("intensity")),
        "read as": f"{strongest(p)} ({100 * max(p.values()):.0f} %)" if p else "not read",
        "which is": {True: "right", False: "wrong", None: "not known"}[right],
        "seed": record.get("seed"),
        "read before": record.get("inherent"),
        "steered from": "never" if start is None else f"step {start}",
        "optimiser steps": sum(record.get("iterations") or []),
        "made in": f"{record.get('seconds') or 0:.1f} s",
        "notes": "; ".join(map(str, record.get("notes") or [])) or None,
    }
    lines = "".join(
        f"<dt>{name}</dt><dd>{escape(str(value))}</dd>"
        for name, value in told.items()
        if value is not None
    )
    return f'<dl class="m-facts">{lines}</dl>'


def curves(record: Record) -> str:
    """How the emotions moved while a picture was steered, as a small plot."""
    trace = record.get("trace") or {}
    if not record.get("target"):
        return '<p class="m-notice">A plain picture: nothing was steered.</p>'
    colors = {"target": COLORS[strongest(record["target"])], "inherent": "var(--m-faint)"}
    lines: list[tuple[str, str, Sequence[float | None]]] = [
        (name, color, trace.get(f"p_{name}") or [])
        for name, color in (colors | {"similar": "var(--m-soft)"}).items()
        if name != "inherent" or record.get("inherent")
    ]
    if len(lines[0][2]) < 2:
        return '<p class="m-notice">This picture was not steered, so nothing moved.</p>'
    width, height, count = 460, 150, len(lines[0][2]) - 1
    drawn = ""
    for _, color, values in lines:
        points = " ".join(
            f"{width * i / count:.1f},{height * (1 - v):.1f}"
            for i, v in enumerate(values)
            if v is not None
        )
        drawn += f'<polyline points="{points}" style="stroke:{color}"/>'
    keys = "".join(f'<span style="--e:{color}">{name}</span>' for name, color, _ in lines)
    keys += f"<em>probability, 0 to 1, at {count + 1} readings</em>"
    return (
        f'<figure class="m-curves"><svg viewBox="-2 -6 {width + 4} {height + 12}" role="img" '
        f'aria-label="probabilities during the search"><path d="M0 0H{width}M0 {height / 2}H{width}'
        f'M0 {height}H{width}"/>{drawn}</svg><figcaption>{keys}</figcaption>'
        "</figure>"
    )


def _bool(value: object) -> str:
    return "true" if value else "false"
