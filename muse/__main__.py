"""`python -m muse` is `muse`."""

import sys

from muse.cli import main

if __name__ == "__main__":
    sys.exit(main())
