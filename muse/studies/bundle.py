"""One archive of a study, that can be attached to an issue."""

from __future__ import annotations

import json
import platform
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from muse.core.files import as_yaml, replacing
from muse.core.jobs import safe_name
from muse.runs.records import versions
from muse.studies.measuring import Found

MOST = 20_000_000
"""Bytes."""


def bundle(found: Found, folder: Path, page: str, files: Iterable[Path]) -> tuple[Path, list[str]]:
    """Write ``bundle.zip``: tables, figures, the page, the study's file, what machine it was, each
    arm's settings and records (without their traces).

    Args:
        found: the study.
        folder: of the study.
        page: as HTML.
        files: in the folder: tables and figures.

    Returns:
        the archive, and the names of what found no room in it.
    """
    path, left, used = folder / "bundle.zip", [], 0
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as to:
        for name, content in _parts(found, folder, page, files):
            size = len(zlib.compress(content)) + 2 * len(name) + 150
            if used + size > MOST:
                left.append(name)
            else:
                used += size
                to.writestr(name, content)
    return path, left


def _parts(
    found: Found, folder: Path, page: str, files: Iterable[Path]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents, the most telling first."""
    yield "study.yaml", found.study.file.read_bytes()
    yield "machine.json", json.dumps(machine(found), indent=1).encode()
    yield from ((file.relative_to(folder).as_posix(), file.read_bytes()) for file in files)
    yield "report.html", page.encode()
    for name, pictures in found.arms.items():
        at = f"arms/{safe_name(name)}"
        if pictures.config:
            yield f"{at}/config.yaml", as_yaml(dict(pictures.config)).encode()
        if pictures.records:
            lines = (json.dumps(r, ensure_ascii=False) for r in pictures.records.values())
            yield f"{at}/records.jsonl", "".join(f"{line}\n" for line in lines).encode()


def machine(found: Found) -> dict[str, Any]:
    """What the pictures were made on and by, and how long it took."""
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "versions": versions(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cuda": torch.version.cuda,
        "gpus": [{"name": c.name, "gib": round(c.total_memory / 2**30, 1)} for c in cards],
        "arms": {name: _made(p.records.values()) for name, p in found.arms.items()},
    }


def _made(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    each = {record["id"]: record for record in records}.values()
    devices = sorted({str((record.get("made_by") or {}).get("device")) for record in each})
    return {"pictures": len(each), "seconds": sum(r["seconds"] for r in each), "devices": devices}
