"""``python -m varprop`` is the command ``varprop``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
