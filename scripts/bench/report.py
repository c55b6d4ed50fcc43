"""The result: tables to read, text for the documentation, and JSON to keep."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from .figures import Figure, Results
from .options import Options
from .tables import Text, tables

NOTE = (
    "floor: a recvmmsg sweep of all sockets every 100 ms, in Python through ctypes, that throws "
    "packets away; asyncio: an endpoint a stream that does nothing; compiled: the bare work of the "
    "engine in C; x: server by floor. "
    "Milliseconds: answer, INVITE to 200 (bridged: to both connected), p99; delay, what a relay "
    "adds to a packet's way; apart, how much later the right channel of a recording has what was "
    "said at the same time, least and most; tick, how late the server's media ticks began, p99; "
    "late, how late the generator was, p99. KiB: memory a call or pair. right: recordings that are "
    "right to the sample. refused: with 503 and Retry-After; lost: samples of calls that were "
    "taken. again: INVITEs sent a second time. *: lost packets, or could not be fed."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What the figures were found with."""

    machine: str
    voice: str
    options: Options

    @property
    def command(self) -> str:
        """The command line."""
        return f"python -m scripts.bench {shlex.join(sys.argv[1:])}".strip()

    def describe(self) -> str:
        """Return machine, cores and voice in a few lines."""
        options = self.options
        return (
            f"{self.machine}\n"
            f"server on core {options.server_core}, generator on core {options.generator_core}; "
            f"{self.voice}; {options.seconds:g} s of steady state"
        )


def print_tables(console: Console, results: Results) -> None:
    """Print everything, and what was wrong."""
    for text in tables(results):
        console.print(_table(text))
    console.print(NOTE, style="dim", markup=False, highlight=False, soft_wrap=True)
    for line in _remarks(results):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def name_of(figure: Figure) -> str:
    """Return what a run is called in a sentence."""
    return f"{figure.load} {figure.calls}, {figure.subject}"


def line_of(figure: Figure) -> str:
    """Return a figure in one line."""
    return (
        f"{name_of(figure):28} {figure.ms_per_call_second:.3f} ms, "
        f"{figure.core_percent:.0f} % of its core; generator {figure.generator_percent:.0f} %, "
        f"{figure.generator_us_per_packet:.1f} us a packet"
        + "".join(f"; {text}" for text in (*figure.remarks, *figure.problems))
    )


def write_markdown(path: Path, setting: Setting, results: Results) -> None:
    """Write the tables as they stand in the documentation."""
    parts = [f"`{setting.command}`, {setting.describe()}.".replace("\n", "; ")]
    for text in tables(results):
        lines = [
            f"### {text.title}",
            "",
            "| " + " | ".join(text.columns) + " |",
            "|" + "---|" * len(text.columns),
            *("| " + " | ".join(row) + " |" for row in text.rows),
        ]
        parts.append("\n".join(lines))
    parts.append(NOTE)
    if remarks := _remarks(results):
        parts.append("\n".join(f"- {line}" for line in remarks))
    path.write_text("\n\n".join(parts) + "\n")


def write_json(path: Path, setting: Setting, results: Results) -> None:
    """Write everything measured."""
    result = {
        "machine": setting.machine,
        "voice": setting.voice,
        "command": setting.command,
        "note": NOTE,
        "seconds": setting.options.seconds,
        "setup_rate": setting.options.setup_rate,
        "complete": not results.problems(),
        **dataclasses.asdict(results),
    }
    path.write_text(json.dumps(result, indent=2) + "\n")


def _remarks(results: Results) -> list[str]:
    """Return, a line each, what disturbed a run or was wrong about it."""
    found = [
        f"{name_of(figure)}: {text}"
        for figure in results.figures
        for text in (*figure.remarks, *figure.problems)
    ]
    found += [
        f"churn {step.rate:.0f}: {text}" for step in results.set_ups for text in step.problems
    ]
    found += [f"overload {run.limit}: {text}" for run in results.overloads for text in run.problems]
    if results.ending is not None:
        found += [f"ending: {text}" for text in results.ending.problems]
    if results.shelf is not None:
        found += [f"shelf: {text}" for text in results.shelf.problems]
    return found


def _table(text: Text) -> Table:
    table = Table(title=text.title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in text.columns:
        table.add_column(column, justify="right", no_wrap=True)
    colours = {"right": "[green]right[/]", "FAILED": "[red]FAILED[/]"}
    for row in text.rows:
        table.add_row(*(colours.get(cell, cell) for cell in row))
    return table
