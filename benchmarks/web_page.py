"""How quick the page is, and how much memory stays, through its API.

    pip install -e '.[web]'
    python benchmarks/web_page.py [--pictures 50] [--cancels 20] [--early 5] [--steps 50]
        [--config toy]

It starts `muse web` in a process of its own and prints the seconds until the page is open and until
the first picture moves, the longest time between two updates of a picture in the making, and the
process's memory after the first pictures and at the end. Cancels, each while its picture is being
made, lie between the later pictures. Linux alone (/proc).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client

ORDER = {
    "prompt": "a dog in a park", "preset": "default", "guidance_scale": 7.5,
    "guide": "as the preset", "negative_prompt": "",
}  # fmt: skip
EMOTIONS = ("awe", "fear", "sadness", "amusement", "anger", "contentment", "disgust", "excitement")
EVERY = 0.02
"""Seconds between two looks for an update."""


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--cancels", type=int, default=20)
    parser.add_argument("--early", type=int, default=5, help="pictures before the first look")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--config", help="a file or an example for muse fit-free, not muse-mini")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ["--output_dir", f"{folder}/runs/web", "--runs", f"{folder}/runs"]
        words += ["--config", json.dumps([given.config] if given.config else [])]
        begun = time.perf_counter()
        command = [sys.executable, "-m", "muse.cli", "web", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                measure(process, begun, given)
            finally:
                process.terminate()


def measure(process: subprocess.Popen[str], begun: float, given: Any) -> None:
    """Order pictures of the page that `process` opens, and print what they took."""
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("muse web: ")), None)
    if line is None:
        raise SystemExit("The page did not open.")
    url = line.split()[2]
    httpx.get(url, timeout=60).raise_for_status()
    print(f"page open after {time.perf_counter() - begun:.1f} s", flush=True)
    client = Client(url, verbose=False)
    backbone = Path(given.config).stem if given.config else "muse-mini"
    order = {**ORDER, "steps": given.steps, "backbone": backbone}
    gaps: list[float] = []
    early, cancelled = 0.0, 0
    for number in range(given.pictures):
        asked = time.perf_counter()
        first, gap = picture(client, order, number)
        gaps.append(gap)
        if number == 0:
            moved = f"{asked + first - begun:.1f} s, {first:.1f} s after the order"
            print(f"first picture moved after {moved}", flush=True)
        if number + 1 == given.early:
            early = resident(process.pid)
            print(f"memory after {given.early} pictures: {early:.0f} MB", flush=True)
        later = number + 1 - given.early
        while cancelled < given.cancels * later / max(1, given.pictures - given.early):
            cancel(client, order, 1000 + cancelled)
            cancelled += 1
    told = f"{given.pictures} pictures and {cancelled} cancels"
    print(f"longest gap between updates: {max(gaps):.2f} s")
    end = resident(process.pid)
    print(f"memory after {told}: {end:.0f} MB, {end - early:+.0f} MB")


def picture(client: Client, order: dict[str, Any], number: int) -> tuple[float, float]:
    """Order one and look on; seconds until it moved, and the longest between two updates."""
    asked = last = time.perf_counter()
    job = client.submit(**order, **own(number), api_name="/make")
    seen, first, gap = 0, 0.0, 0.0
    while not job.done():
        outputs = job.outputs()
        if len(outputs) > seen:
            now = time.perf_counter()
            if first:
                gap = max(gap, now - last)
            if not first and any("<img" in json.dumps(one) for one in outputs[seen:]):
                first = now - asked
            seen, last = len(outputs), now
        time.sleep(EVERY)
    if "by the guide itself" not in json.dumps(job.result()):
        raise SystemExit(f"No picture came: {job.result()}")
    return first, gap


def cancel(client: Client, order: dict[str, Any], number: int) -> None:
    """Order one, and cancel it once it moves."""
    job = client.submit(**order, **own(number), api_name="/make")
    while not any("<img" in json.dumps(one) for one in job.outputs()):
        if job.done():
            raise SystemExit(f"It ended before it could be cancelled: {job.result()}")
        time.sleep(EVERY)
    client.predict(api_name="/cancel")
    job.result()


def own(number: int) -> dict[str, Any]:
    """What tells one order from the others."""
    return {"seed": number, "emotion": EMOTIONS[number % len(EMOTIONS)], "intensity": 1.0}


def resident(pid: int) -> float:
    """Memory of a process that lies in RAM, MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
