"""What sums a run up: results.csv, the contact sheet, the traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from muse.backbones import Backbone
from muse.core.emotions import strongest
from muse.core.files import replacing, write_text, written
from muse.core.pictures import save_png
from muse.report.contact_sheet import contact_sheet
from muse.report.results import results_csv
from muse.report.traces import traces
from muse.runs.folder import RunFolder
from muse.runs.records import Layout, Record, each_record, short_records


class ReportedRun(RunFolder):
    """A run's folder that is summed up at the end: results.csv, contact_sheet.png, traces.png."""

    def close(self, backbone: Backbone) -> list[Record]:
        """Complete the records, sum them up, and return them without what is long."""
        self.complete()
        return summarise(self.path, [job.id for job in self.jobs], backbone)


def summarise(folder: Path, ids: Sequence[str], backbone: Backbone | None = None) -> list[Record]:
    """Write what sums up the pictures that are there.

    Args:
        folder: of the run.
        ids: of its jobs; those without a record are passed over.
        backbone: draws points (samples.png), where they are not pictures.

    Returns:
        the records without their traces.

    Raises:
        MuseError: the disk is full, or the folder can't be written to.
    """
    layout, records = Layout(folder), list(short_records(folder, ids))
    with written(f"what sums up the run in {str(folder)!r}"):
        write_text(layout.results, results_csv(records))
        sheet = contact_sheet(records, folder)
        if sheet is not None:
            save_png(layout.sheet, sheet)
        figure = traces(each_record(folder, ids))
        if figure is not None:
            with replacing(layout.traces) as temporary:
                figure.savefig(temporary, dpi=150)
        points = [record for record in records if "point" in record]
        if points and backbone is not None:
            names = [strongest(record["target"]) for record in points]
            drawn = torch.tensor([record["point"] for record in points])
            overview = backbone.overview(drawn, names)
            if overview is not None:
                save_png(layout.samples, overview)
    return records
