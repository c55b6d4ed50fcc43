"""`python -m mediaserver` is the command `mediaserver`."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
