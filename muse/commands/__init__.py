"""What the commands do; `muse.cli` holds their table."""
