"""What a run leaves for people to look at."""

from muse.report.contact_sheet import contact_sheet
from muse.report.results import results_csv
from muse.report.traces import traces

__all__ = ["contact_sheet", "results_csv", "traces"]
