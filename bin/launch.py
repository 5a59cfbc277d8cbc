"""Entry of the commands in bin/: hands over to the package beside it."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from bootstrap.commands import main

    sys.exit(main(sys.argv[1:]))
