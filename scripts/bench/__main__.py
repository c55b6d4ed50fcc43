"""The command. Exit status 1: a run of the server was not complete; 2: none was possible."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from .errors import BenchError
from .machine import alone, check_disk, describe, raise_file_limit, stay_on
from .options import parse
from .report import Setting
from .series import Series
from .speech import load_voice


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    # The tables are wide; a pipe or a file has room for them.
    console = Console(width=None if sys.stdout.isatty() else 130)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started is ended
    try:
        options = parse(arguments)
        raise_file_limit(options)
        for folder in (options.keep, options.profile):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        for file in (options.json, options.markdown):
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
        check_disk(options, options.keep or Path(tempfile.gettempdir()))
        with alone():
            voice = load_voice()
            setting = Setting(describe(), voice.description, options)
            stay_on(options.generator_core)  # the other is for what is measured alone
            console.print(setting.describe(), markup=False, highlight=False)
            return int(not Series(console, setting, voice).run())
    except BenchError as error:
        Console(stderr=True).print(f"bench: {error}", markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
