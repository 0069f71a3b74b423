"""Entry point of ``python -m polypref``."""

import sys

from polypref.cli import main

if __name__ == "__main__":
    sys.exit(main())
