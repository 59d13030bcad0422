"""The page as a server: `muse web`, and the same file as a Space of the hub.

A Space needs no more than this file as its ``app_file`` (or a copy of it as ``app.py``) and
``muse-emotion[web]`` in its requirements. There the page listens to everybody, and shows no runs:
they would be those of other visitors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from muse.core.types import MuseError

if TYPE_CHECKING:
    from muse.web.server import Server


def serve(
    output_dir: Path,
    runs: Path | None,
    configs: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int | None = None,
    device: str = "auto",
    slots: int = 4,
    wait: bool = True,
) -> Server:
    """Open the page.

    Args:
        output_dir: where its pictures go; Gradio's own files lie in a folder there.
        runs: whose runs it shows; None shows none.
        configs: files for `muse fit-free` whose models are offered beside muse-mini.
        host: the address to listen on; ``0.0.0.0`` is everybody.
        port: None takes the first free one from 7860 on.
        device: ``auto``, ``cpu``, ``cuda``, ...
        slots: how many pictures of a grid share a model call.
        wait: until it is stopped by Ctrl-C.

    Returns:
        the `muse.web.server.Server`; `close` ends it.

    Raises:
        MuseError: Gradio isn't there, a folder can't be written to, a file is no model's, or the
            port is taken.
    """
    from muse.web.album import Album
    from muse.web.catalog import Catalog
    from muse.web.making import Maker
    from muse.web.shelf import Shelf
    from muse.web.studio import Studio

    album = Album(output_dir.absolute())
    # Gradio reads these when it is imported.
    os.environ["GRADIO_TEMP_DIR"] = str(album.folder / ".page")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise MuseError(
            f"The page needs Gradio ({error}). Install it: pip install 'muse-emotion[web]'."
        ) from None
    from muse.web.page import page
    from muse.web.server import Server

    studio = Studio()
    maker = Maker(Catalog(configs, device), album, slots)
    blocks = page(maker, None if runs is None else Shelf(runs), studio)
    server = Server(blocks, host, port, studio.close)
    server.start()
    where = f"pictures go to {str(album.folder)!r}"
    print(f"muse web: {server.url} (Ctrl-C ends it; {where})", flush=True)
    if wait:
        server.wait()
    return server


def main() -> None:
    """As a Space of the hub, or by ``python -m muse.web.app``."""
    space = "SPACE_ID" in os.environ
    serve(
        Path("outputs/web"),
        None if space else Path("outputs"),
        host="0.0.0.0" if space else "127.0.0.1",
        port=7860 if space else None,
    )


if __name__ == "__main__":
    main()
