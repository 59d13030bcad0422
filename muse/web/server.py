"""The server around the page: what it answers, to whom, and what it never gives away.

Gradio's own `launch` can open a tunnel and asks itself over the network whether it is there; here
its app is mounted instead, and served by uvicorn.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI

from muse.core.types import MuseError
from muse.web.headers import Headers

HERE = Path(__file__).parent
LARGEST = "25mb"
"""Of an upload."""
PORTS = range(7860, 7960)
"""Those that are tried where none is named."""
POLICY = {
    "Content-Security-Policy": (
        "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers with which a browser fetches nothing from anywhere else."""
THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.indigo,
    neutral_hue=gr.themes.colors.stone,
    radius_size=gr.themes.sizes.radius_lg,
    font=["Inter", "ui-sans-serif", "system-ui", "Segoe UI", "Helvetica Neue", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
)
"""Fonts of the visitor's own machine: none is fetched."""


class Server:
    """Serves a page.

    Args:
        blocks: the page.
        host: the address to listen on.
        port: None takes the first free one of `PORTS`.
        closed: is called at the end.

    Attributes:
        url: where the page is.

    Raises:
        MuseError: the port is taken.
    """

    def __init__(
        self, blocks: gr.Blocks, host: str, port: int | None, closed: Callable[[], None]
    ) -> None:
        self._socket = _bound(host, PORTS if port is None else [port])
        number = self._socket.getsockname()[1]
        self.url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{number}/"
        self.closed = closed
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.add_middleware(Headers, headers=POLICY)
        gr.mount_gradio_app(
            app,
            blocks.queue(max_size=64, default_concurrency_limit=8),
            path="/",
            server_name=host,
            server_port=number,
            footer_links=[],
            run_history=False,
            allowed_paths=[],
            show_error=False,
            max_file_size=LARGEST,
            ssr_mode=False,
            enable_monitoring=False,
            pwa=False,
            mcp_server=False,
            favicon_path=str(HERE / "icon.svg"),
            theme=THEME,
            head=_head(),
        )
        blocks.has_launched = True  # else Gradio doesn't check where files come from
        blocks.share = False
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(timeout=0.05)
        if not self._server.started:
            raise MuseError(f"The page can't be opened at {self.url}. Use another --port.")

    def wait(self) -> None:
        """Until Ctrl-C."""
        try:
            while self._thread.is_alive():
                self._thread.join(timeout=1)
        finally:
            self.close()

    def close(self) -> None:
        """Answer no longer, and end all orders."""
        self.closed()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _head() -> str:
    """Style and script, in the page itself: as a parameter, Gradio would rewrite the style."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    return f"<style>{style}</style><script>{script}</script>"


def _bound(host: str, ports: range | list[int]) -> socket.socket:
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in ports:
        found = socket.socket(kind, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
            found.listen()  # only now is it taken
            return found
        except (OSError, OverflowError) as error:
            found.close()
            reason = getattr(error, "strerror", None) or str(error)
    raise MuseError(
        f"The page can't be opened at {host}, port {ports[0]} ({reason}). Use another --port."
    )
