"""Run the command line: `python -m zsc`."""

import sys

from zsc.cli import main

if __name__ == "__main__":
    sys.exit(main())
