"""The page in a real browser: every tab, a cancel, two visitors, hostile uploads; screenshots.

    pip install playwright, and a Chromium of the system (apt-get install chromium)
    python benchmarks/web_browser.py [--out outputs/web_browser] [--config configs/toy.yaml]

It opens a page of its own on muse-mini (or, quicker, on the model of a file), drives it in headless
Chromium at 1300 and 400 px, and stops at the first thing that isn't as it must be; a request to
another host is such a thing. Beside the screenshots it prints how long each took.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import struct
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Page, expect, sync_playwright

from muse.web.app import serve

PATIENCE = 600_000
"""Milliseconds for a picture: the machine may be busy."""
WIDTHS = (1300, 400)
"""Of windows, px: every tab is looked at in both."""
CHROMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")


def main() -> None:
    """All of it, or `--only` some."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/web_browser"))
    parser.add_argument("--config", type=Path, help="a file for muse fit-free instead of muse-mini")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--only", default="", help="parts to do, such as make,hostile")
    parser.add_argument("--url", help="a page that is open already, instead of one of its own")
    given = parser.parse_args()
    expect.set_options(timeout=PATIENCE)
    given.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp())
    secret = folder / "secret.txt"
    secret.write_text("nobody's business")
    configs = [given.config] if given.config else []
    server = None
    if given.url is None:
        server = serve(folder / "runs" / "web", folder / "runs", configs, wait=False)
    chrome = next(filter(None, map(shutil.which, CHROMES)))
    only = [word for word in given.only.split(",") if word]
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
            drive = Drive(browser, given.url or server.url, given, folder)
            for part in ("look", "mix", "make", "cancel", "hostile", "two", "grid", "runs", "edit"):
                if not only or part in only:
                    begun = time.perf_counter()
                    getattr(drive, part)()
                    assert not drive.foreign, f"asked for {', '.join(drive.foreign)}"
                    print(f"{part}: as it must be, {time.perf_counter() - begun:.0f} s", flush=True)
            browser.close()
    finally:
        if server is not None:
            server.close()


class Drive:
    """What is done in the browser."""

    def __init__(self, browser: Browser, url: str, given: Any, folder: Path) -> None:
        self.browser, self.url, self.given, self.folder = browser, url, given, folder
        self.made: Path | None = None
        self.foreign: list[str] = []

    def open(self, width: int = 1300, dark: bool = False) -> Page:
        """A new visitor."""
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": 920 if width > 600 else 860}
        context = self.browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", self.own)
        page.goto(self.url)
        page.wait_for_selector("#make-go")
        return page

    def own(self, request: Any) -> None:
        """Note what is asked of anybody else, whether or not it gets there."""
        own = request.url.startswith(("data:", "blob:"))
        if not own and urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.foreign.append(request.url)

    def shot(self, page: Page, name: str) -> None:
        """A screenshot; nothing may be wider than the window."""
        page.wait_for_timeout(400)
        page.screenshot(path=self.given.out / f"{name}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{name}: {wide} px wider than the window"

    def shots(self, page: Page, name: str) -> None:
        """A screenshot at each width."""
        for width in reversed(WIDTHS):  # it stays as wide as it was opened
            page.set_viewport_size({"width": width, "height": 920 if width > 600 else 860})
            self.shot(page, f"{name}-{width}")

    def quick(self, page: Page, tab: str = "make") -> None:
        """Few steps, and the model of the file where one was given."""
        panel = page.locator(f"#{tab}-go").locator("xpath=ancestor::*[@role='tabpanel']")
        panel.get_by_role("button", name="Settings").click()
        panel.get_by_role("spinbutton", name="number input for Steps").fill(str(self.given.steps))
        if self.given.config:
            panel.get_by_label("Backbone").click()
            page.get_by_role("option", name=self.given.config.stem).click()
            page.wait_for_timeout(1500)
            number = panel.get_by_role("spinbutton", name="number input for Steps")
            number.fill(str(self.given.steps))
            number.press("Tab")
        panel.get_by_role("button", name="Settings").click()

    def tab(self, page: Page, name: str) -> None:
        """Open a tab."""
        page.get_by_role("tab", name=name).click()

    def look(self) -> None:
        """Every tab as a stranger finds it."""
        for width in WIDTHS:
            for dark in (False, True):
                page = self.open(width, dark)
                for name in ("Make", "Edit", "Grid", "Runs"):
                    self.tab(page, name)
                    self.shot(page, f"{name.lower()}-{width}-{'dark' if dark else 'light'}")
                page.context.close()

    def mix(self) -> None:
        """Two emotions by their sliders; what is said and what the sliders show stay together."""
        page = self.open()
        panel = page.locator("#make-go").locator("xpath=ancestor::*[@role='tabpanel']")
        panel.get_by_role("button", name="Mix emotions").click()
        for name, share in (("awe", "0.25"), ("fear", "0.75")):
            number = panel.get_by_role("spinbutton", name=f"number input for {name}")
            number.fill(share)
            number.press("Tab")
        expect(page.locator("#make-emotion textarea")).to_have_value("awe:0.25,fear:0.75")
        for name, share in (("awe", "0.25"), ("fear", "0.75"), ("anger", "0")):
            number = panel.get_by_role("spinbutton", name=f"number input for {name}")
            expect(number).to_have_value(share)
        self.shots(page, "make-mixed")
        page.context.close()

    def make(self) -> None:
        """A picture, its emotion picked by keyboard and by mouse; downloaded and dropped again."""
        page = self.open()
        self.quick(page)
        page.locator("#make-wheel [data-emotion=awe]").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#make-wheel [data-emotion=excitement]")).to_have_attribute(
            "aria-checked", "true"
        )
        page.locator("#make-wheel [data-emotion=sadness]").click()
        page.locator("#make-go").click()
        begun = time.perf_counter()
        page.wait_for_selector("#make-stage .m-frame > img")
        print(f"  first picture moving after {time.perf_counter() - begun:.1f} s")
        self.shots(page, "make-live")
        expect(page.locator("#make-download")).to_be_visible()
        self.shot(page, "make-done-1300")
        with page.expect_download() as download:
            page.locator("#make-download").click()
        self.made = self.folder / "downloaded.png"
        download.value.save_as(self.made)
        with Image.open(self.made) as picture:
            assert '"sadness"' in picture.text["muse"]
        other = self.open(400)
        self.drop(other, self.made)
        expect(other.locator("#page-notice")).to_contain_text("are in the form")
        expect(other.locator("#make-wheel [data-emotion=sadness]")).to_have_attribute(
            "aria-checked", "true"
        )
        other.locator("#make-go").click()
        expect(other.locator("#make-download")).to_be_visible()
        self.shot(other, "make-done-400")
        page.context.close()
        other.context.close()

    def drop(self, page: Page, path: Path) -> None:
        """Drop a file onto the page's header."""
        data = base64.b64encode(path.read_bytes()).decode()
        page.evaluate(
            """([data, name]) => {
              const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
              const list = new DataTransfer();
              list.items.add(new File([bytes], name, { type: "image/png" }));
              const target = document.querySelector(".m-header");
              const said = { dataTransfer: list, bubbles: true, cancelable: true };
              for (const kind of ["dragover", "drop"])
                target.dispatchEvent(new DragEvent(kind, said));
            }""",
            [data, path.name],
        )

    def cancel(self) -> None:
        """Cancelled, and made anew at once."""
        page = self.open()
        page.locator("#make-go").click()
        page.wait_for_selector("#make-stage .m-frame > img")
        page.locator("#make-stop").click()
        expect(page.locator("#make-stage")).to_contain_text("Cancelled")
        expect(page.locator("#make-go")).to_be_visible()
        self.shots(page, "make-cancelled")
        page.context.close()

    def two(self) -> None:
        """Two visitors: the second waits, the first cancels, the second's picture comes."""
        first, second = self.open(), self.open(400)
        self.quick(second)
        first.locator("#make-go").click()
        first.wait_for_selector("#make-stage .m-frame > img")
        second.locator("#make-go").click()
        expect(second.locator("#make-stage")).to_contain_text("before you")
        self.shots(second, "make-waiting")
        first.locator("#make-stop").click()
        expect(first.locator("#make-stage")).to_contain_text("Cancelled")
        expect(second.locator("#make-download")).to_be_visible()
        first.context.close()
        second.context.close()

    def hostile(self) -> None:
        """Each gets one clear line."""
        page = self.open()
        self.tab(page, "Edit")
        for path, words in self.uploads().items():
            page.locator("#edit-photo input[type=file]").set_input_files(path)
            told = page.locator("#edit-canvas .m-error, .toast-body")
            expect(told.first).to_contain_text(words)
            print(f"  {path.name}: {told.first.inner_text().strip()!r}".replace("\\n", " "))
            self.shots(page, f"hostile-{path.stem}")
            page.reload()
            page.wait_for_selector("#make-go")
            self.tab(page, "Edit")
        told = {"schema": 1, "prompt": "a dog in a park", "seed": 1, "guide": "os.system"}
        evil = self.folder / "evil.png"
        about = PngInfo()
        about.add_itxt("muse", str(told).replace("'", '"'), zip=True)
        Image.new("RGB", (64, 64)).save(evil, pnginfo=about)
        self.drop(page, evil)
        expect(page.locator("#page-notice")).to_contain_text("There is no guide 'os.system'")
        self.shots(page, "hostile-settings")
        for name in ("secret.txt", "../secret.txt"):
            url = f"{self.url}gradio_api/file={self.folder}/runs/{name}"
            assert page.request.get(url).status in (403, 404), url
        assert page.request.get(f"{self.url}gradio_api/file=/etc/hostname").status in (403, 404)
        assert page.request.get(f"{self.url}gradio_api/file=README.md").status in (403, 404)
        page.context.close()

    def uploads(self) -> dict[Path, str]:
        """Files that nobody should open -> what is said of each."""
        svg = self.folder / "drawing.svg"
        svg.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
        bomb = self.folder / "bomb.png"
        head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b""))
        huge = self.folder / "huge.png"
        with huge.open("wb") as file:
            os.truncate(file.fileno(), 2 * 2**30)
        return {svg: "no picture", bomb: "million pixels", huge: "size"}

    def grid(self) -> None:
        """A sheet fills."""
        page = self.open()
        self.tab(page, "Grid")
        self.quick(page, "grid")
        page.locator("#grid-columns textarea, #grid-columns input").fill("awe, fear")
        page.locator("#grid-rows textarea, #grid-rows input").fill("1..2")
        page.locator("#grid-go").click()
        page.wait_for_selector("#grid-sheet td img")
        self.shots(page, "grid-filling")
        expect(page.locator("#grid-notice")).to_contain_text("4 of 4 pictures are made")
        self.shots(page, "grid-done")
        page.context.close()

    def runs(self) -> None:
        """What was made is found again."""
        page = self.open()
        self.tab(page, "Runs")
        page.wait_for_selector("#runs-gallery .thumbnail-item")
        page.locator("#runs-gallery .thumbnail-item").first.click()
        page.wait_for_selector("#runs-facts dl")
        self.shots(page, "runs")
        page.context.close()

    def edit(self) -> None:
        """A photo, a brushed mask, and the edit (muse-mini alone reads pictures)."""
        if self.given.config:
            return
        page = self.open()
        self.tab(page, "Edit")
        self.quick(page, "edit")
        photo = self.made or self.folder / "photo.png"
        if self.made is None:
            Image.linear_gradient("L").convert("RGB").save(photo)
        page.locator("#edit-photo input[type=file]").set_input_files(photo)
        canvas = page.locator("#edit-canvas canvas")
        box = canvas.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.3)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.3, steps=8)
        page.mouse.up()
        panel = page.locator("#edit-go").locator("xpath=ancestor::*[@role='tabpanel']")
        panel.get_by_label("What the photo shows").fill("a dog in a park")
        self.shots(page, "edit-masked")
        page.locator("#edit-go").click()
        expect(page.locator("#edit-download")).to_be_visible()
        self.shots(page, "edit-done")
        page.context.close()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    main()
