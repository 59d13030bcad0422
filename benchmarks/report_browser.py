"""A study's report in a real browser, opened from disk: requests, pictures, filters; screenshots.

    pip install playwright, and a Chromium of the system (apt-get install chromium)
    python benchmarks/report_browser.py outputs/studies/table1/report.html [--out FOLDER]

No request may leave the page, every picture must show, each filter must do what it says, and
nothing may be wider than the window, at 1300 and at 400 px. What isn't so is printed, and the exit
code is 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
WIDTHS = (1300, 400)


def main() -> int:
    """Look at one report; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path("outputs/report_browser"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    chrome = next(filter(None, map(shutil.which, CHROMES)), None)
    if chrome is None or not given.report.is_file():
        print("There is no Chromium." if chrome is None else f"There is no {given.report}.")
        return 1
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                wrong += looked(browser, given.report, width, scheme, given.out)
        browser.close()
    for line in wrong:
        print(line)
    print(f"{given.report}: {len(wrong)} things are wrong" if wrong else "as it must be")
    return int(bool(wrong))


def looked(browser: Browser, report: Path, width: int, scheme: Any, out: Path) -> list[str]:
    """What is wrong at one width."""
    wrong: list[str] = []
    url = report.resolve().as_uri()
    size = {"width": width, "height": 900}
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()

    def asked(request: Any) -> None:
        if request.url != url and not request.url.startswith("data:"):
            wrong.append(f"it asked for {request.url}")

    page.on("request", asked)
    page.on("pageerror", lambda error: wrong.append(f"its script failed: {error}"))
    page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    page.goto(url)
    page.wait_for_selector("#shots img")
    wrong += [*unseen(page), *too_wide(page)]
    page.screenshot(path=out / f"report-{width}-{scheme}.png", full_page=True)
    wrong += [*by_arm(page), *by_emotion(page), *by_verdict(page), *by_words(page)]
    wrong += close_up(page)
    page.wait_for_timeout(300)
    page.screenshot(path=out / f"close-up-{width}-{scheme}.png")
    page.keyboard.press("Escape")
    if page.locator("#close-up[open]").count():
        wrong.append("Escape doesn't close the picture")
    page.context.close()
    return [f"{width} px, {scheme}: {line}" for line in wrong]


def unseen(page: Page) -> list[str]:
    """Pictures that don't show; they load as they come into view."""
    wrong = []
    for image in page.locator("main img").all():
        image.scroll_into_view_if_needed()
        shown = "async (img) => { await img.decode().catch(() => 0); return img.naturalWidth }"
        if not image.evaluate(shown):
            wrong.append(f"the picture {image.get_attribute('alt')!r} doesn't show")
    page.evaluate("window.scrollTo(0, 0)")
    return wrong


def too_wide(page: Page) -> list[str]:
    """Whether there is something beyond the window's edge."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [f"it is {wide} px wider than the window"] if wide > 0 else []


def tiles(page: Page, arm: str = "") -> int:
    """How many pictures of arms are shown."""
    return page.locator("#shots .shot[data-job]" + (f'[data-arm="{arm}"]' if arm else "")).count()


def by_arm(page: Page) -> list[str]:
    """Each arm's pictures go with its button, and come again."""
    wrong, every = [], tiles(page)
    for chip in page.get_by_role("group", name="Arms").get_by_role("button").all():
        name, own = chip.inner_text(), tiles(page, chip.inner_text())
        chip.click()
        if tiles(page, name) or tiles(page) != every - own:
            wrong.append(f"without the arm {name!r}, {tiles(page)} of {every} pictures are shown")
        chip.click()
        if tiles(page) != every:
            wrong.append(f"the arm {name!r} doesn't come again")
    return wrong


def by_emotion(page: Page) -> list[str]:
    """So do each emotion's."""
    wrong, every, gone = [], tiles(page), 0
    chips = page.get_by_role("group", name="Emotions").get_by_role("button").all()
    for chip in chips:
        chip.click()
        gone += every - tiles(page)
        chip.click()
    if gone != every or tiles(page) != every:
        wrong.append(f"the emotions hide {gone} pictures one by one, of {every}")
    return wrong


def by_verdict(page: Page) -> list[str]:
    """Right and wrong are all that there are."""
    filters = page.locator("#filters")
    if not filters.get_by_role("button", name="Right", exact=True).count():
        return []
    counts = {}
    for name in ("Right", "Wrong", "Right or wrong"):
        filters.get_by_role("button", name=name, exact=True).click()
        counts[name] = tiles(page)
    right, wrong, every = counts.values()
    return [] if right + wrong == every else [f"{right} right and {wrong} wrong, of {every}"]


def by_words(page: Page) -> list[str]:
    """A prompt's own words show it; words of none show nothing."""
    search = page.get_by_label("Words of the prompt")
    every, prompt = tiles(page), page.locator("#shots h3").first.inner_text()
    search.fill(prompt)
    heads = page.locator("#shots h3").all_inner_texts()
    wrong = [] if heads and all(prompt in head for head in heads) else [f"{prompt!r} finds {heads}"]
    search.fill("no prompt says this")
    wrong += [f"{tiles(page)} pictures of no prompt"] if tiles(page) else []
    search.fill("")
    return wrong + ([] if tiles(page) == every else ["the search doesn't end"])


def close_up(page: Page) -> list[str]:
    """A picture opens, large, and the arrow keys go on to the next."""
    page.locator("#shots .shot[data-job]").first.click()
    label = page.locator("#close-up .sub")
    label.wait_for()
    before = label.inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    same = tiles(page) > 1 and label.inner_text() == before
    return [f"the arrow keys stay at {before!r}"] if same else []


if __name__ == "__main__":
    sys.exit(main())
