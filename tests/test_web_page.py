"""The page, through its API."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
import yaml
from gradio_client import Client, handle_file
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from muse.core.types import MuseError
from muse.runs.png_settings import read_png_settings
from muse.web import form
from muse.web.catalog import Catalog
from muse.web.form import fitting
from muse.web.grid_tab import ended
from muse.web.runs_tab import EMPTY, sides
from muse.web.server import _bound
from muse.web.shelf import Found
from tests.test_web import bomb, sent

pytestmark = pytest.mark.filterwarnings("ignore")  # Gradio's own

ROOT = Path(__file__).parent.parent
TOY = {
    "prompt": "a walk in the park", "emotion": "fear", "seed": 3, "preset": "default", "steps": 8,
    "guidance_scale": 4.0, "backbone": "toy", "guide": "as the preset", "negative_prompt": "",
}  # fmt: skip


LONG = {**TOY, "backbone": "muse-mini", "steps": 200}
"""A picture that nobody waits for."""


class Served(NamedTuple):
    url: str
    folder: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    """The page in a process of its own, as a person starts it, until Ctrl-C."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "secret.txt").write_text("nobody's business")
    words = ["--output_dir", f"{folder}/runs/web", "--runs", f"{folder}/runs", "--device", "cpu"]
    broken = yaml.safe_load((ROOT / "configs/toy.yaml").read_text())
    broken["model"]["timing"] = {"class_path": "tests.web_parts.Breaks"}
    (folder / "broken.yaml").write_text(yaml.safe_dump(broken))
    words += ["--config", json.dumps(["toy", f"{folder}/broken.yaml"])]
    command = [sys.executable, "-m", "muse.cli", "web", *words]
    # Where the tests themselves run in the background, a child would ignore Ctrl-C.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "preexec_fn": heard}
    with subprocess.Popen(command, **pipe) as process:
        assert process.stdout is not None
        told = next((line for line in process.stdout if line.startswith("muse web: ")), "")
        yield Served(told.split()[2], folder)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


@pytest.fixture(scope="module")
def client(served) -> Client:
    return Client(served.url, verbose=False)


def said(outputs: Any) -> str:
    return json.dumps(outputs, ensure_ascii=False)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))


def downloaded(outputs: Any) -> np.ndarray:
    """The picture that the button gives."""
    return pixels(outputs[4]["value"])


def until(job: Any, words: str) -> None:
    """Wait for what an order shows; one that ends before fails."""
    while not any(words in said(one) for one in job.outputs()):
        assert not job.done(), job.outputs()
        time.sleep(0.02)


def test_sliders_show_what_they_can():
    """A preset of more steps than the page makes, and one that doesn't go with the model: an
    exception there would be two sliders marked as broken.
    """
    catalog = Catalog([ROOT / "configs/toy.yaml"], "cpu")
    assert fitting(catalog, "ug-published", "muse-mini") == (200, 3.0)
    assert fitting(catalog, "paper", "toy") is None
    assert fitting(catalog, "default", "toy")[0] == catalog.settings("default", "toy")["steps"]


SLIDERS = """
globalThis.window = globalThis;
globalThis.document = { addEventListener() {}, getElementById() { return null; } };
globalThis.MutationObserver = class { observe() {} };
const [page, mix, read] = process.argv.slice(1);
eval(require("fs").readFileSync(page, "utf8"));
const text = eval(mix)(0, 0, 0.5, 0, 0.25, 0, 0, 0);
console.log(JSON.stringify([text, eval(read)(text)]));
"""
"""What Gradio does when a slider of the mixture moves: awe and fear, in the wheel's order."""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_sliders_of_a_mixture_say_it(served):
    events = httpx.get(f"{served.url}config").json()["dependencies"]
    scripts = dict.fromkeys(str(event["js"]) for event in events)
    [mix] = [script for script in scripts if "muse.mixed" in script]
    [read] = [script for script in scripts if "muse.chosen('make'" in script]
    script = str(Path(form.__file__).with_name("page.js"))
    words = ["node", "-e", SLIDERS, script, mix, read]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == ["awe:0.5,fear:0.25", [0, 0, 0.5, 0, 0.25, 0, 0, 0]]


def test_a_picture_is_made_shown_live_and_carries_its_settings(client, served):
    job = client.submit(**TOY, api_name="/make")
    last = job.result()
    shown = job.outputs()
    assert any("m-busy" in said(one) for one in shown)
    assert "by the guide itself" in said(last)
    [path] = {Path(part["value"]) for part in last if isinstance(part, dict) and "value" in part
              and isinstance(part["value"], str) and part["value"].endswith(".png")}  # fmt: skip
    told = read_png_settings(path)
    assert (told["prompt"], told["emotion"], told["backbone"]) == (
        TOY["prompt"],
        {"fear": 1},
        "toy",
    )
    again = client.predict(handle_file(str(path)), api_name="/restore")
    assert "are in the form" in said(again)
    assert "a walk in the park" in said(again)
    found = client.predict(sorted((served.folder / "runs/web").glob("20*"))[0].relative_to(
        served.folder / "runs").as_posix(), "walk", "fear", "all", api_name="/runs")  # fmt: skip
    assert "One picture" in said(found)


def test_an_edit_keeps_the_photo_outside_of_its_mask(client, tmp_path):
    generator = np.random.default_rng(0)
    photo = generator.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    mask = Image.new("RGBA", (64, 64))
    mask.paste((9, 9, 9, 255), (0, 0, 32, 64))  # the left half, at half the scale
    edit = {**TOY, "backbone": "muse-mini", "preset": "edit", "steps": 3}
    order = {**edit, "photo": handle_file(str(tmp_path / "photo.png")), "mask": sent(mask)}
    outputs = client.predict(**order, api_name="/edit")
    assert "Left the photo, right fear" in said(outputs)
    changed = (downloaded(outputs) != photo).any(-1)
    assert not changed[:, 72:].any()
    assert changed[:, :56].mean() > 0.9
    told = said(client.predict(**{**order, "mask": "data:image/png;base64,AAAA"}, api_name="/edit"))
    assert "brush it anew" in told


def test_one_cancels_one_breaks_and_the_next_gets_its_picture(client, served):
    alone = downloaded(client.predict(**TOY, api_name="/make"))
    second, third = (Client(served.url, verbose=False) for _ in range(2))
    running = client.submit(**LONG, api_name="/make")
    until(running, "Step ")
    breaks = second.submit(**{**TOY, "backbone": "broken"}, api_name="/make")
    until(breaks, "1 before you")
    waiting = third.submit(**TOY, api_name="/make")
    until(waiting, "2 before you")
    second.predict(api_name="/cancel_edit")  # not what they have ordered
    second.submit(**{**TOY, "emotion": "joy"}, api_name="/make").result()  # a mistake
    assert not running.done(), "what others do is nothing to it"
    client.predict(api_name="/cancel")
    assert "Cancelled." in said(running.result())
    assert "A bug of muse ended this picture (ZeroDivisionError)" in said(breaks.result())
    assert np.array_equal(downloaded(waiting.result()), alone)
    assert np.array_equal(downloaded(client.predict(**TOY, api_name="/make")), alone)


def test_a_cancel_ends_its_own_visitors_order_alone(client, served):
    other = Client(served.url, verbose=False)
    running = client.submit(**LONG, api_name="/make")
    until(running, "Step ")
    waiting = other.submit(**LONG, api_name="/make")
    until(waiting, "1 before you")
    other.predict(api_name="/cancel")
    assert "Cancelled." in said(waiting.result())
    assert not running.done()
    client.predict(api_name="/cancel")
    assert "Cancelled." in said(running.result())


def test_mistakes_are_one_line_on_the_page(client):
    told = said(client.predict(**{**TOY, "emotion": "joy"}, api_name="/make"))
    assert "Unknown emotion" in told
    assert 'role=\\"alert\\"' in told
    grid = {"x": "seed", "columns": "1", "y": "seed", "rows": "2"}
    assert "Both axes" in said(client.predict(**grid, **TOY, api_name="/grid"))


def test_a_grid_fills(client):
    job = client.submit(x="emotion", columns="awe, fear", y="seed", rows="1", **TOY,
                        api_name="/grid")  # fmt: skip
    assert "2 of 2 pictures are made" in said(job.result())


def test_a_sheet_tells_what_its_dashed_edges_mean():
    assert ended(4, {"0-0": True, "0-1": None}) == "2 of 4 pictures are made."
    assert "reads 1 of them otherwise" in ended(2, {"0-0": True, "0-1": False})


def test_runs_that_are_not_there_yet_are_told(served):
    assert EMPTY in httpx.get(served.url).text


def test_a_slider_tells_which_side_is_which():
    record = {"target": {"fear": 1.0}, "image": None}
    alone = Found("run", "one", Path("one.png"), None, record)
    assert "nothing was made beside it" in sides(alone)
    beside = Found("run", "one", Path("one.png"), Path("p.png"), record)
    assert sides(beside) == "Left plain, right fear."
    edit = Found("run", "one", Path("one.png"), Path("p.png"), {**record, "image": "p.png"})
    assert sides(edit) == "Left the photo, right fear."


def test_names_that_no_list_has_are_refused(client):
    for option in ("preset", "backbone", "guide"):
        with pytest.raises(Exception, match=r"not in the list|There is no"):
            client.predict(**{**TOY, option: "os.system"}, api_name="/make")


def test_a_png_decides_no_code(client, tmp_path):
    about = PngInfo()
    told = {"schema": 1, "prompt": "a dog", "seed": 1, "backbone": "muse.backbones.StableDiffusion"}
    about.add_itxt("muse", json.dumps(told))
    Image.new("RGB", (8, 8)).save(tmp_path / "evil.png", pnginfo=about)
    told = said(client.predict(handle_file(str(tmp_path / "evil.png")), api_name="/restore"))
    assert "There is no backbone" in told


def test_hostile_photos_are_one_line(client, tmp_path):
    svg = tmp_path / "a.svg"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert "is no picture" in said(client.predict(handle_file(str(svg)), api_name="/photo"))
    large = handle_file(str(bomb(tmp_path / "bomb.png")))
    assert "more than 40 million pixels" in said(client.predict(large, api_name="/photo"))
    order = {**TOY, "backbone": "muse-mini", "preset": "edit", "photo": large, "mask": ""}
    assert "more than 40 million pixels" in said(client.predict(**order, api_name="/edit"))
    assert "is no PNG" in said(client.predict(large, api_name="/restore"))


def test_no_file_outside_is_served_or_taken(client, served):
    url, folder = served
    for path in (
        folder / "secret.txt", folder / "runs/web/../../secret.txt", "/etc/hostname", "README.md",
        ROOT / "pyproject.toml", folder / "runs/web/.page/../../../secret.txt",
    ):  # fmt: skip
        for route in ("gradio_api/file=", "file="):
            answer = httpx.get(f"{url}{route}{path}")
            assert answer.status_code in (403, 404), (route, path)
    taken = {"path": str(folder / "secret.txt"), "meta": {"_type": "gradio.FileData"}}
    sent = httpx.post(f"{url}gradio_api/call/photo", json={"data": [taken]}).json()
    answer = httpx.get(f"{url}gradio_api/call/photo/{sent['event_id']}", timeout=60).text
    assert "event: error" in answer
    assert "business" not in answer


def test_uploads_stay_in_their_folder_and_end_somewhere(served):
    url, folder = served
    name = "../../../../escaped.png"
    sent = httpx.post(f"{url}gradio_api/upload", files={"files": (name, b"x")})
    if sent.status_code == 200:
        [path] = sent.json()
        assert Path(path).resolve().is_relative_to((folder / "runs/web/.page").resolve())
    large = {"files": ("large.png", b"\0" * (26 * 2**20))}
    assert httpx.post(f"{url}gradio_api/upload", files=large).status_code == 413


def test_the_browser_is_told_to_stay_here(served):
    answer = httpx.get(served.url)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert httpx.get(f"{served.url}docs").headers["content-security-policy"]


def test_a_port_that_is_taken_is_told():
    taken = _bound("127.0.0.1", range(7860, 7960))
    with pytest.raises(MuseError, match="Use another --port"):
        _bound("127.0.0.1", [taken.getsockname()[1]])
    taken.close()
