"""The command. Exit status 1: a run of the server was not complete; 2: none was possible."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from .errors import BenchError
from .machine import alone, check_disk, describe, raise_file_limit
from .options import Options, parse
from .report import print_table, write_json
from .runs import Figure, run_server, run_yardstick
from .speech import load_voice


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    console = Console(stderr=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started is ended
    try:
        options = parse(arguments)
        raise_file_limit(options)
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
        check_disk(options, options.keep or Path(tempfile.gettempdir()))
        with alone():
            return _bench(console, options)
    except BenchError as error:
        Console(stderr=True).print(f"bench: {error}", markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


def _bench(console: Console, options: Options) -> int:
    machine, voice = describe(), load_voice()
    console.print(machine, markup=False)
    console.print(
        f"server on core {options.server_core}, generator on core {options.generator_core}; "
        f"{voice.description}; {options.seconds:g} s each",
        markup=False,
    )
    figures: list[Figure] = []
    for calls in options.loads:
        floor: float | None = None
        for kind in options.yardsticks:
            with console.status(f"{calls} streams, {kind}"):
                figure = run_yardstick(kind, calls, options)
            if kind == "floor" and not figure.problems:
                floor = figure.ms_per_call_second
            _add(console, figures, figure, floor)
        with console.status(f"{calls} calls, mediaserver") as status:
            ours = run_server(calls, options, voice, status.update)
        _add(console, figures, ours, floor)
        if options.json is not None:
            write_json(options.json, machine, voice.description, options, figures)
    console.print()
    print_table(console, figures)
    return int(any(figure.problems for figure in figures if figure.subject == "mediaserver"))


def _add(console: Console, figures: list[Figure], figure: Figure, floor: float | None) -> None:
    if floor:
        figure.ratio_to_floor = figure.ms_per_call_second / floor
    figures.append(figure)
    console.print(
        f"{figure.calls:5} {figure.subject:12} {figure.ms_per_call_second:.3f} ms, "
        f"{figure.core_percent:.0f} % of its core"
        + "".join(f"; {text}" for text in (*figure.remarks, *figure.problems)),
        markup=False,
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main())
