"""Where jobs come from."""

from muse.data.jobs import Jobs, Twins, plain_twins, read_jobs, write_jobs

__all__ = ["Jobs", "Twins", "plain_twins", "read_jobs", "write_jobs"]
